/** Unsigned LEB128 as multiformats restrict it: shortest form only. */

/** Longest varint read: 4 bytes reach 268,435,455, far over any block that is accepted. */
const VARINT_BYTES_MAX = 4

let value = 0

/**
 * Reads a varint at `offset`; its value is then in {@link varintValue}.
 *
 * @returns The offset after it; 0 when the bytes end within it; -1 when it is not the shortest form
 *   or longer than 4 bytes.
 */
export function readVarint(bytes: Uint8Array, offset: number): number {
  value = 0
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = bytes[offset + i]
    if (byte === undefined) return 0
    value |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return byte === 0 && i > 0 ? -1 : offset + i + 1
  }
  return -1
}

/** The value that the last successful {@link readVarint} read. */
export function varintValue(): number {
  return value
}

/** The varint of an integer from 0 to 2^28 - 1. */
export function encodeVarint(number: number): Uint8Array {
  const out: number[] = []
  let rest = number
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  out.push(rest)
  return Uint8Array.from(out)
}
