/** Text out of ASCII bytes, as fast as the runtime can. */
import { runtime } from '#runtime'

/**
 * The text of the bytes from `start` to `end`, all of them below 0x80 as the caller has checked:
 * other bytes give text that differs between runtimes.
 */
export const asciiText: (bytes: Uint8Array, start: number, end: number) => string =
  runtime.asciiText
