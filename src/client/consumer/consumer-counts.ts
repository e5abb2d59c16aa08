/** What a consumer counts. */
import type { Reason } from '../../lib/reasons.ts'
import type { ConsumerStats } from './consumer-types.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Counts that only rise; the rest of {@link ConsumerStats} is looked up when it is asked for. */
export interface ConsumerCounts {
  received: number
  delivered: number
  operations: number
  readonly skipped: Mutable<ConsumerStats['skipped']>
  readonly refused: Partial<Record<Reason, number>>
  readonly unverifiable: Partial<Record<Reason, number>>
  readonly desynchronized: Record<string, number>
  gaps: number
  handlerFailures: number
  saves: number
}

export function newCounts(): ConsumerCounts {
  return {
    received: 0,
    delivered: 0,
    operations: 0,
    skipped: { filtered: 0, stale: 0, desynchronized: 0, finished: 0 },
    refused: {},
    unverifiable: {},
    desynchronized: {},
    gaps: 0,
    handlerFailures: 0,
    saves: 0,
  }
}

/** One more of `reason`. */
export function count(counts: Partial<Record<string, number>>, reason: string): void {
  counts[reason] = (counts[reason] ?? 0) + 1
}
