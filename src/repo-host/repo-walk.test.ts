import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CODEC_DAG_CBOR, cidOf, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import type { TreeNode } from '../repo/tree-node.ts'
import { streamOrder, type StreamItem } from '../repo/tree-walk.ts'
import { Tree } from '../repo/tree.ts'
import { walkOnce } from './repo-walk.ts'

/** A tree of so many records, as blocks. */
function treeOf(count: number): { readonly root: Uint8Array; readonly open: () => Tree } {
  const blocks = new Map<string, Uint8Array>()
  const tree = Tree.empty()
  for (let n = 0; n < count; n++) {
    tree.put(`org.example.note/${n}`, cidOf(CODEC_DAG_CBOR, utf8(String(n))))
  }
  const root = tree.write((cid, block) => blocks.set(cidToString(cid), block))
  const source = { block: (cid: Uint8Array) => blocks.get(cidToString(cid)) ?? null }
  return { root, open: () => new Tree(source, root) }
}

const textOf = (item: StreamItem): string =>
  item.kind === 'node' ? `node ${cidToString(must(item.node.cid, 'CID'))}` : `record ${item.key}`

/** Nodes below a node that are held as objects. */
function heldBelow(node: TreeNode): number {
  let held = 0
  for (const subtree of node.subtrees) {
    if (subtree !== null && !(subtree instanceof Uint8Array)) held += 1 + heldBelow(subtree)
  }
  return held
}

test('a walk meets what streamOrder meets, and holds one way down', () => {
  for (const count of [0, 1, 2, 50, 3_000]) {
    const { open } = treeOf(count)
    const expected = [...streamOrder(open())].map(textOf)
    const tree = open()
    const met: string[] = []
    let most = 0
    for (const item of walkOnce(tree)) {
      met.push(textOf(item))
      if (met.length % 97 === 0) most = Math.max(most, heldBelow(tree.root()))
    }
    assert.deepEqual(met, expected)
    assert(most < 12, `${most} nodes held of ${count} records`)
    assert.equal(heldBelow(tree.root()), 0)
  }
})

test('a subtree that is not entered is not loaded', () => {
  const { open } = treeOf(500)
  const tree = open()
  const asked: string[] = []
  const items = [
    ...walkOnce(tree, (cid) => {
      asked.push(cidToString(cid))
      return false
    }),
  ]
  const root = tree.root()
  assert.deepEqual(
    items.flatMap((item) => (item.kind === 'record' ? [item.key] : [])),
    root.keys,
  )
  assert.equal(asked.length, root.subtrees.filter((subtree) => subtree !== null).length)
})
