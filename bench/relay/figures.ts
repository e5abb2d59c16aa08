/** Rounds put together to figures. */
import { median } from '../bench.ts'
import type { Latency } from './latencies.ts'
import { type Part, PARTS, type Round } from './session.ts'

/** A figure of several rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** What a load of one kind did, over its rounds. Latency, CPU and memory are medians. */
export interface LoadFigures {
  readonly subscribers: number
  /** Events a second that were let go; null: as many as the relay took. */
  readonly rate: number | null
  readonly rounds: number
  readonly events_per_round: number
  /** Events that never came to the metering subscriber, over all rounds. */
  readonly events_missing: number
  readonly commits_per_s: Spread
  readonly deliveries_per_s: Spread
  readonly megabytes_per_s: number
  readonly latency: Latency | null
  /** Null where the system does not tell, as all that has to do with CPU and memory. */
  readonly cpu_s_per_million_events: Readonly<Record<Part, number>> | null
  /** CPU of the relay alone, intake included. */
  readonly relay_cpu_s_per_million_deliveries: number | null
  readonly rss_mib: number | null
  readonly rss_peak_mib: number | null
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    median: rounded(median(values)),
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
  }
}

/** Two places after the point, and no more than four digits before it that mean something. */
export function rounded(value: number): number {
  return Math.abs(value) >= 1_000 ? Math.round(value) : Math.round(value * 100) / 100
}

export function loadFigures(
  rounds: readonly Round[],
  { subscribers, rate }: Pick<LoadFigures, 'subscribers' | 'rate'>,
): LoadFigures {
  const middle = (of: (round: Round) => number): number => rounded(median(rounds.map(of)))
  const known = rounds.flatMap(({ cpuUs, ...rest }) => (cpuUs === null ? [] : [{ cpuUs, ...rest }]))
  const hasCpu = known.length === rounds.length
  const cpu = (part: Part): number =>
    rounded(median(known.map(({ cpuUs, received }) => cpuUs[part] / received)))
  const latencies = rounds.flatMap(({ latency }) => latency ?? [])
  const relays = rounds.flatMap(({ relay }) => relay ?? [])
  return {
    subscribers,
    rate,
    rounds: rounds.length,
    events_per_round: middle(({ sent }) => sent),
    events_missing: rounds.reduce((sum, { sent, received }) => sum + sent - received, 0),
    commits_per_s: spreadOf(rounds.map(({ commits, seconds }) => commits / seconds)),
    deliveries_per_s: spreadOf(rounds.map(({ deliveries, seconds }) => deliveries / seconds)),
    megabytes_per_s: middle(({ bytes, seconds }) => bytes / seconds / 1e6),
    latency: latencies.length === 0 ? null : middleLatency(latencies),
    cpu_s_per_million_events: hasCpu
      ? (Object.fromEntries(PARTS.map((part) => [part, cpu(part)])) as Record<Part, number>)
      : null,
    relay_cpu_s_per_million_deliveries: hasCpu
      ? rounded(median(known.map(({ cpuUs, deliveries }) => cpuUs.relay / deliveries)))
      : null,
    rss_mib: relays.length === 0 ? null : rounded(median(relays.map(({ rssMib }) => rssMib))),
    rss_peak_mib:
      relays.length === 0 ? null : rounded(Math.max(...relays.map(({ rssPeakMib }) => rssPeakMib))),
  }
}

function middleLatency(latencies: readonly Latency[]): Latency {
  const middle = (of: (latency: Latency) => number): number => rounded(median(latencies.map(of)))
  return {
    p50Ms: middle(({ p50Ms }) => p50Ms),
    p99Ms: middle(({ p99Ms }) => p99Ms),
    maxMs: rounded(Math.max(...latencies.map(({ maxMs }) => maxMs))),
  }
}
