/** Walks over a tree: its records in order, its nodes from the top, the paths that prove a key. */
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { lowerBound, type Tree } from './tree.ts'
import { keyHeight, type TreeNode } from './tree-node.ts'

/** A record of a tree. */
export interface TreeEntry {
  readonly key: string
  /** CID of the record, 36 bytes. */
  readonly value: Uint8Array
}

/** The records of a tree in key order, from the first key that is not before `from`. */
export function* treeEntries(tree: Tree, from = ''): Generator<TreeEntry> {
  yield* entriesBelow(tree, tree.root(), from)
}

function* entriesBelow(tree: Tree, node: TreeNode, from: string): Generator<TreeEntry> {
  const start = lowerBound(node, from)
  for (let i = start; i <= node.keys.length; i++) {
    const child = tree.child(node, i)
    if (child !== null) yield* entriesBelow(tree, child, i === start ? from : '')
    const key = node.keys[i]
    if (key !== undefined) yield { key, value: must(node.values[i], 'value') }
  }
}

/** What a walk in streamable order meets: a node, or the CID of a record. */
export type StreamItem =
  | { readonly kind: 'node'; readonly node: TreeNode }
  | { readonly kind: 'record'; readonly key: string; readonly value: Uint8Array }

/** Every node before its children and every record at its place: the order of streamable CARs. */
export function* streamOrder(tree: Tree, node: TreeNode = tree.root()): Generator<StreamItem> {
  yield { kind: 'node', node }
  for (let i = 0; i <= node.keys.length; i++) {
    const child = tree.child(node, i)
    if (child !== null) yield* streamOrder(tree, child)
    const key = node.keys[i]
    if (key !== undefined) yield { kind: 'record', key, value: must(node.values[i], 'value') }
  }
}

/**
 * The nodes from the root to `key`, or to where it would be: what proves that it is (not) there.
 * The way ends below the height that the key's hash demands: it cannot stand there.
 */
export function searchPath(tree: Tree, key: string): TreeNode[] {
  const height = keyHeight(utf8(key))
  const path: TreeNode[] = []
  let node: TreeNode | null = tree.root()
  while (node !== null) {
    path.push(node)
    const index = lowerBound(node, key)
    if (node.keys[index] === key || node.height < height) break
    node = tree.child(node, index)
  }
  return path
}

/** The nodes on the way to the last key before `key` and to the first key after it. */
export function neighbourPaths(tree: Tree, key: string): Set<TreeNode> {
  const nodes = new Set<TreeNode>()
  walkToNeighbour(tree, tree.root(), key, 'before', nodes)
  walkToNeighbour(tree, tree.root(), key, 'after', nodes)
  return nodes
}

function walkToNeighbour(
  tree: Tree,
  node: TreeNode,
  key: string,
  side: 'before' | 'after',
  nodes: Set<TreeNode>,
): boolean {
  nodes.add(node)
  const at = lowerBound(node, key)
  const found = node.keys[at] === key
  // Beside the key itself the neighbour is in the subtree next to it, else in the one around it.
  const subtree = side === 'after' && found ? at + 1 : at
  const child = tree.child(node, subtree)
  if (child !== null && walkToNeighbour(tree, child, key, side, nodes)) return true
  if (side === 'before') return at > 0
  return (found ? at + 1 : at) < node.keys.length
}

/**
 * The nodes of a commit's covering proof for `key`: its search path and the paths to both of its
 * neighbours. With these the operation on the key can be inverted. (Sync specification, "operation
 * inversion".)
 */
export function coveringProof(tree: Tree, key: string): Set<TreeNode> {
  const nodes = neighbourPaths(tree, key)
  for (const node of searchPath(tree, key)) nodes.add(node)
  return nodes
}
