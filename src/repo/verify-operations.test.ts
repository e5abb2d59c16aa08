/** What an honest commit says it did, with one thing changed; and checks that are relaxed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CidLinkWrapper } from '@atcute/cid'

import {
  blockOf,
  blocksOf,
  forge,
  linkTo,
  nodeBlock,
  pathOfHeight,
  withCar,
} from '../../test/support/hostile-commit.ts'
import { type CommitBody, SignedRepo } from '../../test/support/signed-repo.ts'
import { example, judge, NOW_MS, PATH, reasonOf } from '../../test/support/judged-commit.ts'
import { valueOf } from '../../test/support/tree-parts.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { cidEquals } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { tidOf } from '../syntax/tid.ts'
import { ADJUSTABLE_CHECKS } from './checks.ts'
import { EMPTY_TREE_CID } from './tree-node.ts'

test('since and prevData', () => {
  const { repo, good } = example()
  const key = repo.key.publicKey
  const { prevData: _, ...without } = good
  assert.equal(reasonOf(judge(without, key)), 'prev-data-missing')
  // Nor is it the first commit: the tree before was not empty.
  assert.equal(reasonOf(judge({ ...without, since: null }, key)), 'prev-data-missing')
  const wrong = { ...good, prevData: new CidLinkWrapper(EMPTY_TREE_CID) }
  assert.equal(reasonOf(judge(wrong, key)), 'inversion-mismatch')
  const own = { ...good, prevData: new CidLinkWrapper(must(repo.head, 'head').data) }
  assert.equal(reasonOf(judge(own, key)), 'inversion-mismatch')
  const empty = repo.apply([])
  assert.equal(reasonOf(judge(empty, key)), 'ok')
  assert.equal(
    reasonOf(judge({ ...empty, prevData: must(good.prevData, 'prevData') }, key)),
    'inversion-mismatch',
  )
})

test('first commits: empty, with records, and one that hides a tree before it', () => {
  const repo = new SignedRepo({ seed: 'genesis' })
  const key = repo.key.publicKey
  const writes = [{ action: 'create', path: PATH, record: {} }] as const
  assert.equal(reasonOf(judge(repo.apply([]), key)), 'ok')
  repo.reset()
  const first = repo.apply(writes)
  assert.equal(reasonOf(judge(first, key)), 'ok')
  const { prevData: _, ...second } = repo.apply([
    { action: 'create', path: `${PATH}2`, record: {} },
  ])
  assert.equal(reasonOf(judge({ ...second, since: null }, key)), 'prev-data-missing')
  const told = { ...first, prevData: new CidLinkWrapper(EMPTY_TREE_CID) }
  assert.equal(reasonOf(judge(told, key)), 'ok')
  assert.equal(reasonOf(judge({ ...first, since: tidOf(1, 1) }, key)), 'prev-data-missing')
})

test('operations: each left out, doubled, or said of another record', () => {
  const { repo, good } = example()
  const key = repo.key.publicKey
  const withOps = (ops: CommitBody['ops']): string => reasonOf(judge({ ...good, ops }, key))
  const [create, update, remove] = good.ops
  assert.ok(create && update && remove)
  assert.equal(withOps([]), 'inversion-mismatch')
  for (let i = 0; i < 3; i++) assert.equal(withOps(good.ops.toSpliced(i, 1)), 'inversion-mismatch')
  assert.equal(withOps(good.ops.toReversed()), 'ok')
  for (const op of good.ops) assert.equal(withOps([...good.ops, op]), 'op-path-repeated')
  const stranger = linkTo(blockOf(encodeDrisl({ not: 'there' })))
  assert.equal(withOps([{ ...create, cid: stranger }, update, remove]), 'op-record-missing')
  const swapped = { ...create, cid: must(update.cid, 'cid') }
  assert.equal(withOps([swapped, update, remove]), 'op-not-in-tree')
  assert.equal(withOps([create, { ...update, prev: stranger }, remove]), 'inversion-mismatch')
  assert.equal(withOps([create, update, { ...remove, prev: stranger }]), 'inversion-mismatch')
  const { prev: _, ...bareUpdate } = update
  assert.equal(withOps([create, bareUpdate, remove]), 'op-prev-missing')
  const { prev: __, ...bareRemove } = remove
  assert.equal(withOps([create, update, bareRemove]), 'op-prev-missing')
  const asUpdate = { ...create, action: 'update', prev: stranger }
  assert.equal(withOps([asUpdate, update, remove]), 'inversion-mismatch')
  const ghost = { action: 'delete', path: 'org.example.note/ghost', cid: null, prev: stranger }
  const ghostly = withOps([...good.ops, ghost])
  assert.ok(ghostly === 'inversion-mismatch' || ghostly === 'mst-block-missing', ghostly)
  assert.equal(withOps([{ ...create, path: 'nowhere' }, update, remove]), 'op-path-invalid')
  assert.equal(withOps(Array.from({ length: 201 }, () => create)), 'ops-too-many')
})

test('pairs on one path, as the reference host sends them, pass with a remark', () => {
  const repo = new SignedRepo({ seed: 'pairs' })
  repo.apply([])
  const body = repo.apply([
    { action: 'create', path: PATH, record: { n: 1 } },
    { action: 'update', path: PATH, record: { n: 2 } },
    { action: 'create', path: `${PATH}x`, record: { n: 3 } },
    { action: 'delete', path: `${PATH}x` },
  ])
  const ops = body.ops.map(({ action, path, cid }) => ({ action, path, cid }))
  for (const sent of [body, { ...body, ops }]) {
    const verdict = judge(sent, repo.key.publicKey)
    assert.ok(verdict.ok)
    assert.deepEqual(
      verdict.value.warnings.map(({ reason }) => reason),
      ['op-path-repeated'],
    )
    assert.equal(verdict.value.changes.length, 2)
  }
})

test('checks that are relaxed: warn remarks and passes, off only passes', () => {
  const { repo, good } = example()
  const key = repo.key.publicKey
  const { prevData: _, ...noPrevData } = good
  const { prev: __, ...noPrev } = must(good.ops[1], 'op')
  const [create, update, remove] = good.ops
  assert.ok(create && update && remove)
  const stranger = new CidLinkWrapper(valueOf(9))
  const P1 = pathOfHeight(1, 'org.example.note/q')
  const record = blockOf(encodeDrisl({}))
  const lost = nodeBlock([{ k: pathOfHeight(0, 'org.example.note/a'), v: record.cid }])
  const missing = forge(repo, good, {
    data: nodeBlock([{ k: P1, v: record.cid }], lost).cid,
    blocks: [nodeBlock([{ k: P1, v: record.cid }], lost), record],
    ops: [{ action: 'create', path: 'org.example.note/a', cid: linkTo(record) }],
  })
  const float = Uint8Array.of(0xa1, 0x61, 0x61, 0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0)
  const recorded = new SignedRepo({ seed: 'example' })
  recorded.apply([])
  const big = encodeDrisl({ a: new Uint8Array(1_000_001) })
  const events: Readonly<Record<(typeof ADJUSTABLE_CHECKS)[number], CommitBody>> = {
    'rev-future': new SignedRepo({ seed: 'example', startMs: NOW_MS + 400_000 }).apply([]),
    'commit-cid-mismatch': { ...good, commit: must(create.cid, 'cid') },
    'op-path-invalid': { ...good, ops: [...good.ops, { ...create, path: 'nowhere' }] },
    'op-prev-missing': { ...good, ops: [create, noPrev, remove] },
    'op-record-missing': withCar(
      good,
      blocksOf(good).filter(({ cid }) => !isCid(cid, create.cid)),
    ),
    'op-record-too-large': recorded.apply([{ action: 'create', path: PATH, block: big }]),
    'op-record-malformed': recorded.apply([{ action: 'create', path: `${PATH}2`, block: float }]),
    'prev-data-missing': noPrevData,
    'inversion-mismatch': { ...good, prevData: stranger },
    'op-not-in-tree': {
      ...good,
      ops: [{ ...create, cid: must(update.cid, 'cid') }, update, remove],
    },
    'mst-block-missing': missing,
  }
  for (const check of ADJUSTABLE_CHECKS) {
    const event = events[check]
    assert.equal(reasonOf(judge(event, key)), check)
    assert.equal(reasonOf(judge(event, key, { [check]: 'enforce' })), check)
    const warned = judge(event, key, { [check]: 'warn', 'op-not-in-tree': 'warn' })
    assert.ok(warned.ok, check)
    assert.ok(warned.value.warnings.some(({ reason }) => reason === check))
    const off = judge(event, key, { [check]: 'off', 'op-not-in-tree': 'off' })
    assert.ok(off.ok, check)
    assert.deepEqual(off.value.warnings, [])
  }
})

const isCid = (cid: Uint8Array, link: CidLinkWrapper | null): boolean =>
  link !== null && cidEquals(cid, link.bytes)

test('with the path check relaxed, a path that no tree can hold is still only a reason', () => {
  const { repo, good } = example()
  const prev = new CidLinkWrapper(valueOf(9))
  for (const path of ['nowhere', '', 'é/é', 'x'.repeat(100_000)]) {
    for (const op of [
      { action: 'delete', path, cid: null, prev },
      { action: 'update', path, cid: must(good.ops[0]?.cid, 'cid'), prev },
      { action: 'create', path, cid: must(good.ops[0]?.cid, 'cid') },
      { action: 'merge', path, cid: null },
    ]) {
      const body = { ...good, ops: [...good.ops, op] }
      const verdict = judge(body, repo.key.publicKey, { 'op-path-invalid': 'off' })
      assert.ok(!verdict.ok)
      assert.match(verdict.reason, /^(?:mst-key-invalid|op-not-in-tree|op-malformed)$/)
      assert.ok(verdict.detail.length < 300)
    }
  }
})
