/**
 * Since when what is in a repository has been there: what an export from a rev on goes by. Kept as
 * commits are made, for what the newest one holds; blocks of older commits are not needed.
 */
import { cidEquals } from '../data/cid.ts'
import { decodeNode } from '../repo/tree-node.ts'
import { searchPath } from '../repo/tree-walk.ts'
import type { Tree } from '../repo/tree.ts'
import type { RepoOp } from '../stream/frame-types.ts'
import type { Tid } from '../syntax/tid.ts'

/** Nodes and records that did not come with the first commit, by the rev they came with. */
export class Arrivals {
  #first: Tid | null = null
  /** By the text of the CID. */
  #nodes = new Map<string, Tid>()
  /** By path. */
  readonly #records = new Map<string, Tid>()

  /** What came with the first commit came with this rev. */
  begin(rev: Tid): void {
    this.#first = rev
  }

  /** Forgets records, all of which have gone at once. */
  clearRecords(): void {
    this.#records.clear()
  }

  /**
   * A commit of `rev` was made.
   *
   * @param nodes Text of the CIDs of nodes that the commit before did not hold.
   */
  note(rev: Tid, nodes: readonly string[], ops: readonly RepoOp[]): void {
    for (const text of nodes) this.#nodes.set(text, rev)
    for (const { path, cid, prev } of ops) {
      if (cid === null) this.#records.delete(path)
      else if (prev === undefined || !sameLink(cid, prev)) this.#records.set(path, rev)
    }
  }

  /** Forgets nodes that are not in use. */
  keepNodes(inUse: ReadonlySet<string>): void {
    this.#nodes = new Map([...this.#nodes].filter(([text]) => inUse.has(text)))
  }

  /** Rev with which a node of the newest commit came, or came back. */
  nodeRev(text: string): string {
    return this.#nodes.get(text) ?? this.#first ?? ''
  }

  /** Rev with which the record at a path was put there. */
  recordRev(path: string): string {
    return this.#records.get(path) ?? this.#first ?? ''
  }
}

function sameLink(a: { readonly bytes: Uint8Array }, b: { readonly bytes: Uint8Array }): boolean {
  return cidEquals(a.bytes, b.bytes)
}

/**
 * Whether a node is part of a tree: if it is, it stands on the way to its own first key.
 *
 * @param cid A node whose blocks, and those below on the left, `source` has.
 */
export function standsIn(
  tree: Tree,
  cid: Uint8Array,
  source: (cid: Uint8Array) => Uint8Array,
): boolean {
  const key = firstKey(cid, source)
  // Without any key it is the root of an empty tree.
  if (key === null) return cidEquals(tree.rootCid(), cid)
  return searchPath(tree, key).some((node) => node.cid !== null && cidEquals(node.cid, cid))
}

function firstKey(root: Uint8Array, source: (cid: Uint8Array) => Uint8Array): string | null {
  for (let cid = root; ;) {
    const node = decodeNode(source(cid), cid, () => true)
    const [key] = node.keys
    const [below] = node.subtrees
    if (key !== undefined) return key
    if (!(below instanceof Uint8Array)) return null
    cid = below
  }
}
