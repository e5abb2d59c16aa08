import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { REASONS } from '../lib/reasons.ts'
import { metricsMarkdown, MetricsRegistry, type MetricTable } from './metrics.ts'
import {
  createRelayMetrics,
  RELAY_METRICS,
  sampleHosts,
  sampleSubscribers,
  SERIES_MAX,
} from './relay-metrics.ts'

async function linesOf(registry: MetricsRegistry, prefix: string): Promise<string[]> {
  const { body } = await registry.page()
  return body.split('\n').filter((line) => line.startsWith(prefix))
}

describe('MetricsRegistry', () => {
  const TABLE = {
    plain: { kind: 'counter', name: 'plain_total', help: 'P.' },
    kinds: { kind: 'counter', name: 'kinds_total', help: 'K.', labels: ['kind'] },
    level: { kind: 'gauge', name: 'level', help: 'L.', labels: ['host'] },
    took: { kind: 'histogram', name: 'took_seconds', help: 'T.', buckets: [1, 2] },
  } as const satisfies MetricTable

  test('counters, gauges and histograms are rendered', async () => {
    const registry = new MetricsRegistry()
    const metrics = registry.register(TABLE)
    metrics.plain.add(2)
    metrics.kinds.add(1, { kind: 'a' })
    const bound = metrics.kinds.with({ kind: 'a' })
    bound.add(4)
    metrics.took.observe(1.5)
    assert.deepEqual(await linesOf(registry, 'plain_total'), ['plain_total 2'])
    assert.deepEqual(await linesOf(registry, 'kinds_total'), ['kinds_total{kind="a"} 5'])
    assert.deepEqual(await linesOf(registry, 'took_seconds_bucket'), [
      'took_seconds_bucket{le="1"} 0',
      'took_seconds_bucket{le="2"} 1',
      'took_seconds_bucket{le="+Inf"} 1',
    ])
  })

  test('two registries do not share anything', async () => {
    const [first, second] = [new MetricsRegistry(), new MetricsRegistry()]
    first.register(TABLE).plain.add(1)
    second.register(TABLE)
    assert.deepEqual(await linesOf(second, 'plain_total'), ['plain_total 0'])
  })

  test('replace drops old series, keeps the greatest and says how many it left out', async () => {
    const registry = new MetricsRegistry()
    const { level } = registry.register(TABLE)
    level.set(9, { host: 'gone' })
    const rows = [3, 1, 2].map((value) => ({ labels: { host: `h${value}` }, value }))
    assert.equal(level.replace(rows, 2), 1)
    assert.deepEqual(await linesOf(registry, 'level{'), [
      'level{host="h3"} 3',
      'level{host="h2"} 2',
    ])
  })

  test('collectors run at each scrape until they are removed', async () => {
    const registry = new MetricsRegistry()
    let calls = 0
    const remove = registry.onScrape(() => void calls++)
    await registry.page()
    await registry.page()
    remove()
    await registry.page()
    assert.equal(calls, 2)
  })

  test('process metrics are there when asked for', async () => {
    const registry = new MetricsRegistry()
    registry.registerProcessMetrics()
    assert.equal((await linesOf(registry, 'process_resident_memory_bytes')).length, 1)
  })
})

describe('relay metrics', () => {
  test('names follow the conventions and are unique', () => {
    const specs = Object.values(RELAY_METRICS)
    assert.equal(new Set(specs.map((spec) => spec.name)).size, specs.length)
    for (const { name, kind, help } of specs) {
      assert.match(name, /^skein_[a-z_]+$/)
      assert.equal(name.endsWith('_total'), kind === 'counter', name)
      assert.match(help, /\.$/)
    }
  })

  test('every reason has a counter from the start', async () => {
    const registry = new MetricsRegistry()
    const metrics = createRelayMetrics(registry)
    metrics.eventsDropped.add(1, { reason: 'signature-invalid' })
    const lines = await linesOf(registry, 'skein_events_dropped_total{')
    assert.equal(lines.length, Object.keys(REASONS).length)
    assert(lines.includes('skein_events_dropped_total{reason="signature-invalid"} 1'))
    assert(lines.includes('skein_events_dropped_total{reason="rev-stale"} 0'))
  })

  test('series by host and subscriber are bounded and forget who left', async () => {
    const registry = new MetricsRegistry()
    const metrics = createRelayMetrics(registry)
    const hosts = Array.from({ length: SERIES_MAX + 5 }, (_, i) => ({
      hostname: `h${i}.test`,
      status: i === 0 ? 'idle' : 'active',
      lagSeconds: i === 1 ? null : i,
      queuedEvents: i,
    }))
    sampleHosts(metrics, hosts)
    assert.equal((await linesOf(registry, 'skein_host_lag_seconds{')).length, SERIES_MAX)
    assert.deepEqual(await linesOf(registry, 'skein_host_series_omitted'), [
      'skein_host_series_omitted 5',
    ])
    assert.deepEqual(await linesOf(registry, 'skein_hosts{status="idle"}'), [
      'skein_hosts{status="idle"} 1',
    ])
    sampleHosts(metrics, [])
    assert.deepEqual(await linesOf(registry, 'skein_host_lag_seconds{'), [])
    sampleSubscribers(metrics, [{ id: 's1', lagSeconds: 2, bufferedBytes: 10 }])
    assert.deepEqual(await linesOf(registry, 'skein_subscribers '), ['skein_subscribers 1'])
  })

  test('the page of the documentation names every metric', () => {
    const page = metricsMarkdown('Metrics', RELAY_METRICS)
    for (const { name } of Object.values(RELAY_METRICS)) assert(page.includes(`\`${name}\``), name)
  })
})
