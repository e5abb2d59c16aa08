/** The oracle's comparisons find what they are there to find. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { decodeFirst } from '@atcute/cbor'
import { must } from '../../src/lib/assert.ts'
import { concatBytes } from '../../src/lib/bytes.ts'
import { frameOf } from '../../src/sim/messages.ts'
import { type SimNetwork, startNetwork } from '../../src/sim/network.ts'
import { didOf, readFrame, type ReceivedFrame } from '../support/relay-client.ts'
import { compareDrops, compareEvents, compareReplay } from './compare.ts'

let network: SimNetwork
/** What a reader without fault would have: everything honest, from seq 1. */
let frames: readonly ReceivedFrame[]
/** And what it would have refused. */
let drops: Readonly<Record<string, number>>

before(async () => {
  network = await startNetwork({
    hosts: 1,
    accounts: 8,
    records: 10,
    changes: 0,
    history: 'kept',
    gate: async () => {},
  })
  await network.run({ events: 30, pace: 'free' })
  for (let i = 0; i < 40; i++) network.lie()
  await network.change('deactivate')
  await network.change('delete')
  const { log } = network.simulation.host(0)
  const honest: ReceivedFrame[] = []
  for (let next = log.after(0); next !== null; next = log.after(next.seq)) {
    if (next.lie !== null) network.simulation.ledger.noteSent(next.lie)
    if (next.type !== null) honest.push(withSeq(next.data as Uint8Array, honest.length + 1))
  }
  frames = honest
  drops = Object.fromEntries(network.simulation.ledger.told())
})

after(() => network.stop())

/** The frame as it would be sent on. */
function withSeq(bytes: Uint8Array, seq: number, more: object = {}): ReceivedFrame {
  const [header, rest] = decodeFirst(bytes) as [object, Uint8Array]
  const [body] = decodeFirst(rest) as [object, Uint8Array]
  return readFrame(frameOf(header, { ...body, ...more, seq }))
}

function renumbered(changed: readonly ReceivedFrame[]): ReceivedFrame[] {
  return changed.map(({ bytes }, i) => withSeq(bytes, i + 1))
}

describe('events', () => {
  test('nothing is wrong when nothing is', () => {
    assert.ok(frames.length > 50)
    assert.deepEqual(compareEvents(network, frames), [])
    assert.deepEqual(compareDrops(network, drops, frames), [])
  })

  test('one that is lost', () => {
    const [fault = '', ...others] = compareEvents(network, renumbered(frames.slice(0, -1)))
    assert.match(fault, /is lost/)
    assert.deepEqual(others, [])
  })

  test('a commit that comes twice', () => {
    const commit = must(
      frames.find(({ type }) => type === '#commit'),
      'commit',
    )
    assert.match(compareEvents(network, renumbered([...frames, commit])).join(), /came twice/)
  })

  test('two of one account that have changed places', () => {
    const at = frames.findIndex(
      (frame, i) => i > 0 && didOf(frame) === didOf(must(frames[i - 1], 'frame')),
    )
    const swapped = [...frames]
    swapped[at - 1] = must(frames[at], 'frame')
    swapped[at] = must(frames[at - 1], 'frame')
    assert.match(compareEvents(network, renumbered(swapped)).join(), /out of order/)
  })

  test('one that was changed, one that nobody sent, and a seq that was left out', () => {
    const last = must(frames.at(-1), 'frame')
    const others = frames.slice(0, -1)
    const changed = withSeq(last.bytes, frames.length, { more: true })
    assert.match(compareEvents(network, [...others, changed]).join(), /was changed/)
    const time = '2020-01-01T00:00:00.000Z'
    const forged = withSeq(last.bytes, frames.length + 1, { time, active: false })
    assert.match(compareEvents(network, [...frames, forged]).join(), /was never sent/)
    const skipped = withSeq(last.bytes, frames.length + 1)
    assert.match(compareEvents(network, [...others, skipped]).join(), /seqs are not/)
    const stranger = withSeq(last.bytes, frames.length + 1, { did: 'did:plc:stranger' })
    assert.match(compareEvents(network, [...frames, stranger]).join(), /is not an account/)
  })
})

test('lies that were let through, refused for something else, or took an honest event along', () => {
  const [reason, count] = must(Object.entries(drops)[0], 'reason')
  const fewer = { ...drops, [reason]: count - 1 }
  assert.match(compareDrops(network, fewer, frames).join(), new RegExp(`^${reason}: `))
  const other = { ...drops, 'account-takendown': 1 }
  assert.match(compareDrops(network, other, frames).join(), /^account-takendown: 1 dropped, 0 to 0/)
  const without = frames.filter(({ type }) => type !== '#commit')
  assert.match(compareDrops(network, drops, without).join(), /sibling of lie 1 /)
})

test('a replay that serves what is not active, leaves out what is, or differs', () => {
  const { world } = network
  const isHidden = (frame: ReceivedFrame): boolean =>
    (frame.type === '#commit' || frame.type === '#sync') &&
    world.account(didOf(frame))?.status !== 'active'
  const served = frames.filter((frame) => !isHidden(frame))
  assert.ok(served.length < frames.length)
  assert.deepEqual(compareReplay(world, frames, served), [])
  assert.match(compareReplay(world, frames, frames).join(), /is replayed, which is not active/)
  assert.match(compareReplay(world, frames, served.slice(1)).join(), /is not replayed/)
  const [first, ...rest] = served
  const bytes = concatBytes([must(first, 'frame').bytes])
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  const other = [{ ...must(first, 'frame'), bytes }, ...rest]
  assert.match(compareReplay(world, frames, other).join(), /with other bytes/)
})
