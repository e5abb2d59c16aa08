/**
 * Timestamp identifiers (specification: TID): record keys and repository revisions.
 *
 * A TID is 13 characters of a base32 alphabet in ASCII order, so that text order is time order:
 * 11 characters of microseconds since the Unix epoch, then 2 of a clock identifier (10 bits).
 */
import { isTid as hasTidSyntax } from '@atcute/lexicons/syntax'
import { create, parse } from '@atcute/tid'

import { assert } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { type Branded, parseWith, requireWith } from './brand.ts'

/** A timestamp identifier. */
export type Tid = Branded<'tid'>

/** Length of every TID. */
export const TID_CHARS = 13
/** Clock identifiers are 0..1023. */
export const TID_CLOCK_ID_MAX = 1_023
/** The largest time of a TID that this code makes, microseconds: 53 bits, in the year 2255. */
export const TID_MICROS_MAX: number = Number.MAX_SAFE_INTEGER

/** True for the TID syntax, whose first character is one of `234567abcdefghij`. */
export function isTid(value: unknown): value is Tid {
  return hasTidSyntax(value)
}

/** `text` as a TID, or null. */
export function parseTid(text: string): Tid | null {
  return parseWith(isTid, text)
}

/** `text` as a TID. Throws SYNTAX_INVALID. */
export function toTid(text: string): Tid {
  return requireWith(isTid, 'TID', text)
}

/**
 * Microseconds since the Unix epoch. Exact up to TID_MICROS_MAX; the syntax allows twice that,
 * where the result is rounded to even. It never decreases when the TID increases.
 */
export function tidMicros(tid: Tid): number {
  return parse(tid).timestamp
}

/** The clock identifier, 0..1023. */
export function tidClockId(tid: Tid): number {
  return parse(tid).clockid
}

/** Orders two TIDs by time, then clock identifier: below, at or above 0. Exact for all of them. */
export function compareTids(a: Tid, b: Tid): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** The TID of whole microseconds in 0..TID_MICROS_MAX and a clock identifier; both are asserted. */
export function tidOf(micros: number, clockId: number): Tid {
  assert(Number.isSafeInteger(micros) && micros >= 0, () => `TID micros: ${micros}`)
  const isClockId = Number.isInteger(clockId) && clockId >= 0 && clockId <= TID_CLOCK_ID_MAX
  assert(isClockId, () => `TID clock id: ${clockId}`)
  return toTid(create(micros, clockId))
}

/** The TID of `clock`'s wall time. Two calls may give the same one: see `nextTid`. */
export function createTid(clock: Clock, clockId: number): Tid {
  return tidOf(nowMicros(clock), clockId)
}

/**
 * A TID of `clock`'s wall time, or one microsecond after `previous` when the clock is not past it:
 * always strictly greater than `previous`. Throws SYNTAX_INVALID when `previous` is so far in the
 * future that nothing can follow it.
 */
export function nextTid(previous: Tid | null, clock: Clock, clockId: number): Tid {
  const now = nowMicros(clock)
  if (previous === null) return tidOf(now, clockId)
  const after = tidMicros(previous) + 1
  if (after > TID_MICROS_MAX) {
    throw new SkeinError('SYNTAX_INVALID', 'create TID: nothing follows', { previous })
  }
  return tidOf(Math.max(now, after), clockId)
}

function nowMicros(clock: Clock): number {
  return Math.floor(clock.nowMs() * 1_000)
}
