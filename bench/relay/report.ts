/** The figures as text. */
import type { LoadFigures } from './figures.ts'
import type { LiveFigures } from './live.ts'
import { PARTS } from './session.ts'

export type Say = (line: string) => void

function amount(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 })
}

export function sayLive(say: Say, figures: LiveFigures): void {
  const { subscribers, saturated, paced, cpu_s_per_million_added_deliveries: cost } = figures
  say(`live, ${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}`)
  for (const load of [saturated, ...paced]) sayLoad(say, load)
  if (cost !== null) {
    say(`  CPU s of the relay per million deliveries beyond the first subscriber: ${amount(cost)}`)
  }
  const disk = Object.entries(figures.disk_bytes_per_event)
  say(`  bytes on disk per event: ${disk.map(([name, n]) => `${name} ${amount(n)}`).join(', ')}`)
  say('')
}

function sayLoad(say: Say, load: LoadFigures): void {
  const { rate, commits_per_s: commits, latency, events_missing: missing } = load
  const head = rate === null ? 'full load' : `${amount(rate)} events/s`
  say(
    `  ${head}, ${load.subscribers} subscribers, ${load.rounds} × ${load.events_per_round} events`,
  )
  say(
    `    commits/s           ${amount(commits.median)} ` +
      `(${amount(commits.min)} to ${amount(commits.max)})`,
  )
  say(
    `    deliveries/s        ${amount(load.deliveries_per_s.median)}, ` +
      `${amount(load.megabytes_per_s)} MB/s`,
  )
  if (latency !== null) {
    const { p50Ms, p99Ms, maxMs } = latency
    say(`    latency ms          p50 ${p50Ms}, p99 ${p99Ms}, most ${maxMs}`)
  }
  const cpu = load.cpu_s_per_million_events
  if (cpu !== null) {
    const parts = PARTS.map((part) => `${part} ${amount(cpu[part])}`).join(', ')
    say(`    CPU s/million events ${parts}`)
    say(`    relay CPU s/million deliveries ${load.relay_cpu_s_per_million_deliveries}`)
    say(`    relay RSS MiB       ${load.rss_mib}, most ${load.rss_peak_mib}`)
  }
  if (missing > 0) say(`    never came          ${missing} events`)
}
