import assert from 'node:assert/strict'
import { test } from 'node:test'
import { must } from '../../src/lib/assert.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { INVALID_REASONS } from '../../src/lib/reasons.ts'
import { GOOD_PATH, type BadEvent } from '../../src/sim/bad-event.ts'
import { BAD_EVENTS } from '../../src/sim/bad-events.ts'
import { type FakeHost, frameOf } from '../support/fake-host.ts'
import { blockOf, blocksOf, forge, rootBlock } from '../../src/sim/hostile-commit.ts'
import { readFrame, type ReceivedFrame } from '../support/relay-client.ts'
import { startWorld } from '../support/world.ts'

/** Rules that no event can break because another one stands before them. */
const OUT_OF_REACH = new Set([
  // `blocks` as a whole is not larger than one block may be.
  'car-block-too-large',
  // Said of whole repositories: an event's blocks may come in any order.
  'car-out-of-order',
])

function sendBad(host: FakeHost, event: BadEvent): void {
  if (typeof event === 'string') host.sendText(event)
  else if (event instanceof Uint8Array) host.sendRaw(event)
  else host.send('#commit', event)
}

test('I4, I5: each bad event ends in its own reason, and the next good one of the host passes', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const expected: Record<string, number> = {}
  for (const [i, { name, reason, make }] of BAD_EVENTS.entries()) {
    const title = `${reason}: ${name}`
    const repo = world.account(`bad ${i}`)
    host.send('#commit', repo.apply([]))
    assert.equal((await client.next(title)).body['repo'], repo.did, title)
    const good = repo.apply([{ action: 'create', path: GOOD_PATH, record: { n: i } }])
    sendBad(host, make({ repo, good, seq: host.seq + 1, nowMs: systemClock.nowMs() }))
    expected[reason] = (expected[reason] ?? 0) + 1
    host.send('#commit', good)
    const next = await client.next(title)
    assert.deepEqual([next.body['repo'], next.body['rev']], [repo.did, good.rev], title)
    assert.deepEqual(await relay.drops(), expected, title)
  }
  assert.equal(client.waiting.length, 0)
  assert.equal(host.cursors.length, 1, 'the host was never disconnected')
  assert.deepEqual(await relay.metric('skein_events_warned_total'), {})
  assert.deepEqual(
    relay.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
    [],
  )
  const tested = new Set<string>(BAD_EVENTS.map(({ reason }) => reason))
  const untested = Object.keys(INVALID_REASONS).filter((reason) => !tested.has(reason))
  assert.deepEqual(new Set(untested), OUT_OF_REACH, 'every reason has a case')
})

/** The fields that are covered by the signature or checked against what is. */
function checkedFields(frame: ReceivedFrame): unknown {
  const { repo, rev, since, commit, blocks, ops, prevData } = frame.body
  return { repo, rev, since, commit, blocks, ops, prevData }
}

test('I4, I5: frames cut anywhere and with any bit flipped have one outcome each', async () => {
  await using world = await startWorld({ hostEventsPerSecond: 100_000 })
  const { host, relay, client } = world
  const repo = world.account('fuzz')
  host.send('#commit', repo.apply([]))
  await client.next()
  const good = repo.apply([{ action: 'create', path: GOOD_PATH, record: { text: 'fuzz me' } }])
  let sent = 0
  const send = (change: (bytes: Uint8Array, seqAt: number) => Uint8Array | null): void => {
    const seq = 1_000_000 + sent
    const bytes = frameOf({ op: 1, t: '#commit' }, { ...good, seq })
    const seqAt = Buffer.from(bytes).indexOf('cseq') + 4
    const changed = change(bytes, seqAt)
    if (changed === null) return
    sent++
    host.sendRaw(changed)
  }
  const { length } = frameOf({ op: 1, t: '#commit' }, { ...good, seq: 1_000_000 })
  for (let cut = 0; cut < length; cut += 5) send((bytes) => bytes.subarray(0, cut))
  for (let at = 0; at < length; at += 2) {
    send((bytes, seqAt) => {
      // A seq that jumps would make every later one fall, which is another test.
      if (at >= seqAt && at < seqAt + 5) return null
      bytes[at] = must(bytes[at], 'byte') ^ (1 << (at % 8))
      return bytes
    })
  }
  const last = world.account('after the storm')
  host.skipTo(2_000_000)
  host.send('#commit', last.apply([]))
  let emitted = 0
  for (;;) {
    const frame = await client.next()
    if (frame.body['repo'] === last.did) break
    emitted++
    const honest = frameOf({ op: 1, t: '#commit' }, { ...good, seq: frame.seq })
    assert.equal(frame.bytes.length, honest.length)
    assert.deepEqual(checkedFields(frame), checkedFields(readFrame(honest)))
  }
  const drops = await relay.drops()
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0)
  assert.equal(dropped + emitted, sent, JSON.stringify(drops))
  assert.ok((drops['frame-malformed'] ?? 0) > length / 5, 'cuts are malformed')
  assert.ok((drops['car-hash-mismatch'] ?? 0) > 100, 'flips inside blocks are found')
  assert.equal(host.cursors.length, 1, 'the host was never disconnected')
})

test('I3, I5: no tree with a flipped bit passes, however well it is hashed and signed', async () => {
  await using world = await startWorld({ hostEventsPerSecond: 100_000 })
  const { host, relay, client } = world
  const repo = world.account('flipped trees')
  const paths = Array.from({ length: 12 }, (_, i) => `org.example.note/${i * 7}`)
  host.send(
    '#commit',
    repo.apply(paths.map((path) => ({ action: 'create', path, record: { path } }))),
  )
  await client.next()
  const good = repo.apply([{ action: 'create', path: GOOD_PATH, record: { text: 'good' } }])
  const root = rootBlock(repo)
  const others = blocksOf(good).filter(
    ({ block }) => !Buffer.from(block).equals(root.block) && block.length > 0,
  )
  let sent = 0
  for (let at = 0; at < root.block.length; at++) {
    const flipped = root.block.slice()
    flipped[at] = must(flipped[at], 'byte') ^ (1 << (at % 8))
    const node = blockOf(flipped)
    host.send('#commit', forge(repo, good, { data: node.cid, blocks: [node, ...others] }))
    sent++
  }
  host.send('#commit', good)
  assert.equal((await client.next()).body['rev'], good.rev)
  const drops = await relay.drops()
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0)
  assert.equal(dropped, sent, JSON.stringify(drops))
  assert.equal(client.frames.length, 2)
  for (const reason of Object.keys(drops)) assert.match(reason, /^(?:mst-|op-|inversion-)/u)
})
