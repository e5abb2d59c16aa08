/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4): reflected polynomial 0x82f63b78, initial value and
 * final complement all ones. Sixteen bytes a step through sixteen tables, read as four words.
 */

const POLYNOMIAL = 0x82f63b78
const TABLES = 16

/**
 * `table[k * 256 + b]` is the remainder of byte `b` followed by `k` zero bytes, so that the sixteen
 * bytes of a step are looked up independently of each other.
 */
const table = makeTables()

function makeTables(): Int32Array {
  const out = new Int32Array(TABLES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1
    }
    out[byte] = remainder
  }
  for (let at = 256; at < out.length; at++) {
    const previous = out[at - 256] ?? 0
    out[at] = (previous >>> 8) ^ (out[previous & 255] ?? 0)
  }
  return out
}

/** Shorter inputs than this do not repay the view that the fast path needs. */
const FAST_BYTES_MIN = 128

/** CRC-32C of `bytes[start, end)` as an unsigned 32-bit number. The bytes are not kept. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let crc = -1
  let at = start
  if (end - start >= FAST_BYTES_MIN) {
    const whole = (end - start) & ~15
    crc = steps(new DataView(bytes.buffer, bytes.byteOffset + start, whole), crc)
    at += whole
  }
  for (; at < end; at++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0)
  }
  return ~crc >>> 0
}

/** Advances `crc` over a view whose length is a multiple of sixteen. */
function steps(view: DataView, start: number): number {
  const t = table
  const end = view.byteLength
  let crc = start
  for (let at = 0; at < end; at += 16) {
    const a = crc ^ view.getInt32(at, true)
    const b = view.getInt32(at + 4, true)
    const c = view.getInt32(at + 8, true)
    const d = view.getInt32(at + 12, true)
    crc =
      (t[3840 | (a & 255)] ?? 0) ^
      (t[3584 | ((a >>> 8) & 255)] ?? 0) ^
      (t[3328 | ((a >>> 16) & 255)] ?? 0) ^
      (t[3072 | (a >>> 24)] ?? 0) ^
      (t[2816 | (b & 255)] ?? 0) ^
      (t[2560 | ((b >>> 8) & 255)] ?? 0) ^
      (t[2304 | ((b >>> 16) & 255)] ?? 0) ^
      (t[2048 | (b >>> 24)] ?? 0) ^
      (t[1792 | (c & 255)] ?? 0) ^
      (t[1536 | ((c >>> 8) & 255)] ?? 0) ^
      (t[1280 | ((c >>> 16) & 255)] ?? 0) ^
      (t[1024 | (c >>> 24)] ?? 0) ^
      (t[768 | (d & 255)] ?? 0) ^
      (t[512 | ((d >>> 8) & 255)] ?? 0) ^
      (t[256 | ((d >>> 16) & 255)] ?? 0) ^
      (t[d >>> 24] ?? 0)
  }
  return crc
}
