/**
 * `Range` of one part, in bytes (RFC 9110, section 14). A server may ignore the header; this one
 * does for other units, for several parts, and for what does not parse.
 */

/** What of a body of known size is asked for. `end` is exclusive. */
export type ByteRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

const WHOLE: ByteRange = { kind: 'whole' }
const UNSATISFIABLE: ByteRange = { kind: 'unsatisfiable' }

/** Reads the header; null stands for none. Of an empty body there is no part: it comes whole. */
export function parseByteRange(header: string | null, size: number): ByteRange {
  const parts = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '')
  if (parts === null || size === 0) return WHOLE
  const [, first = '', last = ''] = parts
  if (first === '') return last === '' ? WHOLE : suffix(Number(last), size)
  const start = Number(first)
  if (last !== '' && Number(last) < start) return WHOLE
  if (start >= size) return UNSATISFIABLE
  return { kind: 'part', start, end: last === '' ? size : Math.min(Number(last) + 1, size) }
}

function suffix(length: number, size: number): ByteRange {
  return length === 0
    ? UNSATISFIABLE
    : { kind: 'part', start: Math.max(0, size - length), end: size }
}
