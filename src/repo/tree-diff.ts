/** What changed between two trees: records, and the nodes that came and went. */
import { cidEquals, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import type { Tree } from './tree.ts'
import type { Subtree, TreeNode } from './tree-node.ts'

/** A record that differs. `before` is null for a created one, `after` for a deleted one. */
export interface TreeChange {
  readonly key: string
  readonly before: Uint8Array | null
  readonly after: Uint8Array | null
}

export interface TreeDiff {
  /** In key order. */
  readonly changes: readonly TreeChange[]
  /** Nodes of the new tree that the old one does not have, and the reverse. */
  readonly created: readonly TreeNode[]
  readonly deleted: readonly TreeNode[]
}

/** A position in a tree: the items that are still to come, the next one last. */
class Cursor {
  readonly nodes: TreeNode[] = []
  readonly #tree: Tree
  readonly #stack: { readonly node: TreeNode; at: number }[] = []

  constructor(tree: Tree) {
    this.#tree = tree
    this.#enter(tree.root())
  }

  #enter(node: TreeNode): void {
    this.nodes.push(node)
    this.#stack.push({ node, at: 0 })
    this.#settle()
  }

  /** Moves over subtrees that are not there and out of nodes that are done. */
  #settle(): void {
    for (;;) {
      const top = this.#stack.at(-1)
      if (top === undefined) return
      if (top.at > top.node.keys.length * 2) this.#stack.pop()
      else if (top.at % 2 === 0 && top.node.subtrees[top.at / 2] === null) top.at++
      else return
    }
  }

  get done(): boolean {
    return this.#stack.length === 0
  }

  /** The subtree that comes next, or null when a key does. */
  get subtree(): Exclude<Subtree, null> | null {
    const { node, at } = must(this.#stack.at(-1), 'position')
    return at % 2 === 0 ? must(node.subtrees[at / 2], 'subtree') : null
  }

  get subtreeHeight(): number {
    return must(this.#stack.at(-1), 'position').node.height - 1
  }

  get key(): string {
    const { node, at } = must(this.#stack.at(-1), 'position')
    return must(node.keys[(at - 1) / 2], 'key')
  }

  get value(): Uint8Array {
    const { node, at } = must(this.#stack.at(-1), 'position')
    return must(node.values[(at - 1) / 2], 'value')
  }

  skip(): void {
    must(this.#stack.at(-1), 'position').at++
    this.#settle()
  }

  descend(): void {
    const top = must(this.#stack.at(-1), 'position')
    const child = must(this.#tree.child(top.node, top.at / 2), 'child')
    top.at++
    this.#enter(child)
  }
}

function sameSubtree(a: Subtree, b: Subtree): boolean {
  const left = a === null || a instanceof Uint8Array ? a : a.cid
  const right = b === null || b instanceof Uint8Array ? b : b.cid
  return left !== null && right !== null && cidEquals(left, right)
}

/**
 * Compares two trees. Subtrees with one CID are not entered, so that the cost goes with the change.
 * Both trees must have been encoded (`rootCid`) since they were changed.
 */
export function diffTrees(before: Tree, after: Tree): TreeDiff {
  const changes: TreeChange[] = []
  if (cidEquals(before.rootCid(), after.rootCid())) return { changes, created: [], deleted: [] }
  const a = new Cursor(before)
  const b = new Cursor(after)
  while (!a.done || !b.done) step(a, b, changes)
  return { changes, created: without(b.nodes, a.nodes), deleted: without(a.nodes, b.nodes) }
}

/** Moves one or both cursors on. */
function step(a: Cursor, b: Cursor, changes: TreeChange[]): void {
  const left = a.done ? null : a.subtree
  const right = b.done ? null : b.subtree
  if (left !== null && right !== null) {
    if (sameSubtree(left, right)) {
      a.skip()
      b.skip()
      return
    }
    const [leftHeight, rightHeight] = [a.subtreeHeight, b.subtreeHeight]
    if (leftHeight >= rightHeight) a.descend()
    if (rightHeight >= leftHeight) b.descend()
  } else if (left !== null) a.descend()
  else if (right !== null) b.descend()
  else stepKeys(a, b, changes)
}

function stepKeys(a: Cursor, b: Cursor, changes: TreeChange[]): void {
  const order = a.done ? 1 : b.done ? -1 : a.key < b.key ? -1 : a.key > b.key ? 1 : 0
  if (order < 0) {
    changes.push({ key: a.key, before: a.value, after: null })
    a.skip()
  } else if (order > 0) {
    changes.push({ key: b.key, before: null, after: b.value })
    b.skip()
  } else {
    if (!cidEquals(a.value, b.value)) {
      changes.push({ key: a.key, before: a.value, after: b.value })
    }
    a.skip()
    b.skip()
  }
}

function without(nodes: readonly TreeNode[], others: readonly TreeNode[]): TreeNode[] {
  const known = new Set(others.map((node) => cidToString(must(node.cid, 'CID'))))
  return nodes.filter((node) => !known.has(cidToString(must(node.cid, 'CID'))))
}
