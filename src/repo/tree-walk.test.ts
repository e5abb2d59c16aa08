/** Walks held against the sorted records and against which node holds which key. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { anyKey, anyRecords, NodeStore, treeOf } from '../../test/support/tree-parts.ts'
import { cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { keyHeight, type TreeNode } from './tree-node.ts'
import {
  coveringProof,
  neighbourPaths,
  searchPath,
  type StreamItem,
  streamOrder,
  treeEntries,
} from './tree-walk.ts'
import type { Tree } from './tree.ts'

/** Of a whole tree: which node holds each key, and which node each node hangs from. */
interface Plan {
  readonly keys: readonly string[]
  readonly holder: ReadonlyMap<string, TreeNode>
  readonly parent: ReadonlyMap<TreeNode, TreeNode>
}

function planOf(tree: Tree): Plan {
  const holder = new Map<string, TreeNode>()
  const parent = new Map<TreeNode, TreeNode>()
  const visit = (node: TreeNode): void => {
    for (const key of node.keys) holder.set(key, node)
    for (let i = 0; i <= node.keys.length; i++) {
      const child = tree.child(node, i)
      if (child === null) continue
      parent.set(child, node)
      visit(child)
    }
  }
  visit(tree.root())
  return { keys: [...holder.keys()].toSorted(), holder, parent }
}

/** The nodes from the root to the one that holds `key`. */
function pathTo({ holder, parent }: Plan, key: string): TreeNode[] {
  const path: TreeNode[] = []
  let node = holder.get(key)
  while (node !== undefined) {
    path.unshift(node)
    node = parent.get(node)
  }
  return path
}

const cids = (nodes: Iterable<TreeNode>): string[] =>
  [...nodes].map((node) => cidToString(must(node.cid, 'CID'))).toSorted()

test('treeEntries begins at the first key that is not before `from`', () => {
  fc.assert(
    fc.property(anyRecords, anyKey, (records, from) => {
      const tree = new NodeStore().reopen(treeOf(records))
      const sorted = [...records.keys()].toSorted()
      const all = [...treeEntries(tree)].map(({ key }) => key)
      assert.deepEqual(all, sorted)
      const some = [...treeEntries(tree, from)].map(({ key }) => key)
      assert.deepEqual(
        some,
        sorted.filter((key) => key >= from),
      )
      for (const { key, value } of treeEntries(tree)) {
        assert.equal(cidToString(value), records.get(key))
      }
    }),
    { numRuns: 200 },
  )
})

test('streamOrder: each node before what it holds, records in key order', () => {
  fc.assert(
    fc.property(anyRecords, (records) => {
      const store = new NodeStore()
      const tree = store.reopen(treeOf(records))
      const { parent, holder } = planOf(tree)
      const items: StreamItem[] = [...streamOrder(tree)]
      const seen = new Set<TreeNode>()
      const keys: string[] = []
      for (const item of items) {
        if (item.kind === 'node') {
          const above = parent.get(item.node)
          assert.ok(above === undefined ? seen.size === 0 : seen.has(above))
          seen.add(item.node)
        } else {
          assert.ok(seen.has(must(holder.get(item.key), 'holder')))
          assert.equal(cidToString(item.value), records.get(item.key))
          keys.push(item.key)
        }
      }
      assert.deepEqual(keys, [...records.keys()].toSorted())
      assert.equal(seen.size, store.blocks.size)
      // A node is followed by its left subtree or its first key, never by what lies further right.
      for (const [i, item] of items.entries()) {
        const next = items[i + 1]
        if (item.kind !== 'node' || next === undefined) continue
        const left = tree.child(item.node, 0)
        if (left !== null) assert.equal(next.kind === 'node' && next.node, left)
        else assert.equal(next.kind === 'record' && next.key, item.node.keys[0])
      }
    }),
    { numRuns: 200 },
  )
})

test('searchPath: to the key, or down to the height at which it would stand', () => {
  fc.assert(
    fc.property(anyRecords, anyKey, (records, key) => {
      const tree = new NodeStore().reopen(treeOf(records))
      const plan = planOf(tree)
      const path = searchPath(tree, key)
      if (records.has(key)) {
        assert.deepEqual(cids(path), cids(pathTo(plan, key)))
        return
      }
      const last = must(path.at(-1), 'node')
      const height = keyHeight(utf8(key))
      const isRoot = path.length === 1
      // No further than one level below the height of the key; less far if nothing is there.
      assert.ok(isRoot || last.height >= height - 1)
      for (const [i, node] of path.entries()) {
        if (i > 0) assert.equal(plan.parent.get(node), path[i - 1])
        assert.ok(node.lower === null || node.lower < key)
        assert.ok(node.upper === null || node.upper > key)
      }
    }),
    { numRuns: 300 },
  )
})

test('neighbourPaths: the paths to the last key before and the first key after', () => {
  fc.assert(
    fc.property(anyRecords, anyKey, (records, key) => {
      const tree = new NodeStore().reopen(treeOf(records))
      const plan = planOf(tree)
      const before = plan.keys.findLast((other) => other < key)
      const after = plan.keys.find((other) => other > key)
      const found = neighbourPaths(tree, key)
      const needed = new Set<TreeNode>([tree.root()])
      for (const neighbour of [before, after]) {
        if (neighbour !== undefined) for (const node of pathTo(plan, neighbour)) needed.add(node)
      }
      for (const node of needed) assert.ok(found.has(node))
      // What is entered beyond these lies between the neighbours, where the key itself would be.
      const search = new Set(searchPath(tree, key))
      for (const node of found) {
        const isBetween = node.keys.length === 0 || needed.has(node) || search.has(node)
        assert.ok(isBetween)
      }
    }),
    { numRuns: 300 },
  )
})

test('with a covering proof alone, the operation can be undone and the neighbours be found', () => {
  fc.assert(
    fc.property(anyRecords, anyKey, (records, key) => {
      const store = new NodeStore()
      const tree = store.reopen(treeOf(records))
      const root = tree.rootCid()
      const proof = new Set(cids(coveringProof(tree, key)))
      for (const cid of store.blocks.keys()) if (!proof.has(cid)) store.blocks.delete(cid)
      const partial = store.open(root)
      const stands = records.get(key)
      assert.equal(partial.get(key) === null, stands === undefined)
      const model = new Map(records)
      if (stands === undefined) {
        // A deletion is undone by putting the record back.
        partial.put(key, tree.rootCid())
        model.set(key, cidToString(root))
      } else {
        partial.delete(key)
        model.delete(key)
      }
      assert.deepEqual(partial.rootCid(), treeOf(model).rootCid())
    }),
    { numRuns: 500 },
  )
})
