/**
 * Proofs that a record is, or is not, in a repository: the signed commit, the tree nodes from the
 * root to the record's place, and the record. This is what `com.atproto.sync.getRecord` answers
 * with.
 */
import type { PublicKey } from '../crypto/public-key.ts'
import type { SignatureVerifier } from '../crypto/verifier.ts'
import { parseCar } from '../data/car.ts'
import type { CarBlock } from '../data/car-stream.ts'
import { assert, must } from '../lib/assert.ts'
import { COMMIT_CAR_BLOCKS_MAX } from '../lib/limits.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { isRepoPathBytes, parseRepoPath } from '../syntax/repo-path.ts'
import { decodeCommit, unsignedBytes } from './commit.ts'
import { missingBlock, TreeError } from './tree-error.ts'
import { searchPath } from './tree-walk.ts'
import { Tree } from './tree.ts'
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
  const cids = searchPath(tree, path).map((node) => must(node.cid, 'CID of an encoded node'))
  const record = tree.get(path)
  if (record !== null) cids.push(record)
  const blocks = cids.map((cid) => {
    const block = source(cid)
    if (block === null) throw missingBlock(cid)
    return { cid, block }
  })
  return [commit, ...blocks]
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
  if (parseRepoPath(claim.path) === null) return fail('op-path-invalid', `path ${claim.path}`)
  const parsed = parseCar(car, { blocksMax: COMMIT_CAR_BLOCKS_MAX })
  if (!parsed.ok) return parsed
  const { blocks, roots } = parsed.value
  const block = blocks.get(must(roots[0], 'CAR root'))
  if (block === null) return fail('car-root-missing', 'the commit is missing')
  const commit = decodeCommit(block)
  if (!commit.ok) return commit
  const { did, rev, data, signature } = commit.value
  if (did !== claim.did) return fail('commit-did-mismatch', `the commit is of ${did.slice(0, 128)}`)
  const signed = claim.verifier.verify(claim.key, unsignedBytes(block), signature)
  if (signed !== 'ok') return fail(signed, `signature of rev ${rev}`)
  try {
    const tree = new Tree({ block: (cid) => blocks.get(cid) }, data, { keyRule: isRepoPathBytes })
    // Along the search path and no further: for a path that is not there it ends where it must.
    const last = must(searchPath(tree, claim.path).at(-1), 'root')
    const at = last.keys.indexOf(claim.path)
    if (at < 0) return ok({ rev, record: null })
    const cid = must(last.values[at], 'value')
    const record = blocks.get(cid)
    if (record === null) return fail('op-record-missing', `record ${claim.path} is not in the CAR`)
    return ok({ rev, record: { cid, block: record } })
  } catch (error) {
    if (error instanceof TreeError) return fail(error.reason, error.detail)
    throw error
  }
}
