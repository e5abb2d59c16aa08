/** Turns changes of records into a signed commit, its blocks in state, and its event. */
import { CidLinkWrapper } from '@atcute/cid'
import { type CarBlock, encodeCar } from '../data/car-stream.ts'
import { must } from '../lib/assert.ts'
import { COMMIT_BLOCKS_BYTES_MAX } from '../lib/limits.ts'
import { fail, ok } from '../lib/result.ts'
import { signCommit } from '../repo/commit.ts'
import {
  EMPTY_TREE_BLOCK,
  EMPTY_TREE_CID,
  encodeNode,
  type Subtree,
  type TreeNode,
} from '../repo/tree-node.ts'
import { coveringProof } from '../repo/tree-walk.ts'
import type { Tree } from '../repo/tree.ts'
import { cidKey } from '../store/block-rows.ts'
import type { HostedAccountRow } from '../store/repo-store.ts'
import type { RepoOp } from '../stream/frame-types.ts'
import { commitFrame, syncFrame } from './host-frames.ts'
import type { HostResult } from './outcomes.ts'
import type { PreparedRecord } from './record-writes.ts'
import { saveAccount, type Turn } from './turn.ts'

/** What a commit does to one path. At least one of `before` and `after` is there; they differ. */
export interface RecordChange {
  readonly path: string
  /** CID that stood there. */
  readonly before: Uint8Array | null
  readonly after: PreparedRecord | null
}

/** Nodes by their CIDs. */
type Nodes = Map<string, CarBlock>

/** A tree after the changes of a commit. */
interface ChangedTree {
  /** CID of the root. */
  readonly data: Uint8Array
  /** New nodes, and those of the covering proofs. */
  readonly included: Nodes
  readonly added: readonly CarBlock[]
  readonly removed: readonly Uint8Array[]
}

/**
 * Writes one commit and emits its `#commit`. Without changes it is a commit of the same tree, as
 * after a new key; of an account without a repository, the first one.
 *
 * @param changes Paths differ. The tree is as `before` says.
 * @param emission `silent` emits nothing, for an account that is not active.
 * @returns The account as it is then; CommitTooLarge with nothing changed.
 */
export function writeCommit(
  turn: Turn,
  before: HostedAccountRow,
  changes: readonly RecordChange[],
  emission: 'emit' | 'silent' = 'emit',
): HostResult<HostedAccountRow> {
  const rev = turn.nextRev(before.rev)
  const account = before.head === null ? beginRepo(turn, before, rev) : before
  const repoId = must(account.repoId, 'repository')
  const since = before.head === null ? null : before.rev
  const { data: oldData } = must(account.head, 'head')
  const changed = changeTree(turn.trees.open(repoId, oldData), changes)
  const content = { did: account.did, rev, data: changed.data }
  const commit = signCommit(content, turn.keys.of(account.id))
  const tree = turn.trees.open(repoId, oldData)
  const car = encodeCar([commit.cid], carOrder(commit, tree, changed.included, changes))
  if (car.length > COMMIT_BLOCKS_BYTES_MAX) {
    turn.trees.drop(repoId)
    return fail('CommitTooLarge', `the blocks come to ${car.length} bytes`)
  }
  saveBlocks(turn, account, changed, changes, commit, rev)
  saveRecords(turn, account, changes, rev)
  turn.trees.changed(repoId, changed.data, changed.added.length)
  const head = { commit: commit.cid, data: changed.data }
  if (emission === 'emit') {
    const { did } = account
    const { time } = turn
    const ops = changes.map(opOf)
    const prevData = since === null ? null : oldData
    turn.emit('commit', did, (seq) =>
      commitFrame({ did, rev, since, commit: commit.cid, prevData, ops, car, time }, seq),
    )
  }
  return ok(saveAccount(turn, account, { rev, head }))
}

/** Gives an account a repository without records, as of its first rev. It has no commit yet. */
function beginRepo(turn: Turn, account: HostedAccountRow, rev: string): HostedAccountRow {
  const repoId = turn.store.addRepo('live')
  turn.blocks.add(repoId, EMPTY_TREE_CID, EMPTY_TREE_BLOCK, rev)
  return { ...account, repoId, head: { commit: new Uint8Array(0), data: EMPTY_TREE_CID } }
}

/**
 * Applies changes to a tree.
 *
 * The nodes that a change replaces all lie on the covering proof of its path: on the way to it, or
 * on the inner edges of the subtrees beside it, which are parted or joined. So what was on the old
 * proofs and is not on the new ones is gone.
 */
function changeTree(tree: Tree, changes: readonly RecordChange[]): ChangedTree {
  const old = new Map<string, Uint8Array>()
  for (const { path } of changes) {
    for (const { cid } of coveringProof(tree, path)) {
      const known = must(cid, 'CID of an encoded node')
      old.set(cidKey(known), known)
    }
  }
  for (const { path, after } of changes) {
    if (after === null) tree.delete(path)
    else tree.put(path, after.cid)
  }
  const written: Nodes = new Map()
  const data = tree.write((cid, block) => written.set(cidKey(cid), { cid, block }))
  const included: Nodes = new Map(written)
  const include = (node: TreeNode): void => {
    const cid = must(node.cid, 'CID of an encoded node')
    const key = cidKey(cid)
    if (!included.has(key)) included.set(key, { cid, block: encodeNode(node, linkOf) })
  }
  // The root goes along with a commit that changes nothing: some readers open the tree first.
  include(tree.root())
  for (const { path } of changes) coveringProof(tree, path).forEach(include)
  return {
    data,
    included,
    added: [...written].flatMap(([key, node]) => (old.has(key) ? [] : [node])),
    removed: [...old].flatMap(([key, cid]) => (included.has(key) ? [] : [cid])),
  }
}

function linkOf(subtree: Subtree): Uint8Array | null {
  return subtree === null || subtree instanceof Uint8Array ? subtree : subtree.cid
}

/**
 * The blocks of a commit in streamable order: the commit, then each node before what hangs below
 * it, each new record at its place.
 */
function* carOrder(
  commit: CarBlock,
  tree: Tree,
  included: Nodes,
  changes: readonly RecordChange[],
): Generator<CarBlock> {
  yield commit
  const records = new Map<string, CarBlock>()
  for (const { path, after } of changes) if (after !== null) records.set(path, after)
  yield* nodeOrder(tree.root(), included, records)
}

function* nodeOrder(
  node: TreeNode,
  included: Nodes,
  records: ReadonlyMap<string, CarBlock>,
): Generator<CarBlock> {
  const found = included.get(cidKey(must(node.cid, 'CID of an encoded node')))
  if (found === undefined) return
  yield found
  for (let i = 0; i <= node.keys.length; i++) {
    const child = node.subtrees[i]
    // What is not loaded has not been changed and is on no proof.
    if (child !== null && child !== undefined && !(child instanceof Uint8Array)) {
      yield* nodeOrder(child, included, records)
    }
    const record = records.get(node.keys[i] ?? '')
    if (record !== undefined) yield record
  }
}

function saveBlocks(
  { blocks }: Turn,
  { repoId: id, head }: HostedAccountRow,
  { added, removed }: ChangedTree,
  changes: readonly RecordChange[],
  commit: CarBlock,
  rev: string,
): void {
  const repoId = must(id, 'repository')
  blocks.add(repoId, commit.cid, commit.block, rev)
  for (const { cid, block } of added) blocks.add(repoId, cid, block, rev)
  for (const { after } of changes) {
    if (after !== null) blocks.add(repoId, after.cid, after.block, rev)
  }
  for (const cid of removed) blocks.remove(repoId, cid, rev)
  for (const { before } of changes) if (before !== null) blocks.remove(repoId, before, rev)
  if (head !== null && head.commit.length > 0) blocks.remove(repoId, head.commit, rev)
}

function saveRecords(
  turn: Turn,
  { id, repoId: ofRepo }: HostedAccountRow,
  changes: readonly RecordChange[],
  rev: string,
): void {
  const { store, blobs, nowMs } = turn
  const repoId = must(ofRepo, 'repository')
  const owner = { accountId: id, repoId }
  for (const { path, before, after } of changes) {
    if (before !== null) blobs.forgetPath(owner, path, nowMs)
    if (after === null) {
      store.deleteRecord(repoId, path)
      continue
    }
    store.putRecord(repoId, { path, cid: after.cid, rev })
    for (const { cid } of after.blobs) blobs.refer(owner, { cid, path, rev })
  }
}

function opOf({ path, before, after }: RecordChange): RepoOp {
  const action = before === null ? 'create' : after === null ? 'delete' : 'update'
  const cid = after === null ? null : new CidLinkWrapper(after.cid)
  return before === null
    ? { action, path, cid }
    : { action, path, cid, prev: new CidLinkWrapper(before) }
}

/** Emits a `#sync` of the newest commit. */
export function emitSync(turn: Turn, account: HostedAccountRow): void {
  const { did, repoId } = account
  const { commit } = must(account.head, 'head')
  const rev = must(account.rev, 'rev')
  const block = must(turn.blocks.get(must(repoId, 'repository'), commit), 'commit block')
  turn.emit('sync', did, (seq) => syncFrame({ did, rev, commit }, block, turn.time, seq))
}
