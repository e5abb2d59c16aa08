import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readCar } from '@atproto/repo'

import { CODEC_DAG_CBOR, cidOf, cidToString } from '../data/cid.ts'
import { JumpingClock } from '../../test/support/jumping-clock.ts'
import { eventually } from '../../test/support/waiting.ts'
import { HeldAnswers } from './held-answers.ts'
import { HELD_ANSWER_BYTES_MAX, HELD_ANSWER_BYTES_PER_ADDRESS_MAX } from './http-limits.ts'
import type { FakeHost } from './testing/fake-host-view.ts'
import { bytesOf, errorOf, silentReader, startHostServer, syncPath } from './testing/host-server.ts'

const MIB = 1_048_576

/** Has getBlocks answer with one block of a size; gives the path that asks for it. */
function largeBlock(host: FakeHost, size: number): string {
  const { did } = host.add('alice')
  const block = new Uint8Array(size)
  const cid = cidOf(CODEC_DAG_CBOR, block)
  host.blocks = () => ({ kind: 'found', blocks: [{ cid, block }] })
  return syncPath('getBlocks', { did, cids: cidToString(cid) })
}

test('a large answer arrives whole, and its room is given back', async (t) => {
  const server = await startHostServer(t)
  for (const size of [100, 65_536, 70_000, 10 * MIB]) {
    const path = largeBlock(server.host, size)
    for (let i = 0; i < 8; i++) {
      const answer = await server.get(path)
      assert.equal(answer.headers.get('content-type'), 'application/vnd.ipld.car')
      const announced = answer.headers.get('content-length')
      const car = await bytesOf(answer)
      assert.equal(car.length, Number(announced))
      const { blocks } = await readCar(car)
      assert.deepEqual(
        blocks.entries().map(({ bytes }) => bytes.length),
        [size],
      )
    }
    const head = await server.get(path, { method: 'HEAD' })
    assert(Number(head.headers.get('content-length')) > size)
  }
})

test('one address does not hold more than its part, and who reads nothing is cut off', async (t) => {
  const clock = new JumpingClock()
  const server = await startHostServer(t, { clock })
  const size = 16 * MIB - 1_000
  const path = largeBlock(server.host, size)
  const places = Math.floor(HELD_ANSWER_BYTES_PER_ADDRESS_MAX / size)
  for (let i = 0; i < places; i++) silentReader(t, server.port, path)
  const refused = await eventually(async () => {
    const answer = await server.get(path)
    if (answer.status === 429) return answer
    await answer.arrayBuffer()
    return null
  }, 'the address has taken its part')
  assert.equal(refused.headers.get('retry-after'), '5')
  assert.deepEqual(await errorOf(refused), [429, 'RateLimitExceeded'])
  const isOver = eventually(
    () => (server.ended.filter(({ end }) => end === 'slow').length === places ? true : null),
    'all are cut off',
    30_000,
  )
  await clock.jumpUntil(isOver, 5_000)
  assert.equal((await bytesOf(await server.get(path))).length > size, true)
})

test('all addresses together hold no more than the host may', () => {
  const held = new HeldAnswers()
  const share = HELD_ANSWER_BYTES_PER_ADDRESS_MAX
  const addresses = Array.from({ length: HELD_ANSWER_BYTES_MAX / share }, (_, i) => `a${i}`)
  for (const address of addresses) assert.equal(held.take(address, share), null)
  assert.equal(held.take('another', 1), 'host')
  assert.equal(held.bytes, HELD_ANSWER_BYTES_MAX)
  held.release('a0', share)
  assert.equal(held.take('a1', 1), 'address')
  assert.equal(held.take('another', 1), null)
  held.release('another', 1)
  for (const address of addresses.slice(1)) held.release(address, share)
  assert.equal(held.bytes, 0)
})
