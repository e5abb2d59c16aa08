/**
 * Reads a repository out of a CAR and verifies it while it comes: the commit first, then every node
 * against its place, every record against the tree, and in the end that nothing is missing.
 *
 * A CAR in streamable order (./repo-car.ts) takes the memory of one path of the tree; one in any
 * other order takes that of the blocks that come before their turn. (Repository specification, "CAR
 * file serialization".)
 */
import { readCarStream, CarStreamError } from '../data/car-stream.ts'
import { must } from '../lib/assert.ts'
import { SkeinError } from '../lib/errors.ts'
import type { InvalidReason, UnverifiableReason } from '../lib/reasons.ts'
import type { Result } from '../lib/result.ts'
import { isRepoPathBytes } from '../syntax/repo-path.ts'
import { BlockSupply } from './block-supply.ts'
import { decodeCommit, type Commit } from './commit.ts'
import { missingBlock, TreeError } from './tree-error.ts'
import { decodeNode, type TreeNode } from './tree-node.ts'
import { checkChild, checkRoot } from './tree.ts'

export interface RepoReadLimits {
  /**
   * Most bytes of the whole CAR, and of all records together: one that stands at many paths counts
   * at each, so that a few megabytes cannot unfold into terabytes.
   */
  readonly bytesMax: number
  /** Most blocks of the whole CAR. */
  readonly blocksMax: number
  /** Blocks that come before their turn, bytes with what holding them costs. */
  readonly heldBytesMax: number
}

export const REPO_READ_LIMITS: RepoReadLimits = {
  // The largest repositories known have some hundred megabytes.
  bytesMax: 4 * 1_024 * 1_024 * 1_024,
  // Each takes 36 bytes of the above at least; this is 400 times the largest known.
  blocksMax: 100_000_000,
  heldBytesMax: 256 * 1_024 * 1_024,
}

/** Judges the signature of a commit; called once, before anything is given out. */
export type CommitJudge = (
  commit: Commit,
  block: Uint8Array,
) => Promise<Result<void, InvalidReason | UnverifiableReason>>

export interface RepoReadOptions {
  /** Whose repository it must be; null when `judge` is to decide that. */
  readonly did: string | null
  readonly judge: CommitJudge
  /** Which records are given out; the others are hashed and passed over. Default all. */
  readonly wants?: (path: string) => boolean
  /** Sees every node of the tree when its turn comes, checked, with its size in bytes. */
  readonly onNode?: (node: TreeNode, bytes: number) => void
  readonly limits?: Partial<RepoReadLimits>
}

/** A record that the tree holds. */
export interface RepoRecord {
  /** `<collection>/<record key>`. */
  readonly path: string
  /** 36 bytes. */
  readonly cid: Uint8Array
  /** The record's bytes, which hash to `cid`; not decoded. The reader's own. */
  readonly bytes: Uint8Array
}

/** A repository that is being read. */
export interface RepoRead {
  readonly commit: Commit
  /** CID of the commit, 36 bytes. */
  readonly cid: Uint8Array
  /**
   * In the order of their paths, to be iterated once. Each is proven when it is given; that they
   * are all is proven when the iteration ends without an error. Leaving it ends the source.
   */
  readonly records: AsyncIterable<RepoRecord>
}

/**
 * Why a repository could not be read to its end. `truncated`: it ended before all was there, so
 * that asking again may help; `too-large`: it is over a limit of ours; `invalid`: it breaks a rule;
 * `unverifiable`: its signature could not be checked.
 */
export type RepoFault = 'truncated' | 'too-large' | 'invalid' | 'unverifiable'

/** What reading a repository throws for what is wrong with it. */
export class RepoReadError extends SkeinError {
  readonly fault: RepoFault
  readonly reason: InvalidReason | UnverifiableReason

  constructor(
    fault: RepoFault,
    reason: InvalidReason | UnverifiableReason,
    detail: string,
    cause?: unknown,
  ) {
    super('REPO_UNVERIFIED', `read repository: ${detail}`, { fault, reason }, cause)
    this.fault = fault
    this.reason = reason
  }
}

/**
 * Opens a repository: when the promise resolves, its commit has been judged.
 *
 * Enforced are the rules of the CAR, of commit objects and of trees; `did` is compared. Records are
 * neither decoded nor checked beyond their hash. Blocks that the tree does not name are tolerated,
 * and so is a record that comes once though it stands at several paths, as far as
 * what ./block-supply.ts holds reaches. A node that is named twice and comes once counts as cut
 * off.
 *
 * @throws RepoReadError; what the source throws passes through.
 */
export async function readRepo(
  source: AsyncIterable<Uint8Array>,
  options: RepoReadOptions,
): Promise<RepoRead> {
  const limits = { ...REPO_READ_LIMITS, ...options.limits }
  let supply: BlockSupply | null = null
  try {
    const { roots, blocks } = await readCarStream(source, limits)
    supply = new BlockSupply(blocks, limits)
    const cid = must(roots[0], 'CAR root')
    const block = await supply.take(cid, 'once')
    if (block === null) {
      throw new RepoReadError('truncated', 'car-root-missing', 'the commit is missing')
    }
    const commit = await judgedCommit(block, options)
    return { commit, cid, records: readRecords(supply, commit, options) }
  } catch (error) {
    await supply?.close()
    throw readErrorOf(error)
  }
}

/** The commit of a repository, decoded and judged. Throws RepoReadError. */
export async function judgedCommit(
  block: Uint8Array,
  options: Pick<RepoReadOptions, 'did' | 'judge'>,
): Promise<Commit> {
  const decoded = decodeCommit(block)
  if (!decoded.ok) throw new RepoReadError('invalid', decoded.reason, decoded.detail)
  const commit = decoded.value
  if (options.did !== null && commit.did !== options.did) {
    const detail = `the commit is of ${commit.did.slice(0, 128)}`
    throw new RepoReadError('invalid', 'commit-did-mismatch', detail)
  }
  const verdict = await options.judge(commit, block)
  if (verdict.ok) return commit
  const fault = verdict.reason.startsWith('identity-') ? 'unverifiable' : 'invalid'
  throw new RepoReadError(fault, verdict.reason, verdict.detail)
}

/** A node on the way down. Before key `index` comes subtree `index`, if that was not taken yet. */
interface Place {
  readonly node: TreeNode
  index: number
  descended: boolean
}

async function* readRecords(
  supply: BlockSupply,
  { data }: Commit,
  { wants, onNode, limits }: RepoReadOptions,
): AsyncGenerator<RepoRecord> {
  const { bytesMax } = { ...REPO_READ_LIMITS, ...limits }
  let recordBytes = 0
  try {
    const { node: root, bytes } = await readNode(supply, data)
    checkRoot(root)
    onNode?.(root, bytes)
    const path: Place[] = [{ node: root, index: 0, descended: false }]
    for (let place = path.at(-1); place !== undefined; place = path.at(-1)) {
      const { node, index } = place
      const subtree = node.subtrees[index] ?? null
      if (!place.descended && subtree instanceof Uint8Array) {
        place.descended = true
        const { node: child, bytes: size } = await readNode(supply, subtree)
        checkChild(node, index, child)
        onNode?.(child, size)
        path.push({ node: child, index: 0, descended: false })
        continue
      }
      const key = node.keys[index]
      if (key === undefined) {
        path.pop()
        continue
      }
      place.index++
      place.descended = false
      const record = await readRecord(supply, key, must(node.values[index], 'value'))
      recordBytes += record.bytes.length
      if (recordBytes > bytesMax) {
        const detail = `its records have over ${bytesMax} bytes together`
        throw new RepoReadError('too-large', 'mst-too-large', detail)
      }
      if (wants?.(key) !== false) yield record
    }
    await supply.drain()
  } catch (error) {
    throw readErrorOf(error)
  } finally {
    await supply.close()
  }
}

async function readNode(
  supply: BlockSupply,
  cid: Uint8Array,
): Promise<{ readonly node: TreeNode; readonly bytes: number }> {
  const block = await supply.take(cid, 'once')
  if (block === null) throw missingBlock(cid)
  return { node: decodeNode(block, cid, isRepoPathBytes), bytes: block.length }
}

async function readRecord(supply: BlockSupply, path: string, cid: Uint8Array): Promise<RepoRecord> {
  const bytes = await supply.take(cid, 'again')
  if (bytes !== null) return { path, cid, bytes }
  throw new RepoReadError('truncated', 'op-record-missing', `record ${path} is not in the CAR`)
}

/** Everything that is wrong with the repository as one kind of error; the rest as it is. */
export function readErrorOf(error: unknown): unknown {
  if (error instanceof CarStreamError) {
    const fault = error.fault === 'cut' ? 'truncated' : error.fault
    return new RepoReadError(fault, error.reason, error.message, error)
  }
  if (error instanceof TreeError) {
    // The CAR has been read to its end by then: what is missing may have been cut off.
    const fault = error.missing === null ? 'invalid' : 'truncated'
    return new RepoReadError(fault, error.reason, error.detail, error)
  }
  return error
}
