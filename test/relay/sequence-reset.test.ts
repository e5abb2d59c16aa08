import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import type { SignedRepo } from '../support/signed-repo.ts'
import { TestRelay } from '../support/test-relay.ts'
import { didOf, RelayClient } from '../support/relay-client.ts'
import { accountBody, createAccount, startWorld, type World } from '../support/world.ts'

/** Cuts the connection and lets the relay come back at once. */
async function reconnect({ host, relay }: Pick<World, 'host' | 'relay'>): Promise<void> {
  const before = host.cursors.length
  const closed = relay.lines.filter(({ msg }) => msg === 'host: connection closed').length
  host.dropConnections()
  await relay.logged('host: connection closed', {}, closed + 1)
  await relay.clock.jumpUntil(host.connected(before + 1), 2_000)
}

function sendCommits(host: FakeHost, repo: SignedRepo, count: number): string[] {
  return Array.from({ length: count }, () => {
    const body = repo.apply([])
    host.send('#commit', body)
    return body.rev
  })
}

test('I7: a host that counts anew from a lower seq is followed by itself', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('lower seqs')
  host.skipTo(5_000)
  const revs = sendCommits(host, repo, 3)
  await client.take(3)
  host.resetSequence(10)
  await reconnect(world)
  assert.equal(host.cursors.at(-1), 5_003)
  revs.push(...sendCommits(host, repo, 3))
  await relay.clock.jumpUntil(client.take(3), 2_000)
  assert.deepEqual(
    client.frames.map(({ body }) => body['rev']),
    revs,
  )
  await relay.logged('host: sequence restarted')
  assert.equal(relay.relay.host(host.hostname)?.seq, 13)
  await reconnect(world)
  assert.equal(host.cursors.at(-1), 13, 'the cursor is of the new sequence')
})

test('I7: what is decided of a sequence that is over does not move the cursor of the new one', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  const known = world.account('goes on in both sequences')
  const late = world.account('decided when its sequence is over')
  const waiting = world.account('waits in the new sequence')
  for (const { did } of [late, waiting]) plc.hold(did)
  sendCommits(host, known, 4)
  await client.take(4)
  assert.deepEqual([sendCommits(host, late, 1).length, host.seq], [1, 5])
  await plc.untilAsked(late.did, 1)
  host.resetSequence(0)
  await reconnect(world)
  sendCommits(host, known, 4)
  assert.deepEqual([sendCommits(host, waiting, 1).length, host.seq], [1, 5])
  await relay.clock.jumpUntil(client.take(4), 2_000)
  await relay.logged('host: sequence restarted')
  await plc.untilAsked(waiting.did, 1)
  plc.release(late.did)
  assert.equal(didOf(await relay.clock.jumpUntil(client.next(), 2_000)), late.did)
  assert.equal(relay.relay.host(host.hostname)?.seq, 4, 'the fifth event of now is undecided')
  plc.release(waiting.did)
  assert.equal(didOf(await relay.clock.jumpUntil(client.next(), 2_000)), waiting.did)
  assert.equal(relay.relay.host(host.hostname)?.seq, 5)
})

test('I7: a host that refuses the cursor as future is read from its oldest event, without repeats', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  host.futureCursor = 'refuse'
  const repo = world.account('future cursor')
  const other = world.account('future cursor, other')
  host.skipTo(5_000)
  const bodies = [repo.apply([]), repo.apply([])]
  for (const body of bodies) host.send('#commit', body)
  await client.take(2)
  // The host has put what it had into a new sequence, and two new events behind it.
  host.resetSequence(0)
  for (const body of bodies) host.send('#commit', body)
  const fresh = [repo.apply([]), other.apply([])]
  for (const body of fresh) host.send('#commit', body)
  const sent = host.cursors.length
  await reconnect(world)
  await relay.logged('host: error FutureCursor')
  await relay.clock.jumpUntil(client.reached(4), 2_000)
  assert.ok(host.cursors.length > sent)
  assert.equal(host.cursors.at(-1), 0)
  assert.deepEqual(
    client.frames.map(({ body }) => body['rev']),
    [...bodies, ...fresh].map(({ rev }) => rev),
  )
  const drops = await relay.drops()
  assert.equal(drops['rev-stale'], 2)
})

test('I7: a host that counts anew without a new connection is followed after a hundred events', async () => {
  await using world = await startWorld({ hostEventsPerSecond: 1_000 })
  const { host, relay, client } = world
  const repo = world.account('falling seqs')
  host.skipTo(5_000)
  const revs = sendCommits(host, repo, 1)
  host.resetSequence(0)
  revs.push(...sendCommits(host, repo, 103))
  const received = await relay.clock.jumpUntil(client.take(revs.length), 2_000)
  assert.deepEqual(
    received.map(({ body }) => body['rev']),
    revs,
  )
  assert.deepEqual(await relay.drops(), { 'seq-not-rising': 99 })
  assert.deepEqual(host.cursors, [0, 0], 'it was asked for everything that it has')
})

test('I7: what a restart found of a host’s new sequence outlives the process', async () => {
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  await using data = await TemporaryDirectory.create('skein-relay-test-')
  const options = { plc: [plc.url], hosts: [host.endpoint], data: data.path }
  const repo = createAccount(plc, host, 'kept')
  host.skipTo(700)
  sendCommits(host, repo, 2)
  {
    await using relay = await TestRelay.start(options)
    await using client = await RelayClient.connect(relay.address, 0)
    await client.take(2)
    host.resetSequence(0)
    await reconnect({ host, relay })
    sendCommits(host, repo, 2)
    await relay.clock.jumpUntil(client.take(2), 2_000)
  }
  const lives = host.cursors.length
  await using relay = await TestRelay.start(options)
  await host.connected(lives + 1)
  assert.equal(host.cursors.at(-1), 2)
  await using client = await RelayClient.connect(relay.address, 0)
  sendCommits(host, repo, 1)
  const received = await client.take(5)
  assert.deepEqual(
    received.map(({ seq }) => seq),
    [1, 2, 3, 4, 5],
  )
})

for (const from of ['oldest', 'live'] as const) {
  test(`a new host is joined at its ${from} event`, async () => {
    await using world = await startWorld({ newHostsFrom: from, hosts: [] })
    const { host, relay, client } = world
    const repo = world.account(`joined ${from}`)
    host.send('#account', accountBody(repo.did, true, 'old'))
    relay.relay.addHost(host.endpoint)
    await host.connected()
    host.send('#account', accountBody(repo.did, true, 'new'))
    const count = from === 'oldest' ? 2 : 1
    const received = await client.take(count)
    assert.deepEqual(
      received.map(({ body }) => body['status']),
      ['old', 'new'].slice(-count),
    )
    assert.deepEqual(host.cursors, [from === 'oldest' ? 0 : null])
  })
}
