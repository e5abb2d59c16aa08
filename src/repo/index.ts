/**
 * Repositories: the tree, commits, and the verdict on an event.
 *
 * - `verify.ts`: the verdict on a `#commit` or `#sync`; begin here
 * - `head.ts`: a verified event against the head that is known
 * - `checks.ts`: which checks may be relaxed
 * - `operations.ts`: operations, their net change, and undoing them
 * - `commit.ts`: commit objects: reading, what is signed, signing
 * - `tree.ts`: get, put, delete on a tree; `tree-node.ts`: its nodes as bytes, each rule checked
 * - `tree-walk.ts`: records in order, streamable order, proofs; `tree-diff.ts`: what changed
 * - `record-proof.ts`: proofs of one record; `repo-car.ts`: a repository as a CAR
 * - `repo-reader.ts`: a repository read out of a CAR and verified as it comes; `block-supply.ts`,
 *   `held-blocks.ts`, `recent-blocks.ts`: its blocks in the order in which the tree needs them
 * - `repo-update.ts`: what is new in a repository, over the tree of an earlier rev
 * - `tree-error.ts`: a tree that breaks a rule or lacks a block
 *
 * A `Tree` owns the nodes that it has loaded; the blocks stay with their source, and views into
 * them are given out. Verdicts own their CIDs.
 *
 * All of it is pure, and synchronous but for the reader of a stream: no I/O, no clock but the time
 * given, nothing from `node:`. It does not look into records, resolve identities, or decide who may
 * speak for an account.
 *
 * @module
 */
export {
  ADJUSTABLE_CHECKS,
  type AdjustableCheck,
  type CheckMode,
  type CheckModes,
  type Warning,
} from './checks.ts'
export {
  type Commit,
  type CommitContent,
  type CommitReason,
  decodeCommit,
  signCommit,
  unsignedBytes,
} from './commit.ts'
export { commitAgainstHead, type Head, type HeadVerdict, syncAgainstHead } from './head.ts'
export {
  invertChanges,
  type NetChange,
  type NetChanges,
  netChanges,
  type Operation,
  type OperationReason,
} from './operations.ts'
export {
  type ProofClaim,
  type ProvenRecord,
  recordProof,
  verifyRecordProof,
  verifyRecordProofAsync,
} from './record-proof.ts'
export { type BlockSource, repoCarBlocks } from './repo-car.ts'
export {
  type CommitJudge,
  readRepo,
  REPO_READ_LIMITS,
  type RepoFault,
  type RepoRead,
  RepoReadError,
  type RepoReadLimits,
  type RepoReadOptions,
  type RepoRecord,
} from './repo-reader.ts'
export {
  KnownTree,
  readRepoUpdate,
  type RepoUpdate,
  type RepoUpdateOptions,
  type UpdatedRecord,
} from './repo-update.ts'
export { diffTrees, type TreeChange, type TreeDiff } from './tree-diff.ts'
export { TreeError, type TreeReason } from './tree-error.ts'
export {
  EMPTY_TREE_BLOCK,
  EMPTY_TREE_CID,
  keyHeight,
  type KeyRule,
  type Subtree,
  type TreeNode,
} from './tree-node.ts'
export {
  coveringProof,
  neighbourPaths,
  searchPath,
  type StreamItem,
  streamOrder,
  treeEntries,
  type TreeEntry,
} from './tree-walk.ts'
export { type NodeSource, Tree, type TreeOptions } from './tree.ts'
export {
  type CommitEvent,
  type SyncEvent,
  type Verdict,
  type Verified,
  verifyCommit,
  type VerifyContext,
  type VerifyStage,
  verifySync,
} from './verify.ts'
