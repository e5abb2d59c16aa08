/** How a relay's life is to end, drawn by chance. */
import { CRASH_POINTS, type CrashPoint } from '../../src/lib/crash-point.ts'
import type { Random } from '../../src/lib/random.ts'

/** A kill from outside at some time, or one from within at a crash point. */
export type KillPlan =
  /** Milliseconds after the relay was spawned: it may be starting. */
  | { readonly kind: 'start'; readonly afterMs: number }
  /** Milliseconds after it began to serve, or after events began to come out. */
  | { readonly kind: 'time'; readonly afterMs: number; readonly from: 'serving' | 'flowing' }
  /** It is killed from outside when it has not come there in time: so long after events flow. */
  | {
      readonly kind: 'point'
      readonly point: CrashPoint
      readonly nth: number
      readonly patienceMs: number
    }

/** Points that a life of a second does not come to: old segments are looked for once a minute. */
const OUT_OF_REACH: ReadonlySet<CrashPoint> = new Set([
  'segment.dropping',
  'segment.frames-removed',
  'segment.dropped',
  // The disk does not fail here, the schema is new once, and hosts are added once.
  'log.failed',
  'store.migrated',
  'store.host-added',
])

export const POINTS_IN_REACH: readonly CrashPoint[] = (
  Object.keys(CRASH_POINTS) as CrashPoint[]
).filter((point) => !OUT_OF_REACH.has(point))

/** Points of a start, which come once. */
const ONCE = /^(?:lock|start|log-recovery|relay-recovery)\.|^log\.closing$/u
/** Points that come a few times in a life, and those that come with every batch. */
const RARE = /^(?:segment|purge)\.|^relay\.purging$/u
const RARE_MAX = 2
const BATCHES_MAX = 6
/** Share of kills at a point, and of kills while the relay starts. */
const POINT_SHARE = 0.5
const START_SHARE = 0.1
/** How long a relay serves at most before it is killed from outside, ms. */
const SERVES_MS = 400
/** How long it may serve before it comes to a point: others are never passed in its life. */
const POINT_PATIENCE_MS = 900

/** @param startMs How long a start takes. */
export function drawKill(random: Random, startMs: number): KillPlan {
  const dice = random.next()
  if (dice < START_SHARE) return { kind: 'start', afterMs: random.next() * startMs }
  if (dice >= START_SHARE + POINT_SHARE) {
    const from = random.next() < 0.5 ? 'serving' : 'flowing'
    return { kind: 'time', afterMs: random.next() * SERVES_MS, from }
  }
  const point = POINTS_IN_REACH[Math.floor(random.next() * POINTS_IN_REACH.length)]
  if (point === undefined) throw new Error('there are points')
  const most = ONCE.test(point) ? 1 : RARE.test(point) ? RARE_MAX : BATCHES_MAX
  const nth = 1 + Math.floor(random.next() * most)
  return { kind: 'point', point, nth, patienceMs: POINT_PATIENCE_MS }
}
