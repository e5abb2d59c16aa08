/**
 * Proofs that a record is, or is not, in a repository: the signed commit, the tree nodes from the
 * root to the record's place, and the record. This is what `com.atproto.sync.getRecord` answers
 * with.
 */
import type { PublicKey } from '../crypto/public-key.ts'
import type { SignatureVerifier } from '../crypto/verifier.ts'
import type { BlockIndex } from '../data/block-index.ts'
import { parseCar } from '../data/car.ts'
import type { CarBlock } from '../data/car-stream.ts'
import { assert, must } from '../lib/assert.ts'
import { COMMIT_CAR_BLOCKS_MAX } from '../lib/limits.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { type Failure, fail, ok, type Result } from '../lib/result.ts'
import { isRepoPathBytes, parseRepoPath } from '../syntax/repo-path.ts'
import { type Commit, decodeCommit, unsignedBytes } from './commit.ts'
import { missingBlock, TreeError } from './tree-error.ts'
import type { TreeNode } from './tree-node.ts'
import { searchPath } from './tree-walk.ts'
import { lowerBound, Tree } from './tree.ts'
import type { BlockSource } from './repo-car.ts'

/**
 * The blocks that prove what stands at `path`: commit first, then nodes from the root down, then
 * the record if there is one.
 *
 * @param tree The tree of the commit, encoded (`rootCid`) since it was last changed.
 * @throws TreeError TREE_INCOMPLETE when a block is not there.
 */
export function recordProof(
  commit: CarBlock,
  tree: Tree,
  path: string,
  source: BlockSource,
): CarBlock[] {
  assert(parseRepoPath(path) !== null, () => `not a repository path: ${path}`)
  const cids = wayDown(tree, path).map((node) => must(node.cid, 'CID of an encoded node'))
  const record = tree.get(path)
  if (record !== null) cids.push(record)
  const blocks = cids.map((cid) => {
    const block = source(cid)
    if (block === null) throw missingBlock(cid)
    return { cid, block }
  })
  return [commit, ...blocks]
}

/**
 * The nodes on the way to `path`; where no record stands, on to where no subtree is left. The
 * search path is enough of a proof for who knows of heights, as we do below; the reference does
 * not, and looks on.
 */
function wayDown(tree: Tree, path: string): TreeNode[] {
  const nodes: TreeNode[] = []
  let node: TreeNode | null = tree.root()
  while (node !== null) {
    nodes.push(node)
    const index = lowerBound(node, path)
    if (node.keys[index] === path) break
    node = tree.child(node, index)
  }
  return nodes
}

/** Whom and what a proof is to be about. */
export interface ProofClaim {
  readonly did: string
  readonly path: string
  readonly key: PublicKey
  readonly verifier: SignatureVerifier
}

/** What a proof shows: the record with its CID, or that there is none, as of `rev`. */
export interface ProvenRecord {
  readonly rev: string
  /** Null when the proof shows that no record stands at the path. */
  readonly record: CarBlock | null
}

/**
 * Checks a proof. Nothing in it is trusted but what the commit's signature and the hashes cover;
 * blocks that the proof does not need are ignored. Never throws on any bytes.
 *
 * @param car The CAR with the commit as its root. The record is a view into it.
 */
export function verifyRecordProof(
  car: Uint8Array,
  claim: ProofClaim,
): Result<ProvenRecord, InvalidReason> {
  const opened = openProof(car, claim)
  if (!opened.ok) return opened
  const { commit, message } = opened.value
  const signed = claim.verifier.verify(claim.key, message, commit.signature)
  return signed === 'ok' ? recordIn(opened.value, claim.path) : badSignature(signed, commit)
}

/**
 * As {@link verifyRecordProof}, with the verifier's `verifyAsync`, which is faster in browsers. The
 * bytes must not change before it resolves. Never rejects.
 */
export async function verifyRecordProofAsync(
  car: Uint8Array,
  claim: ProofClaim,
): Promise<Result<ProvenRecord, InvalidReason>> {
  const opened = openProof(car, claim)
  if (!opened.ok) return opened
  const { commit, message } = opened.value
  const signed = await claim.verifier.verifyAsync(claim.key, message, commit.signature)
  return signed === 'ok' ? recordIn(opened.value, claim.path) : badSignature(signed, commit)
}

/** A proof whose signature is still to be checked. */
interface OpenProof {
  readonly blocks: BlockIndex
  readonly commit: Commit
  /** What is signed. */
  readonly message: Uint8Array
}

function openProof(car: Uint8Array, claim: ProofClaim): Result<OpenProof, InvalidReason> {
  if (parseRepoPath(claim.path) === null) return fail('op-path-invalid', `path ${claim.path}`)
  const parsed = parseCar(car, { blocksMax: COMMIT_CAR_BLOCKS_MAX })
  if (!parsed.ok) return parsed
  const { blocks, roots } = parsed.value
  const block = blocks.get(must(roots[0], 'CAR root'))
  if (block === null) return fail('car-root-missing', 'the commit is missing')
  const commit = decodeCommit(block)
  if (!commit.ok) return commit
  const { did } = commit.value
  if (did !== claim.did) return fail('commit-did-mismatch', `the commit is of ${did.slice(0, 128)}`)
  return ok({ blocks, commit: commit.value, message: unsignedBytes(block) })
}

function badSignature<R extends InvalidReason>(reason: R, { rev }: Commit): Failure<R> {
  return fail(reason, `signature of rev ${rev}`)
}

function recordIn(
  { blocks, commit: { rev, data } }: OpenProof,
  path: string,
): Result<ProvenRecord, InvalidReason> {
  try {
    const tree = new Tree({ block: (cid) => blocks.get(cid) }, data, { keyRule: isRepoPathBytes })
    // Along the search path and no further: for a path that is not there it ends where it must.
    const last = must(searchPath(tree, path).at(-1), 'root')
    const at = last.keys.indexOf(path)
    if (at < 0) return ok({ rev, record: null })
    const cid = must(last.values[at], 'value')
    const record = blocks.get(cid)
    if (record === null) return fail('op-record-missing', `record ${path} is not in the CAR`)
    return ok({ rev, record: { cid, block: record } })
  } catch (error) {
    if (error instanceof TreeError) return fail(error.reason, error.detail)
    throw error
  }
}
