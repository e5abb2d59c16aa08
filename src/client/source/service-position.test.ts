import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServicePosition } from './service-position.ts'
import type { SourcePolicies } from './source-types.ts'

const NOW = 1_800_000_000_000

/** A position with what is finished by epoch. */
function positionOf(
  finished: Map<number, number>,
  futureCursor: SourcePolicies['futureCursor'] = 'oldest',
): ServicePosition {
  return new ServicePosition({
    service: 'https://a.example',
    finished: (_service, epoch) => finished.get(epoch) ?? null,
    futureCursor,
  })
}

function arrive(position: ServicePosition, seq: number): string {
  const arrival = position.arrive(seq, NOW)
  return arrival.kind === 'next' ? `${arrival.place.epoch}/${arrival.place.seq}` : arrival.kind
}

test('what is finished is gone on from, or where the service was joined', () => {
  const finished = new Map<number, number>()
  const position = positionOf(finished)
  position.join(null)
  assert.equal(position.connect(), null)
  position.opened()
  assert.equal(position.connect(), null, 'nothing has come')
  position.opened()
  arrive(position, 71)
  arrive(position, 75)
  assert.equal(position.connect(), 70, 'nothing is finished: all that came comes again')
  finished.set(0, 71)
  assert.equal(position.connect(), 71)
})

test('a place that was found is joined unless more is finished', () => {
  const finished = new Map([[0, 50]])
  const position = positionOf(finished)
  position.join(200)
  assert.equal(position.connect(), 200)
  finished.set(0, 300)
  assert.equal(position.connect(), 300)
})

for (const [policy, cursor] of [
  ['live', null],
  ['oldest', 0],
] as const) {
  test(`a foreign cursor is never used again: ${policy}`, () => {
    const finished = new Map([[0, 50]])
    const position = positionOf(finished, policy)
    assert.equal(position.connect(), 50)
    position.opened()
    const arrival = position.future(NOW)
    assert.deepEqual([arrival.kind, position.epoch], ['restarted', 1])
    assert.equal(position.connect(), cursor)
    finished.set(0, 60)
    assert.equal(position.connect(), cursor, 'work of the old sequence goes on and means nothing')
    position.opened()
    assert.equal(arrive(position, 3), '1/3')
    finished.set(1, 3)
    assert.equal(position.connect(), 3)
  })
}

test('seqs that fall begin another epoch', () => {
  const position = positionOf(new Map([[0, 50]]))
  position.connect()
  position.opened()
  assert.equal(arrive(position, 7), 'restarted')
  assert.equal(position.connect(), 0)
  position.opened()
  assert.equal(arrive(position, 1), '1/1')
})

test('a FutureCursor that cannot be is no restart', () => {
  for (const cursor of [null, 0]) {
    const position = positionOf(new Map())
    position.join(cursor)
    position.connect()
    position.opened()
    assert.equal(position.future(NOW).kind, 'drop')
    assert.equal(position.epoch, 0)
  }
})

test('a loss is told with the first event after it, and only when it is one', () => {
  const lost = new Map([[0, 50]])
  const position = positionOf(lost)
  position.connect()
  position.opened()
  assert.equal(position.outdated(), true)
  const first = position.arrive(90, NOW)
  assert.equal(first.kind === 'next' && first.lostAfterSeq, 50)
  const second = position.arrive(91, NOW)
  assert.equal(second.kind === 'next' && second.lostAfterSeq, null)
  const fresh = positionOf(new Map())
  fresh.join(0)
  fresh.connect()
  fresh.opened()
  assert.equal(fresh.outdated(), false)
})

test('a loss that was announced on a connection without events is announced again', () => {
  const position = positionOf(new Map([[0, 50]]))
  position.connect()
  position.opened()
  position.outdated()
  position.connect()
  position.opened()
  const first = position.arrive(51, NOW)
  assert.equal(first.kind === 'next' && first.lostAfterSeq, null)
})
