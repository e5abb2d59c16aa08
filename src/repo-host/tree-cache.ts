/** The trees of the repositories in use, kept open so that a write finds its nodes at hand. */
import { cidEquals } from '../data/cid.ts'
import { Tree } from '../repo/tree.ts'
import type { BlockRows } from '../store/block-rows.ts'
import { isRepoPathBytes } from '../syntax/repo-path.ts'

/**
 * Most nodes kept over all trees: about 1.5 KB each, so 50 MiB. The paths of some thousands of
 * writers.
 */
export const CACHED_NODES_MAX = 32_768

interface CachedTree {
  readonly tree: Tree
  data: Uint8Array
  /** Nodes loaded or written since it was opened; what a write dropped is still counted. */
  nodes: number
}

/** Open trees by repository number, the longest unused first. */
export class TreeCache {
  readonly #blocks: BlockRows
  readonly #nodesMax: number
  readonly #trees = new Map<number, CachedTree>()
  #nodes = 0

  constructor(blocks: BlockRows, nodesMax: number = CACHED_NODES_MAX) {
    this.#blocks = blocks
    this.#nodesMax = nodesMax
  }

  /** Nodes that are counted as held. */
  get nodes(): number {
    return this.#nodes
  }

  /** The tree with this root. It is the cache's: who changes it calls `changed` or `drop`. */
  open(repoId: number, data: Uint8Array): Tree {
    const known = this.#trees.get(repoId)
    if (known !== undefined && cidEquals(known.data, data)) {
      this.#trees.delete(repoId)
      this.#trees.set(repoId, known)
      return known.tree
    }
    this.drop(repoId)
    const source = {
      block: (cid: Uint8Array): Uint8Array | null => {
        const block = this.#blocks.get(repoId, cid)
        if (block === null) return null
        // A tree that was let go of while somebody reads it counts for nothing.
        if (this.#trees.get(repoId) === entry) {
          entry.nodes++
          this.#nodes++
        }
        return block
      },
    }
    const entry: CachedTree = {
      tree: new Tree(source, data, { keyRule: isRepoPathBytes }),
      data,
      nodes: 0,
    }
    this.#trees.set(repoId, entry)
    return entry.tree
  }

  /** The tree has been changed and written: `written` nodes are new, `data` is its root. */
  changed(repoId: number, data: Uint8Array, written: number): void {
    const entry = this.#trees.get(repoId)
    if (entry === undefined) return
    entry.data = data
    entry.nodes += written
    this.#nodes += written
  }

  drop(repoId: number): void {
    const entry = this.#trees.get(repoId)
    if (entry === undefined) return
    this.#trees.delete(repoId)
    this.#nodes -= entry.nodes
  }

  /** Forgets every tree: what they hold may not have been committed. */
  clear(): void {
    this.#trees.clear()
    this.#nodes = 0
  }

  /** Lets go of trees until the bound holds. To be called when none is in use. */
  trim(): void {
    for (const repoId of this.#trees.keys()) {
      if (this.#nodes <= this.#nodesMax) return
      this.drop(repoId)
    }
  }
}
