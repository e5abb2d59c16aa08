import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { FakeHost } from '../../test/support/fake-host.ts'
import { FakePlc } from '../../test/support/fake-plc.ts'
import { RelayClient } from '../../test/support/relay-client.ts'
import { eventually, within } from '../../test/support/waiting.ts'
import { accountBody, createAccount } from '../../test/support/world.ts'
import type { ResolveAddresses } from '../identity/address-lookup.ts'
import { createLogger } from '../ops/logger.ts'
import { MetricsRegistry } from '../ops/metrics.ts'
import { relayOptions } from '../ops/relay-options.ts'
import { TemporaryDirectory } from '../ops/temporary-directory.ts'
import { type RunningRelay, startRelay, type StartRelayOptions } from './start-relay.ts'

const METRICS = { host: '127.0.0.1', port: 0 }

async function temporaryData(t: TestContext): Promise<string> {
  const directory = await TemporaryDirectory.create('skein-start-')
  t.after(() => directory[Symbol.asyncDispose]())
  return join(directory.path, 'data')
}

/** An address that cannot be listened on. */
async function takenAddress(t: TestContext): Promise<{ host: string; port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  return { host: '127.0.0.1', port: address.port }
}

/** Resolves when a connection to a host has failed. */
function connectionFailed({ registry }: RunningRelay): Promise<true> {
  const failed = /^skein_host_connections_total\{outcome="failed"\} [1-9]/mu
  return eventually(async () => {
    const { body } = await registry.page()
    return failed.test(body) || null
  }, 'a connection that fails')
}

async function requestCrawl({ url }: RunningRelay, hostname: string): Promise<string> {
  const response = await fetch(`${url}/xrpc/com.atproto.sync.requestCrawl`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hostname }),
  })
  return `${response.status} ${await response.text()}`
}

test('startRelay needs nothing, serves at once, and goes without a trace', async () => {
  const relay = await startRelay()
  assert.equal(relay.url, `http://${relay.address}`)
  assert.equal(relay.metricsAddress, null)
  assert.deepEqual(Object.keys(relay.signatureBackends).sort(), ['k256', 'p256'])
  const health = await fetch(`${relay.url}/xrpc/_health`)
  assert.equal(health.status, 200)
  assert.match(health.headers.get('server') ?? '', /atproto-relay/u)
  const stream = new WebSocket(`ws://${relay.address}/xrpc/com.atproto.sync.subscribeRepos`)
  const closed = once(stream, 'close')
  await within(once(stream, 'open'), 'the stream')
  assert(readdirSync(relay.directory).includes('state.sqlite'))
  await Promise.all([relay.stop(), relay.stop()])
  assert.equal((await closed)[0], 1012, 'subscribers are told to come back')
  await relay.stop()
  await relay[Symbol.asyncDispose]()
  assert(!existsSync(relay.directory))
  await assert.rejects(fetch(relay.url))
})

test('relays side by side share nothing', async () => {
  await using first = await startRelay()
  await using second = await startRelay()
  assert.notEqual(first.address, second.address)
  assert.notEqual(first.directory, second.directory)
})

test('no burst of a host is held back, as an operator’s relay would', async () => {
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  const repo = createAccount(plc, host, 'burst')
  const count = 2_500
  assert(count > relayOptions().hostEventsPerSecond * 10, 'more than such a relay takes at once')
  for (let i = 0; i < count; i++) host.send('#account', accountBody(repo.did, true))
  await using relay = await startRelay({ plc: [plc.url], hosts: [host.endpoint] })
  await using client = await RelayClient.connect(relay.address, 0)
  await client.reached(count)
  assert.equal(relay.relay.host(host.hostname)?.status, 'active')
})

test('a relay on a directory finds there what it left, and refuses a second holder', async (t) => {
  const data = await temporaryData(t)
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  const repo = createAccount(plc, host, 'kept')
  const options = { data, plc: [plc.url], hosts: [host.endpoint] }
  {
    await using relay = await startRelay(options)
    await using client = await RelayClient.connect(relay.address)
    host.send('#commit', repo.apply([]))
    await client.next()
    assert.equal(relay.directory, data)
    await assert.rejects(startRelay(options), { code: 'DATA_DIRECTORY_LOCKED' })
    assert.equal(relay.relay.health().ok, true)
  }
  await using again = await startRelay({ data, plc: [plc.url] })
  await using client = await RelayClient.connect(again.address, 0)
  assert.equal((await client.next()).body['repo'], repo.did)
  await host.connected(2)
})

test('metrics are on a page of their own when asked for', async () => {
  const registry = new MetricsRegistry()
  await using relay = await startRelay({ metricsBind: METRICS, registry })
  const page = await (await fetch(`http://${String(relay.metricsAddress)}/metrics`)).text()
  for (const name of ['skein_hosts', 'skein_log_last_seq', 'skein_signature_backend_info']) {
    assert.ok(page.includes(name), name)
  }
  assert.match(page, /^skein_build_info\{version="[^"]+",node="[^"]+"\} 1$/mu)
  assert.equal(relay.registry, registry)
})

test('whatever keeps it from starting, nothing is left open or behind', async (t) => {
  const data = await temporaryData(t)
  const bind = await takenAddress(t)
  const failures: [StartRelayOptions, string][] = [
    [{ bind }, 'ADDRESS_UNAVAILABLE'],
    [{ metricsBind: bind }, 'ADDRESS_UNAVAILABLE'],
    [{ hosts: ['https://no_such_host'] }, 'OPTION_INVALID'],
    [{ plc: [] }, 'OPTION_INVALID'],
    [{ plc: ['ftp://plc.example'] }, 'OPTION_INVALID'],
    [{ allowPrivateNetwork: false }, 'OPTION_INVALID'],
  ]
  // Where this process makes its temporary directories: what a failed start leaves is seen there.
  const parent = await TemporaryDirectory.create('skein-start-parent-')
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = parent.path
  t.after(async () => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
    await parent[Symbol.asyncDispose]()
  })
  for (const [more, code] of failures) {
    await assert.rejects(startRelay({ ...more, data }), { code })
    await assert.rejects(startRelay(more), { code })
    assert.deepEqual(readdirSync(parent.path), [], code)
  }
  {
    await using relay = await startRelay()
    assert.equal(readdirSync(parent.path).length, 1, 'it is seen there when it runs')
    assert.equal(relay.relay.health().ok, true)
  }
  assert.deepEqual(readdirSync(parent.path), [])
  await using relay = await startRelay({ data })
  assert.equal(relay.relay.health().ok, true)
})

test('every connection goes where `resolveAddresses` says', async () => {
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  await using other = await FakeHost.start()
  const asked = new Set<string>()
  let isDown = true
  const resolveAddresses: ResolveAddresses = (name) => {
    asked.add(name)
    if (isDown) return Promise.reject(new Error(`ENOTFOUND ${name}`))
    return Promise.resolve([{ address: '127.0.0.1', family: 4 }])
  }
  const endpoint = host.endpoint.replace('localhost', 'pds.example.com')
  const second = other.endpoint.replace('localhost', 'other.example.com')
  await using relay = await startRelay({
    plc: [plc.url.replace('localhost', 'plc.example.com')],
    hosts: [endpoint],
    resolveAddresses,
  })
  await connectionFailed(relay)
  assert.match(await requestCrawl(relay, second), /^400 .*HostNotFound/u)
  assert.deepEqual([...asked].sort(), ['other.example.com', 'pds.example.com'])
  assert.equal(host.cursors.length + other.describeRequests, 0)
  isDown = false
  assert.match(await requestCrawl(relay, second), /^200/u)
  assert.equal(other.describeRequests, 1)
  await host.connected()
  const repo = createAccount(plc, host, 'resolved')
  plc.set(repo.did, { key: repo.key.publicKey, endpoint })
  await using client = await RelayClient.connect(relay.address)
  host.send('#commit', repo.apply([]))
  assert.equal((await client.next()).body['repo'], repo.did)
  assert(asked.has('plc.example.com'))
})

test('what `resolveAddresses` says must be an address that is allowed', async () => {
  const asked: string[] = []
  const lines: string[] = []
  await using relay = await startRelay({
    allowPrivateNetwork: false,
    plc: ['https://plc.example.com'],
    hosts: ['pds.example.com'],
    logger: createLogger({ level: 'debug', format: 'json', write: (line) => lines.push(line) }),
    resolveAddresses(name) {
      asked.push(name)
      return Promise.resolve([{ address: '127.0.0.1', family: 4 }])
    },
  })
  await connectionFailed(relay)
  const failure = lines.find((line) => line.includes('host: connection failed'))
  assert.match(failure ?? '', /127\.0\.0\.1 is loopback, not public/u)
  const answer = await requestCrawl(relay, 'other.example.com')
  assert.match(answer, /^400 .*127\.0\.0\.1 is loopback, not public/u)
  assert.deepEqual(asked.sort(), ['other.example.com', 'pds.example.com'])
})
