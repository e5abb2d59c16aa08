/**
 * A Merkle search tree, synchronous, loaded block by block as it is walked.
 *
 * Nodes are checked as they are loaded (./tree-node.ts) and against where they stand: one height
 * below the parent, keys between the parent's. What is not walked is not looked at, so that partial
 * trees work as far as their blocks reach.
 */
import { CODEC_DAG_CBOR, cidOf } from '../data/cid.ts'
import { assert, must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { MST_HEIGHT_MAX } from '../lib/limits.ts'
import { missingBlock, TreeError } from './tree-error.ts'
import {
  bareNode,
  decodeNode,
  EMPTY_TREE_CID,
  encodeNode,
  keyHeight,
  type KeyRule,
  type Subtree,
  type TreeNode,
} from './tree-node.ts'

/** Where node blocks come from. May throw TreeError, for instance on a block asked for twice. */
export interface NodeSource {
  /** The block with this CID, or null when it is not there. The tree keeps views into it. */
  block(cid: Uint8Array): Uint8Array | null
}

export interface TreeOptions {
  /** What a key may look like, which must be ASCII; default: any that is not empty. */
  readonly keyRule?: KeyRule
}

/** Nodes hold keys as text whose order is that of the bytes: that is so for ASCII alone. */
const anyAsciiKey: KeyRule = (bytes, start, end) => {
  for (let i = start; i < end; i++) if ((bytes[i] as number) > 0x7f) return false
  return end > start
}

/** The index of the first key that is not before `key`. */
export function lowerBound(node: TreeNode, key: string): number {
  let low = 0
  let high = node.keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((node.keys[middle] as string) < key) low = middle + 1
    else high = middle
  }
  return low
}

/** A step of a walk from the root: a node, and which of its subtrees or keys the walk went for. */
interface Step {
  readonly node: TreeNode
  readonly index: number
}

/**
 * A tree under a root CID. Changing it changes nodes in memory only; `rootCid` gives the new root.
 */
export class Tree {
  readonly #source: NodeSource
  readonly #keyRule: KeyRule
  #root: Subtree

  /** @param root CID of the root node. */
  constructor(source: NodeSource, root: Uint8Array, options: TreeOptions = {}) {
    this.#source = source
    this.#keyRule = options.keyRule ?? anyAsciiKey
    this.#root = root
  }

  /** A tree without records. */
  static empty(options: TreeOptions = {}): Tree {
    const tree = new Tree({ block: () => null }, EMPTY_TREE_CID, options)
    // Not encoded yet: its one node is written like any other.
    tree.#root = bareNode(0, null)
    return tree
  }

  /** The root node, loaded. */
  root(): TreeNode {
    const root = this.#root
    if (root !== null && !(root instanceof Uint8Array)) return root
    const cid = must(root, 'tree root')
    const node = this.#load(cid)
    checkRoot(node)
    this.#root = node
    return node
  }

  /**
   * The subtree `index` of `node`, loaded and checked against its place; null when there is none.
   */
  child(node: TreeNode, index: number): TreeNode | null {
    const subtree = node.subtrees[index]
    assert(subtree !== undefined, 'no such subtree')
    if (!(subtree instanceof Uint8Array)) return subtree
    const child = this.#load(subtree)
    checkChild(node, index, child)
    node.subtrees[index] = child
    return child
  }

  #load(cid: Uint8Array): TreeNode {
    const block = this.#source.block(cid)
    if (block === null) throw missingBlock(cid)
    return decodeNode(block, cid, this.#keyRule)
  }

  /** The CID of the record at `key`, or null. */
  get(key: string): Uint8Array | null {
    let node: TreeNode | null = this.root()
    while (node !== null) {
      const index = lowerBound(node, key)
      if (node.keys[index] === key) return node.values[index] as Uint8Array
      node = this.child(node, index)
    }
    return null
  }

  /**
   * Puts a record at `key`. Returns the CID that stood there, or null.
   *
   * @throws TreeError when no tree may hold the key, which may be a stranger's.
   */
  put(key: string, value: Uint8Array): Uint8Array | null {
    const bytes = utf8(key)
    if (!this.#keyRule(bytes, 0, bytes.length)) {
      throw new TreeError('mst-key-invalid', `key ${JSON.stringify(key.slice(0, 80))}`)
    }
    const height = keyHeight(bytes)
    if (height > MST_HEIGHT_MAX) throw new TreeError('mst-too-large', `key of height ${height}`)
    const root = this.root()
    if (root.keys.length === 0 && root.subtrees[0] === null) {
      this.#root = leafNode(key, value, height, [null, null])
      return null
    }
    if (height > root.height) {
      const [left, right] = this.#split(root, key)
      const below = height - 1
      const subtrees = [wrap(left, root.height, below), wrap(right, root.height, below)]
      this.#root = leafNode(key, value, height, subtrees)
      return null
    }
    return this.#putBelow(root, key, value, height)
  }

  #putBelow(root: TreeNode, key: string, value: Uint8Array, height: number): Uint8Array | null {
    let node = root
    for (;;) {
      node.cid = null
      const index = lowerBound(node, key)
      if (node.height === height) return this.#putHere(node, index, key, value)
      // A node above the key's height cannot hold it: keys of a node all have the node's height.
      const child = this.child(node, index)
      if (child === null) {
        const leaf = leafNode(key, value, height, [null, null])
        node.subtrees[index] = wrap(leaf, height, node.height - 1)
        return null
      }
      node = child
    }
  }

  #putHere(node: TreeNode, index: number, key: string, value: Uint8Array): Uint8Array | null {
    if (node.keys[index] === key) {
      const before = node.values[index] as Uint8Array
      node.values[index] = value
      node.form = null
      return before
    }
    const child = this.child(node, index)
    const [left, right] = child === null ? [null, null] : this.#split(child, key)
    node.keys.splice(index, 0, key)
    node.values.splice(index, 0, value)
    node.subtrees.splice(index, 1, left, right)
    node.form = null
    return null
  }

  /**
   * Removes the record at `key`. Returns its CID, or null (and changes nothing) if there is none.
   */
  delete(key: string): Uint8Array | null {
    const steps: Step[] = []
    let node: TreeNode | null = this.root()
    while (node !== null) {
      const index = lowerBound(node, key)
      steps.push({ node, index })
      if (node.keys[index] === key) break
      node = this.child(node, index)
    }
    const last = must(steps.at(-1), 'step')
    if (node === null) return null
    const before = last.node.values[last.index] as Uint8Array
    const joined = this.#join(last.node, last.index, last.node, last.index + 1)
    last.node.subtrees.splice(last.index, 2, joined)
    last.node.keys.splice(last.index, 1)
    last.node.values.splice(last.index, 1)
    last.node.form = null
    for (let i = steps.length - 1; i >= 0; i--) {
      const step = steps[i] as Step
      step.node.cid = null
      const above = steps[i - 1]
      if (above !== undefined && isVoid(step.node)) above.node.subtrees[above.index] = null
    }
    this.#trimTop()
    return before
  }

  /** Takes nodes without keys off the top. A lower root that is not at hand stays a CID. */
  #trimTop(): void {
    for (;;) {
      const root = this.#root
      if (root === null || root instanceof Uint8Array || root.keys.length > 0) return
      const below = root.subtrees[0] as Subtree
      if (below === null) {
        root.height = 0
        return
      }
      if (below instanceof Uint8Array) {
        const block = this.#source.block(below)
        if (block === null) {
          this.#root = below
          return
        }
        const node = decodeNode(block, below, this.#keyRule)
        checkPlace(node, root.height - 1)
        this.#root = node
      } else this.#root = below
    }
  }

  /** Parts a node at a key that it does not hold into what is before and what is after. */
  #split(node: TreeNode, key: string): [TreeNode | null, TreeNode | null] {
    const index = lowerBound(node, key)
    assert(node.keys[index] !== key, 'split at a key of the node')
    const child = this.child(node, index)
    const [left, right] = child === null ? [null, null] : this.#split(child, key)
    if (index === 0 && left === null) return [null, node]
    if (index === node.keys.length && right === null) return [node, null]
    const before: TreeNode = {
      height: node.height,
      keys: node.keys.slice(0, index),
      values: node.values.slice(0, index),
      subtrees: [...node.subtrees.slice(0, index), left],
      cid: null,
      form: null,
      lower: node.lower,
      upper: key,
    }
    const after: TreeNode = {
      height: node.height,
      keys: node.keys.slice(index),
      values: node.values.slice(index),
      subtrees: [right, ...node.subtrees.slice(index + 1)],
      cid: null,
      form: null,
      lower: key,
      upper: node.upper,
    }
    return [isVoid(before) ? null : before, isVoid(after) ? null : after]
  }

  /**
   * Joins two subtrees of one height between which a key has gone. They are loaded only where both
   * are there: a proof holds no more than that.
   */
  #join(
    leftParent: TreeNode,
    leftIndex: number,
    rightParent: TreeNode,
    rightIndex: number,
  ): Subtree {
    const leftSubtree = leftParent.subtrees[leftIndex]
    const rightSubtree = rightParent.subtrees[rightIndex]
    assert(leftSubtree !== undefined && rightSubtree !== undefined, 'no such subtree')
    if (leftSubtree === null) return rightSubtree
    if (rightSubtree === null) return leftSubtree
    const left = must(this.child(leftParent, leftIndex), 'left neighbour')
    const right = must(this.child(rightParent, rightIndex), 'right neighbour')
    assert(left.height === right.height, 'neighbours of two heights')
    const inner = this.#join(left, left.keys.length, right, 0)
    left.subtrees.pop()
    left.subtrees.push(inner, ...right.subtrees.slice(1))
    left.keys.push(...right.keys)
    left.values.push(...right.values)
    left.upper = right.upper
    left.cid = null
    left.form = null
    return left
  }

  /** The CID of the root, after encoding the nodes that have changed. */
  rootCid(): Uint8Array {
    return this.write(() => undefined)
  }

  /**
   * Encodes the nodes that have changed, children before parents.
   *
   * @param sink Receives each with its CID; the bytes are the caller's.
   * @returns The CID of the root.
   */
  write(sink: (cid: Uint8Array, block: Uint8Array) => void): Uint8Array {
    const link = (subtree: Subtree): Uint8Array | null => {
      if (subtree === null || subtree instanceof Uint8Array) return subtree
      if (subtree.cid !== null) return subtree.cid
      const block = encodeNode(subtree, link)
      subtree.cid = cidOf(CODEC_DAG_CBOR, block)
      sink(subtree.cid, block)
      return subtree.cid
    }
    return must(link(this.#root), 'root CID')
  }
}

/** A node that holds nothing and leads nowhere. */
function isVoid(node: TreeNode): boolean {
  return node.keys.length === 0 && node.subtrees[0] === null
}

function leafNode(key: string, value: Uint8Array, height: number, subtrees: Subtree[]): TreeNode {
  return {
    height,
    keys: [key],
    values: [value],
    subtrees,
    cid: null,
    form: null,
    lower: null,
    upper: null,
  }
}

/** Puts nodes without keys over a subtree of height `from` until it has height `to`. */
function wrap(subtree: TreeNode | null, from: number, to: number): TreeNode | null {
  if (subtree === null) return null
  let node = subtree
  for (let height = from + 1; height <= to; height++) node = bareNode(height, node)
  return node
}

/** Checks that nothing hangs below height 0. */
function checkBottom(node: TreeNode): void {
  if (node.height === 0 && node.subtrees.some((subtree) => subtree !== null)) {
    throw new TreeError('mst-height', 'subtree below the bottom')
  }
}

/** Checks a node that has been read as the root. Sets the height of one without keys. */
export function checkRoot(node: TreeNode): void {
  if (node.keys.length > 0) {
    checkBottom(node)
    return
  }
  if (node.subtrees[0] !== null) throw new TreeError('mst-malformed', 'root holds no key')
  node.height = 0
}

/**
 * Checks a node that has been read as the subtree `index` of `parent`, which has been checked: one
 * height below, its keys between those that enclose it. Sets these, and the height of one without
 * keys.
 */
export function checkChild(parent: TreeNode, index: number, child: TreeNode): void {
  child.lower = index > 0 ? (parent.keys[index - 1] as string) : parent.lower
  child.upper = index < parent.keys.length ? (parent.keys[index] as string) : parent.upper
  checkPlace(child, parent.height - 1)
}

/** Checks a loaded node against its place: height, and keys between those that enclose it. */
function checkPlace(node: TreeNode, height: number): void {
  const first = node.keys[0]
  if (first === undefined) {
    if (node.subtrees[0] === null) throw new TreeError('mst-malformed', 'node without any content')
    if (height < 1) throw new TreeError('mst-height', 'node without keys at the bottom')
    node.height = height
    return
  }
  if (node.height !== height) {
    throw new TreeError('mst-height', `node of height ${node.height} at height ${height}`)
  }
  checkBottom(node)
  const last = node.keys[node.keys.length - 1] as string
  if ((node.lower !== null && first <= node.lower) || (node.upper !== null && last >= node.upper)) {
    throw new TreeError('mst-key-order', 'keys of a node lie outside those of its parent')
  }
}
