import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFERRED_PER_DID_MAX } from '../../src/relay/admission.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { rest } from '../support/jumping-clock.ts'
import { FakeHost, type FakeHostOptions } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { didOf, RelayClient } from '../support/relay-client.ts'
import type { SignedRepo } from '../support/signed-repo.ts'
import { TestRelay } from '../support/test-relay.ts'
import { eventually } from '../support/waiting.ts'
import {
  accountBody,
  createAccount,
  identityBody,
  startWorld,
  type World,
} from '../support/world.ts'

const statusOf = ({ host, relay }: World): string | undefined =>
  relay.relay.host(host.hostname)?.status

test('I9: a host over its rate is held back, and loses nothing', async () => {
  await using world = await startWorld({ hostEventsPerSecond: 5 })
  const { host, relay, client } = world
  const repo = world.account('too fast')
  const count = 80
  for (let i = 0; i < count; i++) host.send('#account', accountBody(repo.did, true, `n${i}`))
  // Ten seconds' worth at once, and one more that begins the pause.
  await client.reached(51)
  assert.equal(statusOf(world), 'throttled')
  assert.ok(client.lastSeq < count)
  await relay.clock.jumpUntil(client.reached(count), 1_000)
  assert.deepEqual(
    client.frames.map(({ body }) => body['status']),
    Array.from({ length: count }, (_, i) => `n${i}`),
  )
  assert.deepEqual(await relay.drops(), {})
  await eventually(() => (statusOf(world) === 'active' ? true : null), 'an active host')
})

test('I9: large events count for as many as they are in bytes', async () => {
  await using world = await startWorld({ hostEventsPerSecond: 5 })
  const { host, relay, client } = world
  const repo = world.account('too large')
  const count = 8
  for (let i = 0; i < count; i++) {
    host.send('#account', { ...accountBody(repo.did, true), pad: new Uint8Array(200_000) })
  }
  // Ten seconds' worth are fifty small events; of these, each counts for thirteen.
  await client.reached(4)
  const isDecided = (): true | null =>
    statusOf(world) === 'throttled' || client.lastSeq === count ? true : null
  await eventually(isDecided, 'held back, or all there')
  assert.equal(statusOf(world), 'throttled')
  assert.ok(client.lastSeq < count)
  await relay.clock.jumpUntil(client.reached(count), 1_000)
  assert.deepEqual(await relay.drops(), {})
})

test('I9: a host with too many undecided events is not read on until there are fewer', async () => {
  await using world = await startWorld({ hostEventsPerSecond: 10_000 })
  const { plc, host, relay, client } = world
  plc.setMode('hang')
  const repos = Array.from({ length: 120 }, (_, i) => world.account(`undecided ${i}`))
  const eventsEach = 50
  for (let i = 0; i < eventsEach; i++) {
    for (const { did } of repos) host.send('#account', accountBody(did, true))
  }
  const pending = (): number => [...relay.relay.hostSamples()][0]?.queuedEvents ?? 0
  await eventually(() => (pending() >= 5_000 ? true : null), '5,000 undecided events')
  await rest()
  assert.equal(pending(), 5_000)
  plc.setMode('answer')
  const total = repos.length * eventsEach
  await relay.clock.jumpUntil(client.reached(total), 1_000)
  assert.deepEqual(await relay.drops(), {})
})

test('I9: what waits of one host has a bound in bytes, and other hosts pass meanwhile', async () => {
  await using other = await FakeHost.start()
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  await using relay = await TestRelay.start({
    plc: [plc.url],
    hosts: [host.endpoint, other.endpoint],
    hostEventsPerSecond: 1_000_000,
  })
  await using client = await RelayClient.connect(relay.address)
  const passing = createAccount(plc, other, 'passes meanwhile')
  other.send('#account', accountBody(passing.did, true))
  await client.reached(1)
  plc.setMode('hang')
  const pad = new Uint8Array(3_000_000)
  const count = 12
  const repos = Array.from({ length: count }, (_, i) => createAccount(plc, host, `heavy ${i}`))
  for (const { did } of repos) host.send('#account', { ...accountBody(did, true), pad })
  // The sixth crosses 16 MiB, and nothing is read after it.
  const waiting = async (): Promise<number> =>
    (await relay.metric('skein_deferred_events'))[''] ?? 0
  await eventually(async () => ((await waiting()) >= 6 ? true : null), 'six events that wait')
  await rest()
  assert.equal(await waiting(), 6)
  other.send('#account', accountBody(passing.did, true))
  await client.reached(2)
  plc.setMode('answer')
  await relay.clock.jumpUntil(client.reached(2 + count), 1_000)
  assert.deepEqual(await relay.drops(), {})
})

test('I9: one account that cannot be resolved takes a bounded place', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  const repo = world.account('overflow')
  plc.setMode('hang')
  for (let i = 0; i < DEFERRED_PER_DID_MAX + 5; i++) {
    host.send('#account', accountBody(repo.did, true, `n${i}`))
  }
  // At first the host is held back: the answer may come at any moment.
  await rest()
  assert.deepEqual(await relay.drops(), {})
  assert.deepEqual(await relay.metric('skein_deferred_events'), { '': DEFERRED_PER_DID_MAX })
  await relay.clock.jumpUntil(relay.dropped('deferred-overflow', 5), 1_000)
  plc.setMode('answer')
  await relay.clock.jumpUntil(client.reached(DEFERRED_PER_DID_MAX), 1_000)
  assert.equal(client.frames.at(-1)?.body['status'], `n${DEFERRED_PER_DID_MAX - 1}`)
  assert.deepEqual(await relay.drops(), { 'deferred-overflow': 5 })
})

test('accounts beyond the limit of a host that came by request are throttled', async () => {
  await using world = await startWorld({ hosts: [], hostAccountLimit: 2 })
  const { host, relay, client } = world
  assert.equal((await relay.requestCrawl(host.hostname)).status, 200)
  await host.connected()
  const [first, second, third] = ['first', 'second', 'third'].map((seed) =>
    world.account(seed),
  ) as [SignedRepo, SignedRepo, SignedRepo]
  for (const repo of [first, second]) {
    host.send('#commit', repo.apply([]))
    assert.equal(didOf(await client.next()), repo.did)
  }
  host.send('#commit', third.apply([]))
  await relay.dropped('account-throttled')
  assert.equal(statusOf(world), 'throttled')
  assert.equal(relay.relay.account(third.did), null)
  // A place that becomes free can be taken.
  host.send('#account', accountBody(first.did, false, 'deleted'))
  assert.equal(didOf(await client.next()), first.did)
  host.send('#commit', third.apply([]))
  assert.equal(didOf(await client.next()), third.did)
  assert.equal(statusOf(world), 'throttled')
})

test('requests to crawl a host end as the host deserves', async () => {
  await using world = await startWorld({ hosts: [] })
  const { host, relay, client } = world
  const outcome = async (hostname: string): Promise<[number, string | null]> => {
    const { status, body } = await relay.requestCrawl(hostname)
    return [status, body === null ? null : (body as { error: string }).error]
  }
  const probed = async (
    options: FakeHostOptions,
    mode: FakeHost['describeMode'],
  ): Promise<unknown> => {
    await using other = await FakeHost.start(options)
    other.describeMode = mode
    const answer = await outcome(other.hostname)
    assert.equal(other.describeRequests, 1, 'it was asked')
    assert.equal(relay.relay.host(other.hostname), null, 'it is not kept')
    return answer
  }
  assert.deepEqual(await outcome('not a host'), [400, 'InvalidRequest'])
  assert.deepEqual(await outcome('http://localhost:1'), [400, 'HostNotFound'])
  assert.deepEqual(await probed({}, 'fail'), [400, 'HostNotFound'])
  assert.deepEqual(await probed({}, 'nonsense'), [400, 'HostNotFound'])
  const serverHeader = 'other-relay/1.0 (atproto-relay)'
  assert.deepEqual(await probed({ serverHeader }, 'answer'), [400, 'HostNotFound'])
  assert.deepEqual(await outcome(relay.address.replace('127.0.0.1', 'localhost')), [
    400,
    'HostNotFound',
  ])
  assert.deepEqual(await outcome(host.hostname), [200, null])
  await host.connected()
  const repo = world.account('crawled')
  host.send('#commit', repo.apply([]))
  await client.next()
  assert.deepEqual(await outcome(host.hostname.toUpperCase()), [200, null], 'known already')
  assert.ok(await relay.relay.banHost(host.hostname))
  assert.deepEqual(await outcome(host.hostname), [400, 'HostBanned'])
  assert.equal(relay.relay.host(host.hostname)?.status, 'banned')
  assert.equal(host.connections, 0)
  assert.deepEqual(await relay.metric('skein_crawl_requests_total'), {
    'invalid-hostname': 1,
    unreachable: 5,
    accepted: 2,
    banned: 1,
  })
})

test('a call for a waiting host makes the relay try it at once', async () => {
  await using world = await startWorld({ hosts: [] })
  const { host, relay } = world
  await relay.requestCrawl(host.hostname)
  await host.connected()
  host.dropConnections()
  await relay.logged('host: connection closed')
  await relay.requestCrawl(host.hostname)
  relay.clock.jump(1_000)
  await host.connected(2)
})

test('new hosts a day are counted across restarts, and bans hold', async () => {
  await using world = await startWorld({ hosts: [] })
  const { plc } = world
  await using data = await TemporaryDirectory.create('skein-relay-test-')
  await using stack = new AsyncDisposableStack()
  const hosts = [
    stack.use(await FakeHost.start()),
    stack.use(await FakeHost.start()),
    stack.use(await FakeHost.start()),
  ] as const
  const options = { plc: [plc.url], newHostsPerDay: 2, data: data.path }
  {
    await using relay = await TestRelay.start(options)
    assert.equal((await relay.requestCrawl(hosts[0].hostname)).status, 200)
    assert.equal((await relay.requestCrawl(hosts[1].hostname)).status, 200)
    await hosts[1].connected()
    await relay.relay.banHost(hosts[1].hostname)
    assert.equal((await relay.requestCrawl(hosts[2].hostname)).status, 429)
  }
  await using relay = await TestRelay.start(options)
  const limited = await relay.requestCrawl(hosts[2].hostname)
  assert.equal(limited.status, 429)
  assert.ok(Number(limited.headers.get('retry-after')) > 0)
  assert.equal(hosts[2].describeRequests, 0, 'it costs no request')
  assert.equal((await relay.requestCrawl(hosts[1].hostname)).status, 400)
  await hosts[0].connected(2)
  assert.equal(hosts[1].cursors.length, 1, 'a banned host is not connected to')
  relay.clock.jump(86_400_000)
  assert.equal((await relay.requestCrawl(hosts[2].hostname)).status, 200)
  await hosts[2].connected()
})

test('crawl requests can be closed', async () => {
  await using world = await startWorld({ hosts: [], requestCrawl: false })
  assert.equal((await world.relay.requestCrawl(world.host.hostname)).status, 403)
  assert.equal(world.host.describeRequests, 0)
})

test('I9: a subscriber that stands still is told so and closed, the others are not held up', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('slow subscriber')
  await using slow = await RelayClient.connect(relay.address)
  host.send('#identity', identityBody(repo.did))
  await slow.next()
  slow.stall()
  // More than sockets of both sides hold.
  const count = 12
  const pad = new Uint8Array(3_000_000)
  for (let i = 0; i < count; i++) host.send('#account', { ...accountBody(repo.did, true), pad })
  await client.reached(1 + count)
  const ended = async (): Promise<boolean> =>
    Object.hasOwn(await relay.metric('skein_subscribers_closed_total'), 'slow')
  const end = eventually(async () => ((await ended()) ? true : null), 'the end of the subscriber')
  await relay.clock.jumpUntil(end, 1_000)
  slow.resume()
  assert.deepEqual(await slow.untilClosed(), { code: 1008, reason: 'ConsumerTooSlow' })
  assert.equal(slow.frames.at(-1)?.body['error'], 'ConsumerTooSlow')
  host.send('#identity', identityBody(repo.did))
  await client.reached(2 + count)
  assert.equal(client.ended, null)
})

test('a host whose limit is not lifted by a request keeps accounts without a limit', async () => {
  await using world = await startWorld({ hostAccountLimit: 1 })
  const repos = ['a', 'b', 'c'].map((seed) => createAccount(world.plc, world.host, seed))
  for (const repo of repos) world.host.send('#commit', repo.apply([]))
  assert.equal((await world.client.take(3)).length, 3)
})
