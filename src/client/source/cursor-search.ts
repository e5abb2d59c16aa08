/**
 * Finds where a service stood at a moment: a cursor whose events are no later than that. Seqs of
 * two services have nothing in common but time, so this is how one takes over from another.
 *
 * It looks at single places of the sequence (./stream-probe.ts): the oldest event, the newest, and
 * then between them, by interpolation and halving. Times are what hosts say; a place's time is the
 * median of its first events. Pure: the caller looks and says what it saw.
 */

/** A place that was looked at: the first seq after a cursor, and the median time from there on. */
export interface Sighting {
  readonly seq: number
  readonly timeMs: number
}

export interface CursorSearch {
  /** The moment. */
  readonly targetMs: number
  /** How much earlier than it a place may be to be taken. */
  readonly toleranceMs: number
  readonly looks: number
  /** The oldest event. */
  readonly floor: Sighting | null
  /** The newest. */
  readonly tip: Sighting | null
  /** Latest place known to be before the moment. */
  readonly low: Sighting | null
  /** Lowest seq known to have nothing but later events from it on. */
  readonly high: Sighting | null
  readonly next: SearchStep
}

/** What to look at, or the answer. */
export type SearchStep =
  /** Connect with this cursor (null: live) and say what comes first. */
  | { readonly kind: 'look'; readonly cursor: number | null }
  | {
      readonly kind: 'found'
      /** Begin after this seq; 0: at the oldest event. */
      readonly cursor: number
      /** How much the oldest event is later than the moment; null when the moment is covered. */
      readonly tooLateMs: number | null
    }

/** Most places that are looked at: halving 10^9 seqs needs 30, interpolation a few. */
const LOOKS_MAX = 16

export function startSearch(targetMs: number, toleranceMs: number): CursorSearch {
  const next: SearchStep = { kind: 'look', cursor: 0 }
  return {
    targetMs,
    toleranceMs,
    looks: 0,
    floor: null,
    tip: null,
    low: null,
    high: null,
    next,
  }
}

/**
 * Takes in what was seen at `next.cursor`: null when nothing came within the time that a look may
 * take. Where it cannot be sure the answer is earlier rather than later.
 */
export function sight(search: CursorSearch, seen: Sighting | null): CursorSearch {
  if (search.next.kind === 'found') return search
  const looked = { ...search, looks: search.looks + 1 }
  if (search.floor === null) return sightFloor(looked, seen)
  if (search.next.cursor === null) return sightTip(looked, seen)
  if (seen === null) return found(looked, earliest(looked))
  // Between the cursor and the first seq there is nothing.
  return narrow(place(looked, seen, search.next.cursor + 1))
}

function sightFloor(search: CursorSearch, seen: Sighting | null): CursorSearch {
  // Nothing at all: whatever comes will be after the moment.
  if (seen === null) return found(search, 0)
  const floor = { ...search, floor: seen }
  if (seen.timeMs > search.targetMs) {
    const tooLateMs = seen.timeMs - search.targetMs
    return { ...floor, next: { kind: 'found', cursor: 0, tooLateMs } }
  }
  return { ...floor, low: seen, next: { kind: 'look', cursor: null } }
}

function sightTip(search: CursorSearch, seen: Sighting | null): CursorSearch {
  // So quiet that no event came: the whole window is small.
  if (seen === null) return found(search, 0)
  return narrow(place({ ...search, tip: seen }, seen, seen.seq))
}

/** Keeps what was seen as a bound, if it is a better one. From `fromSeq` on it is what comes. */
function place(search: CursorSearch, seen: Sighting, fromSeq: number): CursorSearch {
  if (seen.timeMs <= search.targetMs) {
    return search.low !== null && seen.seq <= search.low.seq ? search : { ...search, low: seen }
  }
  const high = { seq: fromSeq, timeMs: seen.timeMs }
  return search.high !== null && fromSeq >= search.high.seq ? search : { ...search, high }
}

function narrow(search: CursorSearch): CursorSearch {
  const { low, high, targetMs, toleranceMs } = search
  if (low === null) return found(search, 0)
  const closeEnough = targetMs - low.timeMs <= toleranceMs
  if (closeEnough || high === null || search.looks >= LOOKS_MAX)
    return found(search, earliest(search))
  const cursor = between(low, high, search)
  // The service answers a cursor with the first seq after it.
  if (cursor >= high.seq - 1) return found(search, earliest(search))
  return { ...search, next: { kind: 'look', cursor } }
}

/** By interpolation at first, then by halves: seqs are not spread evenly over the day. */
function between(low: Sighting, high: Sighting, search: CursorSearch): number {
  const span = high.seq - low.seq
  if (search.looks % 2 === 1) return low.seq + Math.floor(span / 2)
  const aimMs = search.targetMs - search.toleranceMs / 2
  const share = (aimMs - low.timeMs) / (high.timeMs - low.timeMs)
  const bounded = Math.min(Math.max(share, 0.01), 0.99)
  return low.seq + Math.max(1, Math.floor(span * bounded))
}

/** The place before the best lower bound. */
function earliest({ low, floor }: CursorSearch): number {
  if (low === null || floor === null || low.seq <= floor.seq) return 0
  return low.seq - 1
}

function found(search: CursorSearch, cursor: number): CursorSearch {
  return { ...search, next: { kind: 'found', cursor, tooLateMs: null } }
}
