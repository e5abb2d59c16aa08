/** Walks a whole tree and lets go of each node when it is done with: for trees of any size. */
import { must } from '../lib/assert.ts'
import type { TreeNode } from '../repo/tree-node.ts'
import type { StreamItem } from '../repo/tree-walk.ts'
import type { Tree } from '../repo/tree.ts'

/** A node on the way down. Even positions are subtrees, odd ones keys. */
interface Level {
  readonly node: TreeNode
  at: number
}

/**
 * Every node before its children and every record at its place, as `streamOrder` does, holding no
 * more than the way from the root. The tree must not be changed meanwhile, nor used for anything
 * else.
 *
 * @param enters Whether to go into the subtree with a CID; asked before its block is.
 * @throws TreeError when the tree is invalid or lacks a block.
 */
export function* walkOnce(
  tree: Tree,
  enters: (cid: Uint8Array) => boolean = () => true,
): Generator<StreamItem> {
  const root = tree.root()
  yield { kind: 'node', node: root }
  const levels: Level[] = [{ node: root, at: 0 }]
  for (let top = levels.at(-1); top !== undefined; top = levels.at(-1)) {
    const { node } = top
    const at = top.at++
    if (at > node.keys.length * 2) {
      levels.pop()
      release(levels.at(-1), node)
    } else if (at % 2 === 1) {
      const value = must(node.values[(at - 1) / 2], 'value')
      yield { kind: 'record', key: must(node.keys[(at - 1) / 2], 'key'), value }
    } else {
      const subtree = node.subtrees[at / 2]
      if (!(subtree instanceof Uint8Array) || !enters(subtree)) continue
      const child = must(tree.child(node, at / 2), 'child')
      yield { kind: 'node', node: child }
      levels.push({ node: child, at: 0 })
    }
  }
}

/** Puts the CID of a node back in its place. */
function release(above: Level | undefined, node: TreeNode): void {
  if (above === undefined) return
  // A copy: the CID may be a view into the block of the node, which is to go.
  above.node.subtrees[(above.at - 1) / 2] = must(node.cid, 'CID of a loaded node').slice()
}
