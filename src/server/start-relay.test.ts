import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../ops/logger.ts'
import { MetricsRegistry } from '../ops/metrics.ts'
import { createRelayMetrics } from '../ops/relay-metrics.ts'
import { relayOptions, type RelayOptions } from '../ops/relay-options.ts'
import { type RunningRelay, startRelay } from './start-relay.ts'

async function dataDirectory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'skein-start-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return join(path, 'data')
}

function start(data: string, more: Partial<RelayOptions> = {}): Promise<RunningRelay> {
  const registry = new MetricsRegistry()
  const options = relayOptions({
    data,
    bind: { host: '127.0.0.1', port: 0 },
    metricsBind: { host: '127.0.0.1', port: 0 },
    drainTimeout: 0,
    ...more,
  })
  const metrics = createRelayMetrics(registry)
  return startRelay(options, { logger: silentLogger, registry, metrics, clock: systemClock })
}

test('a relay serves health and metrics, and stops twice as well as once', async (t) => {
  const data = await dataDirectory(t)
  const relay = await start(data)
  const health = await fetch(`http://${relay.address}/xrpc/_health`)
  assert.equal(health.status, 200)
  assert.match(health.headers.get('server') ?? '', /atproto-relay/u)
  const page = await (await fetch(`http://${String(relay.metricsAddress)}/metrics`)).text()
  for (const name of ['skein_hosts', 'skein_log_last_seq', 'skein_signature_backend_info']) {
    assert.ok(page.includes(name), name)
  }
  assert.deepEqual(Object.keys(relay.signatureBackends).sort(), ['k256', 'p256'])
  await Promise.all([relay.stop(), relay.stop()])
  await assert.rejects(fetch(`http://${relay.address}/xrpc/_health`))
  await (await start(data)).stop()
})

test('whatever keeps it from starting, nothing is left open', async (t) => {
  const data = await dataDirectory(t)
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const bind = { host: '127.0.0.1', port }
  const failures: [Partial<RelayOptions>, string][] = [
    [{ bind }, 'ADDRESS_UNAVAILABLE'],
    [{ metricsBind: bind }, 'ADDRESS_UNAVAILABLE'],
    [{ hosts: ['https://no_such_host'] }, 'OPTION_INVALID'],
  ]
  for (const [more, code] of failures) await assert.rejects(start(data, more), { code })
  const relay = await start(data)
  await assert.rejects(start(data), { code: 'DATA_DIRECTORY_LOCKED' })
  assert.equal(relay.relay.health().ok, true)
  await relay.stop()
})
