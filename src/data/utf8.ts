/**
 * UTF-8 validation on a range of bytes, without building a string (RFC 3629 section 4).
 */

/**
 * @returns `start + length` when that range lies within `bytes` and is valid UTF-8, else -1.
 */
export function utf8End(bytes: Uint8Array, start: number, length: number): number {
  const end = start + length
  if (end > bytes.length) return -1
  let pos = start
  while (pos < end) {
    const lead = bytes[pos] as number
    if (lead < 0x80) {
      pos++
      continue
    }
    const width = sequenceWidth(bytes, pos, lead)
    if (width === 0 || pos + width > end) return -1
    for (let i = 2; i < width; i++) if (((bytes[pos + i] as number) & 0xc0) !== 0x80) return -1
    pos += width
  }
  return end
}

/** The length of the sequence that `lead` opens, judged by lead and second byte; 0 when invalid. */
function sequenceWidth(bytes: Uint8Array, pos: number, lead: number): number {
  const second = bytes[pos + 1] ?? 0
  if ((second & 0xc0) !== 0x80) return 0
  if (lead >= 0xc2 && lead <= 0xdf) return 2
  if (lead === 0xe0) return second >= 0xa0 ? 3 : 0
  if (lead === 0xed) return second <= 0x9f ? 3 : 0
  if (lead >= 0xe1 && lead <= 0xef) return 3
  if (lead === 0xf0) return second >= 0x90 ? 4 : 0
  if (lead >= 0xf1 && lead <= 0xf3) return 4
  if (lead === 0xf4) return second <= 0x8f ? 4 : 0
  return 0
}
