/**
 * What a subscriber's `cursor` parameter means (event stream specification; where that says
 * "greater or equal" the reference sends what is strictly after the cursor, and so does everyone
 * since).
 *
 * | cursor | stream begins |
 * |---|---|
 * | none, empty | live, after the newest event |
 * | 0 or less | at the oldest event, with `#info` when older ones have been dropped |
 * | older than the window | `#info` OutdatedCursor, then the whole window |
 * | inside the window | with the first seq after it |
 * | the newest seq | live |
 * | beyond it | error FutureCursor, closed with 1008 |
 * | not an integer, twice | error InvalidRequest, closed with 1008 |
 */
import { SEQ_MAX } from '../lib/limits.ts'

/** The window that can be replayed: oldest retained seq, and newest seq that readers may see. */
export interface SeqWindow {
  /** One after the newest when nothing is retained. */
  readonly firstSeq: number
  readonly publishedSeq: number
}

/** Where a subscriber starts: it receives what is strictly after `afterSeq`. */
export type CursorStart =
  | { readonly kind: 'live'; readonly afterSeq: number }
  | { readonly kind: 'replay'; readonly afterSeq: number; readonly outdated: boolean }
  | {
      readonly kind: 'refused'
      readonly error: 'InvalidRequest' | 'FutureCursor'
      readonly message: string
    }

/** Text of the `#info` that opens a replay from an outdated cursor. */
export const OUTDATED_CURSOR_MESSAGE = 'Requested cursor exceeded limit. Possibly missing events'

/** Longest cursor text that is looked at: a sign, and 2^53 - 1 with some leading zeros. */
const CURSOR_CHARS_MAX = 32

/** The values of `cursor` in the query of a request target such as `/xrpc/...?cursor=5`. */
export function cursorParameters(requestTarget: string): string[] {
  const query = requestTarget.indexOf('?')
  if (query < 0) return []
  return new URLSearchParams(requestTarget.slice(query + 1)).getAll('cursor')
}

/** Decides where a stream begins. `values` are those of {@link cursorParameters}. */
export function resolveCursor(values: readonly string[], window: SeqWindow): CursorStart {
  const [text] = values
  if (values.length > 1) return invalid('cursor is given more than once')
  if (text === undefined || text === '') return { kind: 'live', afterSeq: window.publishedSeq }
  if (text.length > CURSOR_CHARS_MAX || !/^-?[0-9]+$/.test(text)) {
    return invalid('cursor is not an integer')
  }
  const cursor = Number(text)
  if (Math.abs(cursor) > SEQ_MAX) return invalid('cursor is out of range')
  if (cursor > window.publishedSeq) {
    return { kind: 'refused', error: 'FutureCursor', message: 'Cursor in the future.' }
  }
  const wanted = Math.max(0, cursor)
  const outdated = wanted + 1 < window.firstSeq
  const afterSeq = outdated ? window.firstSeq - 1 : wanted
  return { kind: 'replay', afterSeq, outdated }
}

function invalid(message: string): CursorStart {
  return { kind: 'refused', error: 'InvalidRequest', message: `Invalid params: ${message}` }
}
