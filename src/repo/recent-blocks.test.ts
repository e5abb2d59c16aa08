import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CODEC_RAW, cidOf, cidToString } from '../data/cid.ts'
import { seededRandom } from '../lib/random.ts'
import { RECENT_BYTES_MAX, RecentBlocks } from './recent-blocks.ts'

test('what comes back is what was put in, and the newest does', () => {
  const recent = new RecentBlocks()
  const random = seededRandom(3)
  const put = new Map<string, { readonly cid: Uint8Array; readonly block: Uint8Array }>()
  let found = 0
  let total = 0
  for (let i = 0; i < 3_000; i++) {
    const length = 4 + Math.floor(random.next() ** 4 * 60_000)
    const block = new Uint8Array(length).fill(i)
    new DataView(block.buffer).setUint32(0, i)
    const cid = cidOf(CODEC_RAW, block)
    recent.put(cid, block)
    put.set(cidToString(cid), { cid, block })
    assert.deepEqual(recent.get(cid), block)
    total += length
    const old = [...put.values()][Math.floor(random.next() * put.size)]
    const kept = old === undefined ? null : recent.get(old.cid)
    if (kept === null) continue
    assert.deepEqual(kept, old?.block)
    found++
  }
  assert(total > 4 * RECENT_BYTES_MAX && found > 100 && found < 2_900, `${found} of ${total}`)
})

test('a block that is too large is not kept, and nothing is there at first', () => {
  const recent = new RecentBlocks()
  const block = new Uint8Array(RECENT_BYTES_MAX)
  const cid = cidOf(CODEC_RAW, block)
  assert.equal(recent.get(cid), null)
  recent.put(cid, block)
  assert.equal(recent.get(cid), null)
})
