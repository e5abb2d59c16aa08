/**
 * Every bound of the HTTP layer that is not an option, with its reason. docs/generated/limits.md
 * lists them beside the protocol's.
 */

/** Longest URL, bytes: a `getBlocks` of 100 CIDs has some 6,600. */
export const URL_BYTES_MAX = 8_192
/** Largest request head, bytes: the URL and as much again (Node's own default). */
export const REQUEST_HEAD_BYTES_MAX = 16_384
/** Largest request body, bytes: the only bodies are `{"hostname": …}`. */
export const REQUEST_BODY_BYTES_MAX = 4_096
/** How long a client may take to send a request's head, ms. Slow ones only hold a socket. */
export const REQUEST_HEAD_TIMEOUT_MS = 10_000
/** How long a client may take to send a whole request, ms. */
export const REQUEST_TIMEOUT_MS = 15_000
/** How often time-outs of requests are looked at, ms. */
export const TIMEOUT_CHECK_INTERVAL_MS = 2_000
/**
 * How long a connection may stay idle between requests, ms. Proxies use longer ones on their side.
 */
export const KEEP_ALIVE_TIMEOUT_MS = 10_000
/** How long a socket may move no byte in either direction while answering, ms. */
export const SOCKET_IDLE_TIMEOUT_MS = 60_000
/** Most open sockets beyond those of subscribers: short requests of some hundred clients. */
export const REQUEST_CONNECTIONS_MAX = 2_000
/** Most `requestCrawl` calls that are being probed at once: each holds one outbound request. */
export const CRAWLS_IN_FLIGHT_MAX = 32
/** `requestCrawl` calls that one address may make at once: an operator announcing a few hosts. */
export const CRAWL_REQUESTS_BURST = 30
/** `requestCrawl` calls that one address gets back in an hour; a PDS sends three. */
export const CRAWL_REQUESTS_PER_HOUR = 60
/** Look-ups of DIDs without an account here that one address may cause in a minute. */
export const DID_LOOKUPS_PER_MINUTE = 30
/** Most addresses whose use is remembered. The longest unused is forgotten, which forgives it. */
export const LIMITED_ADDRESSES_MAX = 50_000
/** How long a refused WebSocket upgrade may take to read its answer, ms. */
export const REFUSAL_LINGER_MS = 2_000
/** Exports that one address may read at once: half of those that a host gives out at a time. */
export const EXPORTS_PER_ADDRESS_MAX = 4
/** What an export that finds no place is told to wait, seconds: a small one takes less. */
export const EXPORT_RETRY_AFTER_S = 5
/** Answers of up to so many bytes are handed over whole: what a socket takes at once. */
export const HELD_ANSWER_SMALL_BYTES = 65_536
/** Most bytes of larger answers of getBlocks and getRecord being read: 16 of the largest. */
export const HELD_ANSWER_BYTES_MAX: number = 256 * 1024 * 1024
/** Most bytes of them that one address reads: four of the largest. */
export const HELD_ANSWER_BYTES_PER_ADDRESS_MAX: number = 64 * 1024 * 1024
/** How often it is looked at whether the reader of a streamed body keeps up, ms. */
export const BODY_CHECK_INTERVAL_MS = 5_000
/** How long such a reader may take nothing, ms, as long as a subscriber may. */
export const BODY_STALL_TIMEOUT_MS = 30_000
/** How long such a reader may be slower than the rate below, ms. */
export const BODY_SLOW_WINDOW_MS = 60_000
/** Least bytes a second for a reader of a streamed body; 100 MB then take at most 1.7 hours. */
export const BODY_BYTES_PER_SECOND_MIN = 16_384
