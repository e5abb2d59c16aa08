/** Text of bytes, by the fastest way of the runtime. */
import { runtime } from '#runtime'

/**
 * The text of valid UTF-8 from `start` to `end`, which the caller has checked. A byte order mark is
 * kept.
 */
export const utf8Text: (bytes: Uint8Array, start: number, end: number) => string = runtime.utf8Text
