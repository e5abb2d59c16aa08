/**
 * The WebSocket framing of what a server sends: one unmasked, unfragmented binary frame around each
 * event-stream frame (RFC 6455, section 5.2). Ready frames are stored and written as they are.
 *
 * ```
 * 0x82                     FIN, opcode 2 (binary)
 * 0x00-0x7d                payload length up to 125
 * 0x7e  u16 big-endian     126 to 65,535
 * 0x7f  u64 big-endian     65,536 and more
 * payload
 * ```
 */

const FIN_BINARY = 0x82
const LENGTH_7_MAX = 125
const LENGTH_16_MAX = 0xffff

/** Size of the header before a payload of `payloadBytes`: 2, 4 or 10. */
export function wireHeaderBytes(payloadBytes: number): number {
  if (payloadBytes <= LENGTH_7_MAX) return 2
  return payloadBytes <= LENGTH_16_MAX ? 4 : 10
}

/** Writes the header for a payload of `payloadBytes` at the start of `out`; returns its size. */
export function writeWireHeader(out: Uint8Array, payloadBytes: number): number {
  const size = wireHeaderBytes(payloadBytes)
  out[0] = FIN_BINARY
  if (size === 2) {
    out[1] = payloadBytes
    return size
  }
  out[1] = size === 4 ? 126 : 127
  let rest = payloadBytes
  for (let i = size - 1; i >= 2; i--) {
    out[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return size
}

/** A new array: the wire header, then a copy of `payload`. */
export function wrapFrame(payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(wireHeaderBytes(payload.length) + payload.length)
  out.set(payload, writeWireHeader(out, payload.length))
  return out
}

/**
 * Where a wire frame's payload lies: `start` inclusive, `end` exclusive, which is the next frame.
 */
export interface PayloadRange {
  readonly start: number
  readonly end: number
}

/**
 * Finds the payload of the wire frame at `offset`, for readers of stored frames. Null when the
 * bytes are not a whole frame of the kind that {@link wrapFrame} writes, shortest length form
 * included.
 */
export function payloadRange(bytes: Uint8Array, offset: number): PayloadRange | null {
  if (bytes[offset] !== FIN_BINARY) return null
  const short = bytes[offset + 1]
  if (short === undefined || short > 127) return null
  const headerBytes = short <= LENGTH_7_MAX ? 2 : short === 126 ? 4 : 10
  const start = offset + headerBytes
  if (start > bytes.length) return null
  let length = headerBytes === 2 ? short : 0
  for (let i = offset + 2; i < start; i++) length = length * 256 + (bytes[i] as number)
  if (wireHeaderBytes(length) !== headerBytes || length > bytes.length - start) return null
  return { start, end: start + length }
}
