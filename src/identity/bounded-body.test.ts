import assert from 'node:assert/strict'
import { test } from 'node:test'

import { must } from '../lib/assert.ts'
import {
  BoundedBody,
  type BodyBounds,
  SLOWEST_WINDOW_BYTES,
  SLOWEST_WINDOW_MS,
} from './bounded-body.ts'
import { requestFailureOf } from './http-client.ts'
import { createFakeClock, type FakeClock } from './testing/fake-clock.ts'

/** A body that comes as a test says: each piece after a wait. */
interface Script {
  readonly clock: FakeClock
  readonly body: BoundedBody
  readonly calls: string[]
}

type Piece = readonly [waitMs: number, bytes: number]

function start(pieces: readonly Piece[], bounds: Partial<BodyBounds> = {}): Script {
  const clock = createFakeClock()
  const calls: string[] = []
  const rest = [...pieces]
  const source = {
    async next(): Promise<Uint8Array | null> {
      const [waitMs, bytes] = rest.shift() ?? [0, -1]
      clock.advance(waitMs)
      await Promise.resolve()
      return bytes < 0 ? null : new Uint8Array(bytes)
    },
    cancel(): void {
      calls.push('cancel')
    },
  }
  const body = new BoundedBody(source, {
    clock,
    idleTimeoutMs: 30_000,
    bytesMax: 10 ** 9,
    contentLength: null,
    host: 'pds.example',
    classify: (error) => (error instanceof Error ? error : new Error('none')),
    onEnd: () => calls.push('end'),
    ...bounds,
  })
  return { clock, body, calls }
}

/** How many bytes come, and why they end. */
async function read(body: BoundedBody): Promise<readonly [number, string | null]> {
  let bytes = 0
  try {
    for await (const piece of body) bytes += piece.length
  } catch (error) {
    return [bytes, requestFailureOf(error)]
  }
  return [bytes, null]
}

test('a body to its end, and its connection is let go of once', async () => {
  const { body, calls } = start(
    [
      [0, 10],
      [100, 0],
      [0, 20],
    ],
    { contentLength: 30 },
  )
  assert.deepEqual(await read(body), [30, null])
  body.discard()
  assert.deepEqual(calls, ['cancel', 'end'])
  assert.deepEqual(await read(body), [0, 'network'], 'it is read once')
})

test('silence, a length that is not kept, and too many bytes', async () => {
  assert.deepEqual(
    await read(
      start([
        [0, 10],
        [30_000, 5],
      ]).body,
    ),
    [10, 'timeout'],
  )
  assert.deepEqual(await read(start([[0, 10]], { contentLength: 11 }).body), [10, 'truncated'])
  assert.deepEqual(
    await read(
      start(
        [
          [0, 10],
          [0, 1],
        ],
        { bytesMax: 10 },
      ).body,
    ),
    [10, 'too-large'],
  )
})

test('a body that drips ends, whatever the pauses; one that is slow and steady does not', async () => {
  const drips = Array.from({ length: 1_000 }, (): Piece => [20_000, 1])
  const [bytes, why] = await read(start(drips).body)
  assert.equal(why, 'timeout')
  assert(bytes <= SLOWEST_WINDOW_MS / 20_000, `${bytes}`)
  const steady = Array.from({ length: 100 }, (): Piece => [20_000, SLOWEST_WINDOW_BYTES])
  assert.deepEqual(await read(start(steady).body), [100 * SLOWEST_WINDOW_BYTES, null])
})

test('what the reader takes to make use of a piece does not count', async () => {
  const { clock, body } = start(Array.from({ length: 50 }, (): Piece => [10, 1]))
  let pieces = 0
  for await (const piece of body) {
    pieces += must(piece, 'piece').length
    clock.advance(3_600_000)
  }
  assert.equal(pieces, 50)
})

test('a body that is given up is not read', async () => {
  const { body, calls } = start([[0, 10]])
  body.discard()
  assert.deepEqual(calls, ['cancel', 'end'])
  assert.deepEqual(await read(body), [0, 'aborted'])
})
