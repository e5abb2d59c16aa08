import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRAME_BYTES_MAX } from '../../src/lib/limits.ts'
import type { ReceivedFrame } from '../support/relay-client.ts'
import { turn } from '../support/waiting.ts'
import { startWorld, type World } from '../support/world.ts'

/** The next frame that a subscriber gets, however often the relay has to reconnect before it. */
async function nextWhileReconnecting({ host, relay, client }: World): Promise<ReceivedFrame> {
  const next = client.next()
  let arrived = false
  void next.finally(() => (arrived = true))
  // Each pause before another attempt is cut short; there are few of them, or this is a loop.
  for (let attempt = 1; attempt <= 12; attempt++) {
    await Promise.race([next, relay.logged('host: connection closed', {}, attempt)])
    await turn()
    if (arrived) return next
    await relay.relay.requestCrawl(host.hostname)
    relay.clock.jump(1_100)
  }
  throw new Error('the relay keeps being disconnected')
}

test('I5: an undecodable event neither ends the connection nor comes between it and the next', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('undecodable')
  host.send('#commit', repo.apply([]))
  await client.next()
  for (let i = 0; i < 20; i++) host.sendRaw(Uint8Array.of(0xff, 0, i))
  host.send('#sync', repo.sync())
  await client.next()
  assert.equal(host.cursors.length, 1)
  assert.deepEqual(await relay.drops(), { 'frame-malformed': 20 })
  // Once an event after it has been decided, it is not even asked for again.
  host.dropConnections()
  await relay.logged('host: connection closed')
  relay.clock.jump(4_000)
  await host.connected(2)
  assert.deepEqual(host.cursors, [0, host.seq])
})

test('I5: an event too large to be received is stepped over, not met again for ever', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('oversized')
  host.send('#commit', repo.apply([]))
  await client.next()
  host.sendRaw(new Uint8Array(FRAME_BYTES_MAX + 1))
  const body = repo.apply([])
  host.send('#commit', body)
  assert.equal((await nextWhileReconnecting(world)).body['rev'], body.rev)
  assert.deepEqual(await relay.drops(), { 'frame-too-large': 1 })
  assert.deepEqual(host.cursors, [0, host.seq - 1])
})

test('I5: an oversized event behind a gap in seqs is stepped over after a few attempts', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('oversized after a gap')
  host.send('#commit', repo.apply([]))
  await client.next()
  host.skipTo(100)
  host.sendRaw(new Uint8Array(FRAME_BYTES_MAX + 1))
  host.skipTo(500)
  const body = repo.apply([])
  host.send('#commit', body)
  assert.equal((await nextWhileReconnecting(world)).body['rev'], body.rev)
  const { 'frame-too-large': refused = 0 } = await relay.drops()
  assert.ok(refused > 1 && refused < 8, `met ${refused} times`)
})

test('I5: an oversized newest event of a host that refuses future cursors leads to the live stream', async () => {
  await using world = await startWorld()
  const { host, client } = world
  host.futureCursor = 'refuse'
  const repo = world.account('oversized and newest')
  host.send('#commit', repo.apply([]))
  await client.next()
  host.skipTo(9)
  host.sendRaw(new Uint8Array(FRAME_BYTES_MAX + 1))
  const next = nextWhileReconnecting(world)
  while (host.cursors.at(-1) !== null) await host.connected(host.cursors.length + 1)
  const body = repo.apply([])
  host.send('#commit', body)
  assert.equal((await next).body['rev'], body.rev)
  assert.deepEqual(
    client.frames.map(({ type }) => type),
    ['#commit', '#commit'],
    'the past is not sent again',
  )
})
