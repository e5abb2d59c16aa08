/**
 * What a repository has become since a rev, out of a CAR that holds only what is new: walked over
 * the tree of that rev, which whoever knows its records can build again.
 */
import { readCarStream } from '../data/car-stream.ts'
import { cidToString } from '../data/cid.ts'
import { assert, must } from '../lib/assert.ts'
import { isRepoPathBytes } from '../syntax/repo-path.ts'
import type { Commit } from './commit.ts'
import { HeldBlocks } from './held-blocks.ts'
import { type CommitJudge, judgedCommit, readErrorOf, RepoReadError } from './repo-reader.ts'
import { diffTrees, type TreeChange } from './tree-diff.ts'
import { TreeError } from './tree-error.ts'
import { type NodeSource, Tree } from './tree.ts'

export interface RepoUpdateOptions {
  /** Whose repository it must be. */
  readonly did: string
  readonly judge: CommitJudge
  /** Most bytes of the whole CAR, which is held in memory. */
  readonly bytesMax: number
}

/** A commit that has been judged, and the blocks that came with it, each hashed. */
export interface RepoUpdate {
  readonly commit: Commit
  /** CID of the commit, 36 bytes. */
  readonly cid: Uint8Array
  readonly blocks: HeldBlocks
}

/** A record that differs. What a created or updated one holds is in the update. */
export interface UpdatedRecord {
  /** `<collection>/<record key>`. */
  readonly path: string
  /** CID before, 36 bytes; null for a created one. */
  readonly before: Uint8Array | null
  /** Null for a deleted one. The bytes hash to the CID, and are the caller's. */
  readonly after: { readonly cid: Uint8Array; readonly bytes: Uint8Array } | null
}

/** Least bytes of an entry of a CAR: its length and its CID. */
const ENTRY_BYTES_MIN = 37
/** Finding a block costs more than its bytes, and {@link HeldBlocks} keeps a share free. */
const HELD_FACTOR = 4

/**
 * Reads a CAR of getRepo with `since`, in any order of its blocks. Whether it is all that is needed
 * shows when it is walked.
 *
 * @throws RepoReadError; what the source throws passes through.
 */
export async function readRepoUpdate(
  source: AsyncIterable<Uint8Array>,
  options: RepoUpdateOptions,
): Promise<RepoUpdate> {
  const { bytesMax } = options
  try {
    const blocksMax = Math.ceil(bytesMax / ENTRY_BYTES_MIN)
    const { roots, blocks: entries } = await readCarStream(source, { bytesMax, blocksMax })
    const blocks = new HeldBlocks(bytesMax * HELD_FACTOR)
    for await (const { cid, block } of entries) {
      assert(blocks.has(cid) || blocks.put(cid, block, 'waiting'), 'there is room for what is read')
    }
    const cid = must(roots[0], 'CAR root')
    const block = blocks.take(cid, 'again')
    // A host that has nothing newer may well leave the commit out.
    if (block === null) {
      throw new RepoReadError('truncated', 'car-root-missing', 'the commit is missing')
    }
    return { commit: await judgedCommit(block, options), cid, blocks }
  } catch (error) {
    throw readErrorOf(error)
  }
}

/** A tree that is built again from the records that it holds. */
export class KnownTree {
  readonly #tree = Tree.empty()
  /** Bounded by the records that were added. */
  readonly #nodes = new HeldBlocks(Number.MAX_SAFE_INTEGER)

  /** @throws TreeError when no tree may hold the path. */
  add(path: string, cid: Uint8Array): void {
    this.#tree.put(path, cid)
  }

  /** The CID of its root: that of the commit's `data` when the records are all that it has. */
  root(): Uint8Array {
    return this.#tree.write((cid, block) => void this.#nodes.put(cid, block, 'waiting'))
  }

  /**
   * What turns this tree into that of an update, in the order of paths. Everything that differs is
   * proven by the update's commit before anything is given out.
   *
   * @throws RepoReadError `truncated` when the update lacks a node or a record that it needs, for
   * instance since this is not the tree that it starts from; `invalid` when it breaks a rule.
   */
  changesTo({ commit, blocks }: RepoUpdate): Iterable<UpdatedRecord> {
    this.root()
    try {
      const source = new NodesOfBoth(blocks, this.#nodes)
      const after = new Tree(source, commit.data, { keyRule: isRepoPathBytes })
      const { changes } = diffTrees(this.#tree, after)
      for (const { key, after: cid } of changes) {
        if (cid === null || blocks.has(cid)) continue
        const detail = `record ${key} is not in the CAR`
        throw new RepoReadError('truncated', 'op-record-missing', detail)
      }
      return recordsOf(changes, blocks)
    } catch (error) {
      throw readErrorOf(error)
    }
  }
}

function* recordsOf(changes: readonly TreeChange[], blocks: HeldBlocks): Generator<UpdatedRecord> {
  for (const { key: path, before, after: cid } of changes) {
    if (cid === null) yield { path, before, after: null }
    else yield { path, before, after: { cid, bytes: must(blocks.take(cid, 'again'), 'record') } }
  }
}

/** Nodes of an update and, where it has none, those of the tree that it starts from. */
class NodesOfBoth implements NodeSource {
  readonly #fresh: HeldBlocks
  readonly #known: HeldBlocks
  readonly #visited = new Set<string>()

  constructor(fresh: HeldBlocks, known: HeldBlocks) {
    this.#fresh = fresh
    this.#known = known
  }

  block(cid: Uint8Array): Uint8Array | null {
    const text = cidToString(cid)
    // A tree reaches no node twice; one that did could take for ever.
    if (this.#visited.has(text)) {
      throw new TreeError('mst-block-repeated', `node ${text} is reached twice`)
    }
    this.#visited.add(text)
    return this.#fresh.take(cid, 'again') ?? this.#known.take(cid, 'again')
  }
}
