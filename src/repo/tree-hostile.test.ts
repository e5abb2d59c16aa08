/** Trees whose nodes are each well-formed but do not belong together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodeBlock, type NodeEntry, pathOfHeight } from '../../test/support/hostile-commit.ts'
import { NodeStore, valueOf } from '../../test/support/tree-parts.ts'
import type { CarBlock } from '../data/car-stream.ts'
import { cidToString } from '../data/cid.ts'
import { TreeError } from './tree-error.ts'
import { EMPTY_TREE_BLOCK } from './tree-node.ts'
import { treeEntries } from './tree-walk.ts'
import { Tree } from './tree.ts'

const V = valueOf(1)
const keyAt = (height: number, letter = 'm'): string =>
  pathOfHeight(height, `org.example.note/${letter}`)

/** What a walk over the whole tree ends with: the number of records, or a reason. */
function walk(root: CarBlock, more: readonly CarBlock[] = []): number | string {
  const store = new NodeStore()
  for (const { cid, block } of [root, ...more]) store.blocks.set(cidToString(cid), block)
  return walkTree(store.open(root.cid))
}

function walkTree(tree: Tree): number | string {
  try {
    return [...treeEntries(tree)].length
  } catch (error) {
    if (error instanceof TreeError) return error.reason
    throw error
  }
}

const entry = (k: string, t?: CarBlock): NodeEntry =>
  t === undefined ? { k, v: V } : { k, v: V, t }

test('the shapes that are allowed', () => {
  const leaf = nodeBlock([entry(keyAt(0, 'a'))])
  assert.equal(walk(leaf), 1)
  assert.equal(walk(nodeBlock([])), 0)
  assert.equal(walk(nodeBlock([entry(keyAt(1))], leaf), [leaf]), 2)
  const bare = nodeBlock([], leaf)
  assert.equal(walk(nodeBlock([entry(keyAt(2))], bare), [bare, leaf]), 2)
  const after = nodeBlock([entry(keyAt(0, 'z'))])
  assert.equal(walk(nodeBlock([entry(keyAt(1), after)], leaf), [leaf, after]), 3)
})

test('children at another height than one below', () => {
  const leaf = nodeBlock([entry(keyAt(0, 'a'))])
  assert.equal(walk(nodeBlock([entry(keyAt(2))], leaf), [leaf]), 'mst-height')
  assert.equal(walk(nodeBlock([entry(keyAt(0))], leaf), [leaf]), 'mst-height')
  const same = nodeBlock([entry(keyAt(1, 'a'))])
  assert.equal(walk(nodeBlock([entry(keyAt(1))], same), [same]), 'mst-height')
  const above = nodeBlock([entry(keyAt(3, 'a'))])
  assert.equal(walk(nodeBlock([entry(keyAt(2))], above), [above]), 'mst-height')
})

test('keys of a child outside of those of its parent', () => {
  const before = nodeBlock([entry(keyAt(0, 'a'))])
  const after = nodeBlock([entry(keyAt(0, 'z'))])
  const key = keyAt(1)
  assert.equal(walk(nodeBlock([entry(key)], after), [after]), 'mst-key-order')
  assert.equal(walk(nodeBlock([entry(key, before)]), [before]), 'mst-key-order')
  // Two levels down, the bounds are those of the grandparent.
  const bare = nodeBlock([], after)
  assert.equal(walk(nodeBlock([entry(keyAt(2))], bare), [bare, after]), 'mst-key-order')
  const wide = nodeBlock([entry(keyAt(1, 'a'), after)])
  assert.equal(walk(nodeBlock([entry(keyAt(2))], wide), [wide, after]), 'mst-key-order')
  const straddling = nodeBlock([entry(keyAt(0, 'a')), { k: keyAt(0, 'z').slice(17), p: 17, v: V }])
  assert.equal(walk(nodeBlock([entry(key)], straddling), [straddling]), 'mst-key-order')
})

test('nodes without keys where they do not belong', () => {
  const leaf = nodeBlock([entry(keyAt(0, 'a'))])
  assert.equal(walk(nodeBlock([], leaf), [leaf]), 'mst-malformed')
  const empty = nodeBlock([])
  assert.equal(walk(nodeBlock([entry(keyAt(1))], empty), [empty]), 'mst-malformed')
  assert.equal(walk(nodeBlock([entry(keyAt(0))], empty), [empty]), 'mst-height')
  const bare = nodeBlock([], leaf)
  assert.equal(walk(nodeBlock([entry(keyAt(1))], bare), [bare, leaf]), 'mst-height')
  const overEmpty = nodeBlock([], empty)
  assert.equal(walk(nodeBlock([entry(keyAt(2))], overEmpty), [overEmpty, empty]), 'mst-malformed')
})

test('a long chain of nodes without keys ends at the bottom', () => {
  let below = nodeBlock([entry(keyAt(0, 'a'))])
  const nodes = [below]
  for (let i = 0; i < 10_000; i++) {
    below = nodeBlock([], below)
    nodes.push(below)
  }
  assert.equal(walk(nodeBlock([entry(keyAt(6))], below), nodes), 'mst-height')
})

test('one child on both sides of a key', () => {
  const leaf = nodeBlock([entry(keyAt(0, 'a'))])
  assert.equal(walk(nodeBlock([entry(keyAt(1), leaf)], leaf), [leaf]), 'mst-key-order')
  const bare = nodeBlock([], leaf)
  assert.equal(walk(nodeBlock([entry(keyAt(2), bare)], bare), [bare, leaf]), 'mst-key-order')
})

test('a child repeated at each level does not multiply the work', () => {
  // Expanded, this is a tree of 2^6 leaves; each key sorts after those below it.
  let child = nodeBlock([entry(pathOfHeight(0, 'org.example.note/0'))])
  const nodes = [child]
  for (let height = 1; height <= 6; height++) {
    child = nodeBlock([entry(pathOfHeight(height, `org.example.note/${height}`), child)], child)
    nodes.push(child)
  }
  const store = new NodeStore()
  for (const { cid, block } of nodes) store.blocks.set(cidToString(cid), block)
  assert.equal(walkTree(store.open(child.cid)), 'mst-key-order')
  assert.ok(store.asked.size <= nodes.length)
})

test('a source that lies cannot make a walk endless', () => {
  const leaf = nodeBlock([entry(keyAt(0, 'a'))])
  const root = nodeBlock([entry(keyAt(6))], leaf)
  // Every CID leads back to the root, to an empty node, or to a node without keys over itself.
  const itself = nodeBlock([], leaf).block
  for (const lie of [root.block, EMPTY_TREE_BLOCK, itself, leaf.block]) {
    let asked = 0
    const block = (cid: Uint8Array): Uint8Array => {
      asked++
      return cidToString(cid) === cidToString(root.cid) ? root.block : lie
    }
    const outcome = walkTree(new Tree({ block }, root.cid))
    assert.ok(outcome === 'mst-height' || outcome === 'mst-malformed', String(outcome))
    assert.ok(asked <= 8, `${asked} blocks asked for`)
  }
})

const CHANGES: readonly ((tree: Tree) => unknown)[] = [
  (tree) => tree.put(pathOfHeight(3, 'org.example.note/b'), V),
  (tree) => tree.put(pathOfHeight(0, 'org.example.note/a0'), V),
  (tree) => tree.put(pathOfHeight(0, 'org.example.note/z0'), V),
  (tree) => tree.delete(keyAt(1)),
  (tree) => tree.delete(keyAt(2)),
  (tree) => tree.delete(pathOfHeight(0, 'org.example.note/z0')),
]

test('changes on a hostile tree work beside the fault, or end with a reason', () => {
  const leaf = nodeBlock([entry(keyAt(0, 'a'))])
  const after = nodeBlock([entry(keyAt(0, 'z'))])
  const empty = nodeBlock([])
  const roots = [
    nodeBlock([entry(keyAt(1), leaf)], leaf),
    nodeBlock([entry(keyAt(1), leaf)], after),
    nodeBlock([entry(keyAt(2), leaf)], leaf),
    nodeBlock([entry(keyAt(1), empty)], empty),
  ]
  for (const root of roots) {
    let refused = 0
    for (const change of CHANGES) {
      const store = new NodeStore()
      for (const { cid, block } of [root, leaf, after, empty]) {
        store.blocks.set(cidToString(cid), block)
      }
      const tree = store.open(root.cid)
      try {
        change(tree)
        tree.rootCid()
      } catch (error) {
        assert.ok(error instanceof TreeError)
        refused++
      }
    }
    assert.ok(refused >= 3, `${refused} refused`)
  }
})
