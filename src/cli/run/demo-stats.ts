/** Facts for the demo's screen, from the relay's metrics and the network's own counts. */
import type { Clock } from '../../lib/clock.ts'
import type { MetricsRegistry } from '../../ops/metrics.ts'
import type { SimNetwork } from '../../sim/network.ts'
import type { DemoFacts } from './demo-screen.ts'

export interface DemoStatsOptions {
  readonly registry: Pick<MetricsRegistry, 'page'>
  readonly network: SimNetwork
  readonly clock: Clock
}

/** Values of a metric on a page, by the values of its labels; without those that are 0. */
export function metricValues(page: string, name: string): Readonly<Record<string, number>> {
  const values: Record<string, number> = {}
  for (const line of page.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? ([\d.e+-]+)$/u.exec(line)
    if (match === null || match[1] !== name || Number(match[3]) === 0) continue
    values[(match[2] ?? '').replaceAll(/\w+="([^"]*)"/gu, '$1')] = Number(match[3])
  }
  return values
}

function sumOf(values: Readonly<Record<string, number>>): number {
  return Object.values(values).reduce((sum, value) => sum + value, 0)
}

/** Remembers the last look, for rates. */
export class DemoStats {
  readonly #options: DemoStatsOptions
  readonly #startedMs: number
  #last: { readonly atMs: number; readonly verified: number }

  constructor(options: DemoStatsOptions) {
    this.#options = options
    this.#startedMs = options.clock.monotonicMs()
    this.#last = { atMs: this.#startedMs, verified: 0 }
  }

  async facts(): Promise<DemoFacts> {
    const { registry, network, clock } = this.#options
    const { body } = await registry.page()
    const atMs = clock.monotonicMs()
    const verified = sumOf(metricValues(body, 'skein_events_emitted_total'))
    const elapsed = (atMs - this.#last.atMs) / 1_000
    const perSecond = elapsed > 0 ? Math.round((verified - this.#last.verified) / elapsed) : 0
    this.#last = { atMs, verified }
    const seconds = metricValues(body, 'skein_event_seconds_sum')[''] ?? 0
    const count = metricValues(body, 'skein_event_seconds_count')[''] ?? 0
    return {
      seconds: Math.round((atMs - this.#startedMs) / 1_000),
      hosts: {
        connected: network.hosts.filter(({ connections }) => connections > 0).length,
        known: network.hosts.length,
      },
      accounts: sumOf(metricValues(body, 'skein_accounts')),
      verified,
      perSecond,
      refused: metricValues(body, 'skein_events_dropped_total'),
      lies: network.simulation.ledger.count,
      behind:
        Math.max(...network.hosts.map((front, i) => this.#behind(front.servedSeq, i))) +
        (metricValues(body, 'skein_deferred_events')[''] ?? 0) +
        (metricValues(body, 'skein_sequencer_queue_events')[''] ?? 0),
      latencyMs: count === 0 ? null : (seconds / count) * 1_000,
      subscribers: metricValues(body, 'skein_subscribers')[''] ?? 0,
      faults: sumOf(Object.fromEntries(network.faults.fired())),
    }
  }

  /** Events of a host that have not been sent to the relay; none is known while it is away. */
  #behind(servedSeq: number | null, host: number): number {
    const { publishedSeq } = this.#options.network.simulation.host(host).log
    return servedSeq === null ? 0 : publishedSeq - servedSeq
  }
}
