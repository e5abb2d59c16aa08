/** From socket to socket: when hosts sent commits, and when they came to a subscriber. */
import { must } from '../../src/lib/assert.ts'
import type { StepTimes } from './hosts.ts'
import type { Arrivals } from './subscribers.ts'

/** Milliseconds, of all commits that came. */
export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** When commits set out, microseconds, by what they are known by. */
export type Departures = ReadonlyMap<string, number>

/**
 * @param steps Of each host, in order.
 * @param fromSeqs Seq of each host after which the steps begin; moved on to where they end.
 */
export function departures(
  steps: readonly StepTimes[],
  fromSeqs: number[],
  keys: readonly (readonly (string | null)[])[],
): Departures {
  const found = new Map<string, number>()
  for (const [host, { seqs, timesUs }] of steps.entries()) {
    let seq = must(fromSeqs[host], 'host')
    for (const [i, end] of seqs.entries()) {
      for (; seq < end; seq++) {
        const key = must(keys[host], 'host')[seq]
        if (key !== null && key !== undefined) found.set(key, must(timesUs[i], 'time'))
      }
    }
    fromSeqs[host] = seq
  }
  return found
}

/** Commits that came and how long they took; null when none came. */
export function latencyOf(
  sent: Departures,
  { keys, timesUs }: Arrivals,
): { readonly commits: number; readonly latency: Latency | null } {
  const times: number[] = []
  for (const [i, key] of keys.entries()) {
    const sentUs = sent.get(key)
    if (sentUs !== undefined) times.push((must(timesUs[i], 'time') - sentUs) / 1_000)
  }
  const sorted = Float64Array.from(times).sort()
  const at = (share: number): number =>
    must(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))], 'time')
  const latency = sorted.length === 0 ? null : { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
  return { commits: sorted.length, latency }
}
