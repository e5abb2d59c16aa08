/** The figures as text. */
import type { LoadFigures } from './figures.ts'
import type { Latency } from './latencies.ts'
import type { LiveFigures } from './live.ts'
import { HAS_PROCESS_FIGURES } from './process-figures.ts'
import type { ReplayFigures } from './replay.ts'
import type { Comparison, Machine } from './result.ts'
import { PARTS } from './session.ts'
import type { TrafficFacts } from './traffic.ts'

/** Prints one line. */
export type Say = (line: string) => void

const NAME_CHARS = 34

function amount(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 })
}

function people(subscribers: number): string {
  return `${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}`
}

/** What stands before the figures. */
export function sayHead(say: Say, relay: string, machine: Machine, traffic: TrafficFacts): void {
  const { hosts, accounts, events, commits, bytesPerEvent } = traffic
  say(`${relay} on ${machine.cores} cores (${machine.cpu}), ${machine.system}, ${machine.node}`)
  const share = Math.round((100 * commits) / events)
  say(`${hosts} hosts, ${accounts} accounts; ${share} % commits, ${bytesPerEvent} bytes an event`)
  if (!HAS_PROCESS_FIGURES) say('no CPU and memory: this system has no /proc')
  say('')
}

export function sayLive(say: Say, figures: LiveFigures): void {
  const { subscribers, saturated, paced, cpu_s_per_million_added_deliveries: cost } = figures
  say(`live, ${people(subscribers)}`)
  for (const load of [saturated, ...paced]) sayLoad(say, load)
  if (cost !== null) {
    say(`  relay CPU s per million deliveries beyond the first subscriber: ${amount(cost)}`)
  }
  for (const [reason, count] of Object.entries(figures.dropped)) {
    say(`  dropped by the relay: ${amount(count)} events, ${reason}`)
  }
  const disk = Object.entries(figures.disk_bytes_per_event).filter(([, bytes]) => bytes >= 1)
  say(`  bytes on disk per event: ${disk.map(([name, n]) => `${name} ${amount(n)}`).join(', ')}`)
  say('')
}

function sayFigure(say: Say, name: string, text: string): void {
  say(`    ${name.padEnd(NAME_CHARS)}${text}`)
}

function sayLatency(say: Say, name: string, latency: Latency | null): void {
  if (latency === null) return
  const { p50Ms, p99Ms, maxMs } = latency
  sayFigure(say, name, `p50 ${amount(p50Ms)}, p99 ${amount(p99Ms)}, most ${amount(maxMs)}`)
}

function sayLoad(say: Say, load: LoadFigures): void {
  const { rate, commits_per_s: commits, cpu_s_per_million_events: cpu } = load
  const head = rate === null ? 'as much as the relay takes' : `${amount(rate)} events/s`
  say(`  ${head}, ${people(load.subscribers)}, ${load.rounds} × ${load.events_per_round} events`)
  const range = `${amount(commits.min)} to ${amount(commits.max)}`
  sayFigure(say, 'commits/s', `${amount(commits.median)} (${range})`)
  const speed = `${amount(load.deliveries_per_s.median)}, ${amount(load.megabytes_per_s)} MB/s`
  sayFigure(say, 'deliveries/s', speed)
  sayLatency(say, 'ms from socket to socket', load.latency)
  if (cpu !== null) {
    const parts = PARTS.map((part) => `${part} ${amount(cpu[part])}`).join(', ')
    sayFigure(say, 'CPU s/million events', parts)
    const deliveries = load.relay_cpu_s_per_million_deliveries ?? 0
    sayFigure(say, 'relay CPU s/million deliveries', amount(deliveries))
    const most = amount(load.rss_peak_mib ?? 0)
    sayFigure(say, 'relay RSS MiB', `${amount(load.rss_mib ?? 0)}, most so far ${most}`)
  }
  if (load.events_missing > 0) sayFigure(say, 'events that never came', `${load.events_missing}`)
}

export function sayReplay(say: Say, figures: ReplayFigures): void {
  const { subscribers, events_per_s: events, live } = figures
  say(`replay, ${people(subscribers)}, ${figures.rounds} × ${figures.events_each} events each`)
  const range = `${amount(events.min)} to ${amount(events.max)}`
  sayFigure(say, 'events/s to all', `${amount(events.median)} (${range})`)
  sayFigure(say, 'MB/s to all', amount(figures.megabytes_per_s))
  const cpu = figures.relay_cpu_s_per_million_deliveries
  if (cpu !== null) {
    const readers = amount(figures.subscribers_cpu_s_per_million_deliveries ?? 0)
    sayFigure(say, 'CPU s/million deliveries', `relay ${amount(cpu)}, subscribers ${readers}`)
  }
  if (figures.rss_mib !== null) {
    const most = amount(figures.rss_peak_mib ?? 0)
    sayFigure(say, 'relay RSS MiB', `${amount(figures.rss_mib)}, most so far ${most}`)
  }
  sayLatency(say, `ms of another, live at ${live.rate}/s`, live.alone)
  sayLatency(say, '  while these replay', live.meanwhile)
  sayFigure(say, '  replayed meanwhile, events/s', amount(live.replayed_per_s))
  say('')
}

export function sayComparison(say: Say, path: string, comparisons: readonly Comparison[]): void {
  if (comparisons.length === 0) return
  say(`beside ${path}`)
  const width = Math.max(...comparisons.map(({ figure }) => figure.length))
  for (const { figure, now, before, ratio } of comparisons) {
    const numbers = [now, before].map((value) => amount(value).padStart(10)).join('')
    say(`  ${figure.padEnd(width)}${numbers}  × ${ratio}`)
  }
}
