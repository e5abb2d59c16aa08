/** Writes to repositories: each kind of operation and combination that a PDS can commit. */

import type { Account, Write } from './scene.ts'
import { applyWrites, callAs, createRecord, deleteRecord, post, putRecord } from './scene.ts'
import type { Step } from './step.ts'

const POST = 'app.bsky.feed.post'
const THING = 'org.example.thing'

/** The most writes that a PDS takes at once. */
const WRITES_MAX = 200

/** A PNG of one pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

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
    name: 'a post with an uploaded blob, and a blob that nothing refers to',
    eventCount: 1,
    async run(scene) {
      const alice = scene.account('alice')
      const upload = 'com.atproto.repo.uploadBlob'
      const { blob } = await callAs(alice, upload, bytesOf(atob(PIXEL)), 'image/png')
      await callAs(alice, upload, bytesOf('not an image'), 'text/plain')
      const embed = { $type: 'app.bsky.embed.images', images: [{ alt: '', image: blob }] }
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

function bytesOf(binary: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
