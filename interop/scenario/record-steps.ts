/** Writes to repositories: each kind of operation and combination that a PDS can commit. */

import { NOTE, PIXEL } from './blob-samples.ts'
import type { Account, Write } from './scene.ts'
import { applyWrites, createRecord, deleteRecord, post, putRecord, uploadBlob } from './scene.ts'
import type { Step } from './step.ts'

const POST = 'app.bsky.feed.post'
const THING = 'org.example.thing'

/** Paths of heights 1 and 0. */
const HIGH_PATH = `${THING}/0`
const LOW_PATH = `${THING}/3`

/** What a real PDS makes of a tree that becomes empty in the midst of a commit. */
const EMPTY_ROOT =
  'the emptied tree has kept its height, so that the lower record hangs below a root without any, ' +
  'and that is not the tree of these records'

const EMPTY_ROOT_BEFORE =
  'the tree is good again, but undoing the operation does not lead to prevData, which is not the ' +
  'tree of any records'

/** The most writes that a PDS takes at once. */
const WRITES_MAX = 200

export const recordSteps: readonly Step[] = [
  {
    name: 'create records',
    eventCount: 3,
    async run(scene) {
      const alice = scene.account('alice')
      await createRecord(alice, POST, post('one'), '3jzfcijpj2z2a')
      await createRecord(alice, POST, post('two'))
      await createRecord(scene.account('bea'), POST, post('three'))
    },
  },
  {
    name: 'put a new record, put it again changed',
    eventCount: 2,
    async run(scene) {
      const alice = scene.account('alice')
      await putRecord(alice, 'app.bsky.actor.profile/self', { displayName: 'Alice' })
      await putRecord(alice, 'app.bsky.actor.profile/self', { displayName: 'Alice A.' })
    },
  },
  {
    name: 'put it unchanged, delete what is not there',
    eventCount: 0,
    async run(scene) {
      const alice = scene.account('alice')
      await putRecord(alice, 'app.bsky.actor.profile/self', { displayName: 'Alice A.' })
      await deleteRecord(alice, `${POST}/3jzfcijpj2zzz`)
    },
  },
  {
    name: 'delete a record',
    eventCount: 1,
    async run(scene) {
      await deleteRecord(scene.account('alice'), `${POST}/3jzfcijpj2z2a`)
    },
  },
  {
    name: 'records of an unknown lexicon, with bytes, links and depth',
    eventCount: 1,
    async run(scene) {
      const bob = scene.account('bob')
      await createRecord(bob, THING, unusualRecord(bob), 'k1')
    },
  },
  {
    name: 'record keys with every character that is allowed',
    eventCount: 3,
    async run(scene) {
      const bob = scene.account('bob')
      for (const rkey of ['a.b-c_d~e:f', '0'.repeat(512), '~']) {
        await createRecord(bob, THING, { n: 0 }, rkey)
      }
    },
  },
  {
    name: 'a record of 300 kB',
    eventCount: 1,
    async run(scene) {
      await createRecord(scene.account('ben'), THING, { text: 'ä'.repeat(150_000) }, 'large')
    },
  },
  {
    name: 'applyWrites: 5 creates',
    eventCount: 1,
    async run(scene) {
      await applyWrites(scene.account('bob'), creates('b', 5))
    },
  },
  {
    name: 'applyWrites: create, update and delete',
    eventCount: 1,
    async run(scene) {
      await applyWrites(scene.account('bob'), [
        { action: 'create', path: 'org.example.other/c1', value: { x: 'y' } },
        { action: 'update', path: `${THING}/b1`, value: { n: 111 } },
        { action: 'delete', path: `${THING}/b2` },
      ])
    },
  },
  {
    name: 'applyWrites: create and delete one path',
    eventCount: 1,
    async run(scene) {
      await applyWrites(scene.account('bob'), [
        { action: 'create', path: 'org.example.tmp/t1', value: { v: 1 } },
        { action: 'delete', path: 'org.example.tmp/t1' },
      ])
    },
  },
  {
    name: 'applyWrites: create and update one path',
    eventCount: 1,
    async run(scene) {
      await applyWrites(scene.account('bob'), [
        { action: 'create', path: 'org.example.tmp/t2', value: { v: 1 } },
        { action: 'update', path: 'org.example.tmp/t2', value: { v: 2 } },
      ])
    },
  },
  {
    name: 'applyWrites: nothing',
    eventCount: 1,
    async run(scene) {
      await applyWrites(scene.account('bob'), [])
    },
  },
  {
    name: 'applyWrites: move a record to another path',
    eventCount: 1,
    async run(scene) {
      await applyWrites(scene.account('bob'), [
        { action: 'delete', path: `${THING}/b3` },
        { action: 'create', path: `${THING}/moved`, value: { n: 3 } },
      ])
    },
  },
  {
    name: `applyWrites: ${WRITES_MAX} creates, then ${WRITES_MAX} deletes`,
    eventCount: 2,
    async run(scene) {
      const ben = scene.account('ben')
      const writes = creates('many', WRITES_MAX)
      await applyWrites(ben, writes)
      await applyWrites(
        ben,
        writes.map(({ path }) => ({ action: 'delete', path })),
      )
    },
  },
  {
    name: 'empty a repository',
    eventCount: 1,
    async run(scene) {
      await deleteRecord(scene.account('ben'), `${THING}/large`)
    },
  },
  {
    name: 'applyWrites: a pair on a high path and a lower record, in an empty repository',
    eventCount: 1,
    refusals: [{ pds: 'A', type: '#commit', reason: EMPTY_ROOT }],
    async run(scene) {
      await applyWrites(scene.account('zoe'), [
        { action: 'create', path: HIGH_PATH, value: { n: 0 } },
        { action: 'delete', path: HIGH_PATH },
        { action: 'create', path: LOW_PATH, value: { n: 1 } },
      ])
    },
  },
  {
    name: 'create a record in that tree',
    eventCount: 1,
    refusals: [{ pds: 'A', type: '#commit', reason: EMPTY_ROOT }],
    async run(scene) {
      await createRecord(scene.account('zoe'), THING, { n: 2 }, 'another')
    },
  },
  {
    name: 'delete it, which trims that tree',
    eventCount: 1,
    refusals: [{ pds: 'A', type: '#commit', reason: EMPTY_ROOT_BEFORE }],
    async run(scene) {
      await deleteRecord(scene.account('zoe'), `${THING}/another`)
    },
  },
  {
    name: 'create a record in the trimmed tree',
    eventCount: 1,
    async run(scene) {
      await createRecord(scene.account('zoe'), THING, { n: 3 }, 'third')
    },
  },
  {
    name: 'a post with an uploaded blob, and a blob that nothing refers to',
    eventCount: 1,
    async run(scene) {
      const alice = scene.account('alice')
      const image = await uploadBlob(alice, PIXEL.bytes, PIXEL.mimeType)
      await uploadBlob(alice, NOTE.bytes, NOTE.mimeType)
      const embed = { $type: 'app.bsky.embed.images', images: [{ alt: '', image }] }
      await createRecord(alice, POST, post('with an image', { embed }))
    },
  },
]

/** `count` creates in one collection, with keys that begin with `prefix`. */
export function creates(prefix: string, count: number): Write[] {
  return Array.from({ length: count }, (_, i) => ({
    action: 'create',
    path: `${THING}/${prefix}${i}`,
    value: { n: i },
  }))
}

function unusualRecord(account: Account): Record<string, unknown> {
  const link = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm'
  return {
    integer: -(2 ** 53 - 1),
    bytes: { $bytes: 'AAEC/w' },
    link: { $link: link },
    empty: [{}, [], '', null, false],
    text: '\u0000 é 字 😀',
    nested: Array.from({ length: 20 }).reduce<unknown>((inner) => ({ inner }), account.did),
  }
}
