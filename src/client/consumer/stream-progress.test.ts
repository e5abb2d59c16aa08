import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StreamProgress } from './stream-progress.ts'

const service = 'https://relay.example'
const place = (epoch: number, seq: number) => ({ service, epoch, seq })

test('I7: an event of a sequence that is over moves no cursor of the new one', () => {
  const progress = new StreamProgress([{ service, seq: 4, timeMs: null }])
  assert.equal(progress.begin(place(0, 5), null), 'new')
  progress.restart(service, 1)
  for (const seq of [4, 5, 6]) assert.equal(progress.begin(place(1, seq), null), 'new')
  progress.done(place(1, 4))
  progress.done(place(0, 5))
  assert.equal(progress.cursor(service, 1), 4)
  assert.equal(progress.cursor(service, 0), null)
  assert.deepEqual(
    progress.take().map(({ seq }) => seq),
    [4],
  )
  progress.done(place(1, 5))
  assert.equal(progress.cursor(service, 1), 5)
})

test('I7: where a cursor would stand counts events of its own sequence alone', () => {
  const progress = new StreamProgress([])
  progress.begin(place(0, 5), null)
  progress.begin(place(1, 5), null)
  assert.equal(progress.checkpoint(place(1, 5))?.seq, 5)
  assert.equal(progress.checkpoint(place(0, 5))?.seq, 4)
})
