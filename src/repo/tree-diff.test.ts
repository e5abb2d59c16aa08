/** The difference of two trees held against that of two Maps and of two sets of nodes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { buildTreeOf } from '../../test/support/reference-tree.ts'
import { anyKey, anyRecords, NodeStore, treeOf, valueOf } from '../../test/support/tree-parts.ts'
import { cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { diffTrees, type TreeDiff } from './tree-diff.ts'
import { EMPTY_TREE_CID, type TreeNode } from './tree-node.ts'

type Records = ReadonlyMap<string, string>

const textOf = (cid: Uint8Array | null): string | null => (cid === null ? null : cidToString(cid))

const cids = (nodes: readonly TreeNode[]): string[] =>
  nodes.map((node) => cidToString(must(node.cid, 'CID'))).toSorted()

function changesOf(before: Records, after: Records): unknown[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].toSorted()
  return keys
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => ({ key, before: before.get(key) ?? null, after: after.get(key) ?? null }))
}

function agrees(diff: TreeDiff, before: Records, after: Records): void {
  const found = diff.changes.map((change) => ({
    key: change.key,
    before: textOf(change.before),
    after: textOf(change.after),
  }))
  assert.deepEqual(found, changesOf(before, after))
  const old = buildTreeOf(before).nodes
  const now = buildTreeOf(after).nodes
  const gone = [...old.keys()].filter((cid) => !now.has(cid))
  const come = [...now.keys()].filter((cid) => !old.has(cid))
  assert.deepEqual(cids(diff.created), come.toSorted())
  assert.deepEqual(cids(diff.deleted), gone.toSorted())
}

test('two unrelated trees', () => {
  fc.assert(
    fc.property(anyRecords, anyRecords, (before, after) => {
      const store = new NodeStore()
      const old = store.reopen(treeOf(before))
      agrees(diffTrees(old, store.reopen(treeOf(after))), before, after)
    }),
    { numRuns: 300 },
  )
})

const edits = fc.array(fc.tuple(anyKey, fc.option(fc.nat(3))), { maxLength: 6 })

test('a tree and what a few changes make of it', () => {
  fc.assert(
    fc.property(anyRecords, edits, (before, changes) => {
      const store = new NodeStore()
      const old = store.reopen(treeOf(before))
      const after = new Map(before)
      for (const [key, number] of changes) {
        if (number === null) after.delete(key)
        else after.set(key, cidToString(valueOf(number)))
      }
      agrees(diffTrees(old, store.reopen(treeOf(after))), before, after)
    }),
    { numRuns: 300 },
  )
})

test('trees in memory that have not been put away', () => {
  const before = new Map([['org.example.a/1', cidToString(valueOf(1))]])
  const after = new Map([...before, ['org.example.a/2', cidToString(valueOf(2))]])
  agrees(diffTrees(treeOf(before), treeOf(after)), before, after)
  agrees(diffTrees(treeOf(new Map()), treeOf(after)), new Map(), after)
  agrees(diffTrees(treeOf(before), treeOf(new Map())), before, new Map())
  const same = diffTrees(treeOf(new Map()), new NodeStore().open(EMPTY_TREE_CID))
  assert.deepEqual(same, { changes: [], created: [], deleted: [] })
})

test('the cost goes with the change, not with the tree', () => {
  const store = new NodeStore()
  const records = new Map(
    Array.from({ length: 3_000 }, (_, i) => [`org.example.a/${i}`, cidToString(valueOf(i))]),
  )
  const root = store.reopen(treeOf(records)).rootCid()
  const changed = store.open(root)
  changed.put('org.example.a/77', valueOf(0))
  const after = store.reopen(changed).rootCid()
  store.asked.clear()
  const diff = diffTrees(store.open(root), store.open(after))
  assert.equal(diff.changes.length, 1)
  assert.ok(store.asked.size <= 2 * 8, `${store.asked.size} nodes loaded`)
})
