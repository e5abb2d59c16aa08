/** Record keys (specification: record key). */
import { isRecordKey as hasRecordKeySyntax } from '@atcute/lexicons/syntax'

import { type Branded, parseWith, requireWith } from './brand.ts'

/** The second half of a repository path. */
export type RecordKey = Branded<'record-key'>

/** Longest record key. */
export const RECORD_KEY_CHARS_MAX = 512

/** True for 1..512 characters of `A-Z a-z 0-9 . - _ : ~`, except `.` and `..`. */
export function isRecordKey(value: unknown): value is RecordKey {
  return hasRecordKeySyntax(value)
}

/** `text` as a record key, or null. */
export function parseRecordKey(text: string): RecordKey | null {
  return parseWith(isRecordKey, text)
}

/** `text` as a record key. Throws SYNTAX_INVALID. */
export function toRecordKey(text: string): RecordKey {
  return requireWith(isRecordKey, 'record key', text)
}
