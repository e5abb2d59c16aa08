/**
 * Every bound that applies to input from the network, with its source. Limits that operators may
 * change are options (see ops/options.ts); these are the protocol's, or ours where it names none.
 * docs/generated/limits.md is made from this file.
 */

/** Largest WebSocket message of an event stream, bytes (sync specification: 5 MB). */
export const FRAME_BYTES_MAX = 5_000_000
/** Largest `blocks` of a `#commit`, bytes (lexicon com.atproto.sync.subscribeRepos). */
export const COMMIT_BLOCKS_BYTES_MAX = 2_000_000
/** Largest `blocks` of a `#sync`, bytes (lexicon com.atproto.sync.subscribeRepos). */
export const SYNC_BLOCKS_BYTES_MAX = 10_000
/** Most operations of a `#commit` (lexicon com.atproto.sync.subscribeRepos). */
export const OPS_MAX = 200
/** Largest record, bytes (sync specification). */
export const RECORD_BYTES_MAX = 1_000_000
/** How far a rev may be ahead of the clock, ms (specification: "a few minutes"; Go relay: 5). */
export const REV_AHEAD_MS_MAX = 300_000
/**
 * Most blocks of one commit's CAR: 200 operations, each a record and three paths, need under
 * 10,000.
 */
export const COMMIT_CAR_BLOCKS_MAX = 10_000
/** Largest CAR header, bytes: one root needs 59; several roots are allowed by the format. */
export const CAR_HEADER_BYTES_MAX = 4_096
/** Deepest nesting of a DRISL value (data guide: 32 is informal; real records stay under 20). */
export const DRISL_DEPTH_MAX = 128
/**
 * Most items of a DRISL value that is decoded into objects, map entries counted once: each takes
 * about a hundred times its byte. A `#commit` of 200 operations has under 2,500.
 */
export const DRISL_ITEMS_MAX = 20_000
/**
 * Largest repository path: NSID 317, slash, record key 512, in ASCII; the reference allows 1,024.
 */
export const PATH_BYTES_MAX = 1_024
/** Greatest height of a tree key. 40 takes 2^80 hashes; honest trees of 10^9 keys stay under 20. */
export const MST_HEIGHT_MAX = 40
/**
 * Most entries of one tree node. A run of n keys below a height has odds of 0.75^n: 10^-128 here.
 */
export const MST_NODE_ENTRIES_MAX = 1_024
/** Longest DID, bytes (DID specification of atproto: hard limit). */
export const DID_BYTES_MAX = 2_048
/** Largest seq: the event stream specification stays within JavaScript's safe integers. */
export const SEQ_MAX = 9_007_199_254_740_991
