/**
 * Public keys for which one backend keeps its own form (an uncompressed point, a KeyObject of about
 * 2 KB outside the heap): 20,000 hold the accounts that post within minutes, in at most 45 MB.
 */
export const CACHED_KEYS_MAX = 20_000
