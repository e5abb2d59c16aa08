/** Commits whose commit object, signature or operations are wrong. */
import { CidLinkWrapper } from '@atcute/cid'
import { PrivateKey } from '../crypto/private-key.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import type { CommitBody } from '../stream/frame-types.ts'
import { tidOf } from '../syntax/tid.ts'
import { type BadEventCase, type BadEventContext, cases, GOOD_PATH } from './bad-event.ts'
import {
  aroundBlock,
  aroundCommit,
  blockOf,
  blocksOf,
  commitContent,
  deepCbor,
  forge,
  highS,
  linkTo,
  nodeBlock,
  withCar,
} from './hostile-commit.ts'
import { SignedRepo } from './signed-repo.ts'

/** Commits whose commit object, signature or operations are wrong. */
export const COMMITS: readonly BadEventCase[] = [
  ...cases('commit-cid-mismatch', {
    'the event names another block': ({ good }) => ({
      ...good,
      commit: must(good.ops[0]?.cid, 'cid'),
    }),
  }),
  ...cases('commit-malformed', {
    'a list': ({ good }) => aroundBlock(good, encodeDrisl([1, 2, 3])),
    'no DRISL': ({ good }) => aroundBlock(good, Uint8Array.of(0xff, 0xff)),
    '200,000 arrays in one another': ({ good }) => aroundBlock(good, deepCbor(200_000)),
    'without data': ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), data: undefined }),
    'data as text': ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), data: 'bafy' }),
    'without prev': ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), prev: undefined }),
    'rev is no TID': ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), rev: '1' }),
    'sig as text': ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), sig: 'me' }),
  }),
  ...cases('commit-version', {
    'version 2': ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), version: 2 }),
  }),
  ...cases('commit-did-mismatch', {
    'the commit of somebody else': ({ good, nowMs }) => {
      const other = new SignedRepo({ seed: 'somebody else', startMs: nowMs })
      return { ...other.apply([]), repo: good.repo }
    },
  }),
  ...cases('commit-rev-mismatch', {
    'another rev than the commit': ({ repo, good, nowMs }) => ({
      ...forge(repo, good, { rev: tidOf(Math.floor(nowMs) * 1_000, 9) }),
      rev: good.rev,
    }),
  }),
  ...cases('signature-malformed', {
    '63 bytes': ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), sig: new Uint8Array(63).fill(1) }),
    zeros: ({ repo, good }) =>
      aroundCommit(repo, good, { ...commitContent(repo, good), sig: new Uint8Array(64) }),
  }),
  ...cases('signature-high-s', {
    'S over half the order': ({ repo, good }) => {
      const content = commitContent(repo, good)
      return aroundCommit(repo, good, {
        ...content,
        sig: highS(repo.key.sign(encodeDrisl(content))),
      })
    },
  }),
  ...cases('signature-invalid', {
    "a stranger's key": ({ repo, good }) => {
      const content = commitContent(repo, good)
      const sig = PrivateKey.import('k256', new Uint8Array(32).fill(7)).sign(encodeDrisl(content))
      return aroundCommit(repo, good, { ...content, sig })
    },
  }),
]

const someCid = (context: BadEventContext): CidLinkWrapper => must(context.good.ops[0]?.cid, 'cid')

/** The honest commit with another list of operations; they are not signed. */
const withOps = (good: CommitBody, ops: readonly object[]): CommitBody => ({
  ...good,
  ops: ops as CommitBody['ops'],
})

/** An honest commit of one record with any bytes, made beside the repository's own history. */
function recordOf(repo: SignedRepo, good: CommitBody, bytes: Uint8Array): CommitBody {
  const record = blockOf(bytes)
  const root = nodeBlock([{ k: GOOD_PATH, v: record.cid }])
  return forge(repo, good, {
    data: root.cid,
    blocks: [root, record],
    ops: [{ action: 'create', path: GOOD_PATH, cid: linkTo(record) }],
  })
}

/** Operations that are malformed, or say otherwise than the tree. */
export const OPERATIONS: readonly BadEventCase[] = [
  ...cases('op-malformed', {
    'create without cid': ({ good }) =>
      withOps(good, [{ action: 'create', path: GOOD_PATH, cid: null }]),
    'create with prev': (c) =>
      withOps(c.good, [{ action: 'create', path: GOOD_PATH, cid: someCid(c), prev: someCid(c) }]),
    'delete with cid': (c) =>
      withOps(c.good, [{ action: 'delete', path: GOOD_PATH, cid: someCid(c), prev: someCid(c) }]),
    'an unknown action': (c) =>
      withOps(c.good, [{ action: 'merge', path: GOOD_PATH, cid: someCid(c) }]),
    'an action named constructor': (c) =>
      withOps(c.good, [{ action: 'constructor', path: GOOD_PATH, cid: someCid(c) }]),
  }),
  ...cases('op-path-invalid', {
    'one segment': (c) => withOps(c.good, [{ action: 'create', path: 'note', cid: someCid(c) }]),
    'a dot as record key': (c) =>
      withOps(c.good, [{ action: 'create', path: 'org.example.note/..', cid: someCid(c) }]),
    'a path of 100,000 bytes': (c) =>
      withOps(c.good, [
        { action: 'create', path: `org.example.note/${'a'.repeat(100_000)}`, cid: someCid(c) },
      ]),
  }),
  ...cases('op-path-repeated', {
    'two creates': ({ good }) => withOps(good, [...good.ops, ...good.ops]),
  }),
  ...cases('op-record-missing', {
    'the record is not there': ({ good }) =>
      withCar(
        good,
        blocksOf(good).filter(
          ({ cid }) => new CidLinkWrapper(cid).$link !== good.ops[0]?.cid?.$link,
        ),
      ),
  }),
  ...cases('op-record-too-large', {
    '1,000,001 bytes': ({ repo, good }) => {
      const overhead = encodeDrisl({ a: new Uint8Array(999_000) }).length - 999_000
      return recordOf(repo, good, encodeDrisl({ a: new Uint8Array(1_000_001 - overhead) }))
    },
  }),
  ...cases('op-record-malformed', {
    'a float': ({ repo, good }) =>
      recordOf(repo, good, Uint8Array.of(0xa1, 0x61, 0x61, 0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0)),
    'a list': ({ repo, good }) => recordOf(repo, good, Uint8Array.of(0x80)),
    'bytes after the map': ({ repo, good }) => recordOf(repo, good, Uint8Array.of(0xa0, 0)),
    '200,000 arrays in one another': ({ repo, good }) => recordOf(repo, good, deepCbor(200_000)),
  }),
  ...cases('op-not-in-tree', {
    'a record that the tree does not have': (c) =>
      withOps(c.good, [
        ...c.good.ops,
        { action: 'create', path: 'org.example.note/forged', cid: someCid(c) },
      ]),
    'a deletion of what is still there': (c) =>
      withOps(c.good, [{ action: 'delete', path: GOOD_PATH, cid: null, prev: someCid(c) }]),
  }),
  ...cases('op-prev-missing', {
    'an update without prev': (c) =>
      withOps(c.good, [{ action: 'update', path: GOOD_PATH, cid: someCid(c) }]),
  }),
  ...cases('prev-data-missing', {
    'a later commit without prevData': ({ good }) => {
      const { prevData: _, ...rest } = good
      return rest
    },
  }),
  ...cases('inversion-mismatch', {
    'a change that no operation tells': ({ good }) => withOps(good, []),
    'another tree before': (c) => ({ ...c.good, prevData: someCid(c) }),
    'an update told as a create': (c) =>
      withOps(c.good, [{ action: 'update', path: GOOD_PATH, cid: someCid(c), prev: someCid(c) }]),
  }),
]
