/**
 * The verdict on a `#commit` or `#sync` event: everything that can be said of it from its bytes,
 * the account's key and the time. (Sync specification, "commit validation"; order of design.md.)
 *
 * No I/O, no clock, no state: who sent it, whether the account is active and whether it continues
 * the known head is for the caller (./head.ts has the last).
 */
import type { PublicKey } from '../crypto/public-key.ts'
import type { SignatureVerifier } from '../crypto/verifier.ts'
import type { BlockIndex } from '../data/block-index.ts'
import { parseCar, type Car } from '../data/car.ts'
import { CODEC_DAG_CBOR, cidEquals, cidToString } from '../data/cid.ts'
import { checkDrisl, drislFault, mapHead } from '../data/drisl.ts'
import {
  COMMIT_BLOCKS_BYTES_MAX,
  COMMIT_CAR_BLOCKS_MAX,
  OPS_MAX,
  RECORD_BYTES_MAX,
  REV_AHEAD_MS_MAX,
  SYNC_BLOCKS_BYTES_MAX,
} from '../lib/limits.ts'
import { must } from '../lib/assert.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { fail, ok, type Failure, type Result } from '../lib/result.ts'
import { isRepoPathBytes, parseRepoPath } from '../syntax/repo-path.ts'
import { isTid, tidMicros } from '../syntax/tid.ts'
import { CheckList, type CheckModes, type Warning } from './checks.ts'
import { decodeCommit, unsignedBytes, type Commit } from './commit.ts'
import { invertChanges, netChanges, type NetChange, type Operation } from './operations.ts'
import { Tree, type NodeSource } from './tree.ts'
import { TreeError } from './tree-error.ts'
import { EMPTY_TREE_CID } from './tree-node.ts'

/** A CID link and a byte string as DRISL decoding gives them. */
interface Link {
  readonly bytes: Uint8Array
}
interface Bytes {
  readonly buf: Uint8Array
}

/** The fields of a `#commit` that are verified; the body of a parsed frame is one. */
export interface CommitEvent {
  readonly repo: string
  readonly rev: string
  readonly since: string | null
  readonly commit: Link
  readonly prevData?: Link
  readonly blocks: Bytes
  readonly ops: readonly {
    readonly action: string
    readonly path: string
    readonly cid: Link | null
    readonly prev?: Link
  }[]
}

/** The fields of a `#sync` that are verified. */
export interface SyncEvent {
  readonly did: string
  readonly rev: string
  readonly blocks: Bytes
}

/** What an event is verified with. */
export interface VerifyContext {
  /** The account's current signing key. */
  readonly key: PublicKey
  readonly verifier: SignatureVerifier
  /** Now, milliseconds since the epoch. */
  readonly nowMs: number
  /** Modes of checks that are not enforced. */
  readonly checks?: CheckModes
  /** Told after each stage, for measuring. */
  readonly onStage?: (stage: VerifyStage) => void
}

export type VerifyStage = 'fields' | 'car' | 'commit' | 'signature' | 'operations' | 'tree'

/** What a verified event says. CIDs are the caller's to keep. */
export interface Verified {
  readonly did: string
  readonly rev: string
  /** CID of the commit. */
  readonly commit: Uint8Array
  /** CID of the tree. */
  readonly data: Uint8Array
  /** Rev and tree that the commit follows; null for the first one and for `#sync`. */
  readonly since: string | null
  readonly prevData: Uint8Array | null
  /** The net change of each path; empty for `#sync`. */
  readonly changes: readonly NetChange[]
  readonly warnings: readonly Warning[]
}

/** Success, or the first reason to refuse the event. */
export type Verdict = Result<Verified, InvalidReason>

type Refusal = Failure<InvalidReason>

const nothing = (): void => undefined

/**
 * Verifies a `#commit`. Never throws, whatever the event holds; a TypeError or assertion from here
 * is a defect.
 *
 * Not checked: that the sender may speak for the account, that the account is active, the stored
 * head, and what records mean.
 */
export function verifyCommit(event: CommitEvent, context: VerifyContext): Verdict {
  const checks = new CheckList(context.checks ?? {})
  const stage = context.onStage ?? nothing
  const refused = checkCommitFields(event, context.nowMs, checks)
  if (refused !== null) return refused
  stage('fields')
  const car = parseCar(event.blocks.buf, { blocksMax: COMMIT_CAR_BLOCKS_MAX })
  if (!car.ok) return car
  stage('car')
  const opened = openCommit(car.value, event.repo, event.rev)
  if (!opened.ok) return opened
  const { commit, cid, block } = opened.value
  if (
    !cidEquals(cid, event.commit.bytes) &&
    checks.refuses('commit-cid-mismatch', 'root is not the event commit')
  ) {
    return fail('commit-cid-mismatch', `the CAR root is ${cidToString(cid)}`)
  }
  stage('commit')
  const signed = checkSignature(commit, block, context)
  if (signed !== null) return signed
  stage('signature')
  const changes = checkOperations(event, car.value.blocks, checks)
  if (!changes.ok) return changes
  stage('operations')
  const prevData = event.prevData?.bytes ?? null
  const inverted = checkInversion(event, commit, car.value.blocks, changes.value, checks)
  if (inverted !== null) return inverted
  stage('tree')
  return ok({
    did: commit.did,
    rev: commit.rev,
    commit: cid.slice(),
    data: commit.data.slice(),
    since: event.since,
    prevData: prevData === null ? null : prevData.slice(),
    changes: changes.value,
    warnings: checks.warnings,
  })
}

/**
 * Verifies a `#sync`: that its commit is the account's, signed, and the one it speaks of. Never
 * throws.
 */
export function verifySync(event: SyncEvent, context: VerifyContext): Verdict {
  const checks = new CheckList(context.checks ?? {})
  if (event.blocks.buf.length > SYNC_BLOCKS_BYTES_MAX) {
    return fail('blocks-too-large', `${event.blocks.buf.length} bytes`)
  }
  const refused = checkRev(event.rev, context.nowMs, checks)
  if (refused !== null) return refused
  const car = parseCar(event.blocks.buf, { blocksMax: COMMIT_CAR_BLOCKS_MAX })
  if (!car.ok) return car
  const opened = openCommit(car.value, event.did, event.rev)
  if (!opened.ok) return opened
  const { commit, cid, block } = opened.value
  const signed = checkSignature(commit, block, context)
  if (signed !== null) return signed
  return ok({
    did: commit.did,
    rev: commit.rev,
    commit: cid.slice(),
    data: commit.data.slice(),
    since: null,
    prevData: null,
    changes: [],
    warnings: checks.warnings,
  })
}

function checkCommitFields(event: CommitEvent, nowMs: number, checks: CheckList): Refusal | null {
  if (event.blocks.buf.length > COMMIT_BLOCKS_BYTES_MAX) {
    return fail('blocks-too-large', `${event.blocks.buf.length} bytes`)
  }
  if (event.ops.length > OPS_MAX) return fail('ops-too-many', `${event.ops.length} operations`)
  if (event.since !== null && !isTid(event.since)) return fail('rev-invalid', 'since is no TID')
  return checkRev(event.rev, nowMs, checks)
}

function checkRev(rev: string, nowMs: number, checks: CheckList): Refusal | null {
  if (!isTid(rev)) return fail('rev-invalid', 'rev is no TID')
  const aheadMs = tidMicros(rev) / 1_000 - nowMs
  if (aheadMs <= REV_AHEAD_MS_MAX) return null
  const detail = `rev ${rev} is ${Math.round(aheadMs / 1_000)} s ahead`
  return checks.refuses('rev-future', detail) ? fail('rev-future', detail) : null
}

interface OpenedCommit {
  readonly commit: Commit
  readonly cid: Uint8Array
  readonly block: Uint8Array
}

/** Finds the commit at the root of a CAR and holds it against what the event says. */
function openCommit(car: Car, did: string, rev: string): Result<OpenedCommit, InvalidReason> {
  const cid = must(car.roots[0], 'CAR root')
  if (cid[1] !== CODEC_DAG_CBOR) return fail('car-roots', 'the root is not dag-cbor')
  const block = car.blocks.get(cid)
  if (block === null) return fail('car-root-missing', `commit ${cidToString(cid)} is missing`)
  const commit = decodeCommit(block)
  if (!commit.ok) return commit
  if (commit.value.did !== did) {
    return fail('commit-did-mismatch', `the commit is of ${commit.value.did.slice(0, 128)}`)
  }
  if (commit.value.rev !== rev) {
    return fail('commit-rev-mismatch', `the commit has rev ${commit.value.rev}`)
  }
  return ok({ commit: commit.value, cid, block })
}

function checkSignature(
  commit: Commit,
  block: Uint8Array,
  { key, verifier }: VerifyContext,
): Refusal | null {
  const verdict = verifier.verify(key, unsignedBytes(block), commit.signature)
  return verdict === 'ok' ? null : fail(verdict, `${key.curve} signature of rev ${commit.rev}`)
}

/** Checks each operation and the record it brings; folds them to one change a path. */
function checkOperations(
  event: CommitEvent,
  blocks: BlockIndex,
  checks: CheckList,
): Result<readonly NetChange[], InvalidReason> {
  const operations: Operation[] = []
  for (const { action, path, cid, prev } of event.ops) {
    if (parseRepoPath(path) === null) {
      const detail = `path ${JSON.stringify(path.slice(0, 80))}`
      if (checks.refuses('op-path-invalid', detail)) return fail('op-path-invalid', detail)
    }
    operations.push({ action, path, cid: cid?.bytes ?? null, prev: prev?.bytes })
  }
  const net = netChanges(operations)
  if (!net.ok) return net
  if (net.value.repeated > 0) {
    checks.warnings.push({ reason: 'op-path-repeated', detail: `${net.value.repeated} paths` })
  }
  for (const { path, after } of net.value.changes) {
    const refused = after === null ? null : checkRecord(path, after, blocks, checks)
    if (refused !== null) return refused
  }
  return ok(net.value.changes)
}

function checkRecord(
  path: string,
  cid: Uint8Array,
  blocks: BlockIndex,
  checks: CheckList,
): Refusal | null {
  const refuse = (reason: InvalidReason, what: string): Refusal | null => {
    const detail = `record ${path.slice(0, 128)} ${what}`
    return checks.refuses(reason, detail) ? fail(reason, detail) : null
  }
  const block = blocks.get(cid)
  if (block === null) return refuse('op-record-missing', `(${cidToString(cid)}) is not in the CAR`)
  if (block.length > RECORD_BYTES_MAX)
    return refuse('op-record-too-large', `has ${block.length} bytes`)
  const end = checkDrisl(block)
  if (end < 0) return refuse('op-record-malformed', `is not DRISL: ${drislFault(end)}`)
  if (end !== block.length) return refuse('op-record-malformed', 'has bytes after its end')
  return mapHead(block, 0) === null ? refuse('op-record-malformed', 'is not a map') : null
}

/** The tree nodes of a commit's CAR. Each may be asked for once: a tree reaches no node twice. */
class CarNodes implements NodeSource {
  readonly #blocks: BlockIndex
  readonly #visited: Uint8Array

  constructor(blocks: BlockIndex) {
    this.#blocks = blocks
    this.#visited = new Uint8Array(blocks.size)
  }

  block(cid: Uint8Array): Uint8Array | null {
    const index = this.#blocks.find(cid)
    if (index < 0) return null
    if (this.#visited[index] === 1) {
      throw new TreeError('mst-block-repeated', `node ${cidToString(cid)} is reached twice`)
    }
    this.#visited[index] = 1
    return this.#blocks.block(index)
  }
}

/** Undoes the changes on the commit's tree and compares the outcome with `prevData`. */
function checkInversion(
  event: CommitEvent,
  commit: Commit,
  blocks: BlockIndex,
  changes: readonly NetChange[],
  checks: CheckList,
): Refusal | null {
  const refuse = (reason: InvalidReason, detail: string): Refusal | null =>
    checks.refuses(reason, detail) ? fail(reason, detail) : null
  try {
    const tree = new Tree(new CarNodes(blocks), commit.data, { keyRule: isRepoPathBytes })
    const fault = invertChanges(tree, changes)
    if (fault !== null) return refuse(fault.reason, fault.detail)
    const root = tree.rootCid()
    const expected = event.prevData?.bytes ?? EMPTY_TREE_CID
    if (cidEquals(root, expected)) {
      if (event.prevData !== undefined || event.since === null) return null
      return refuse('prev-data-missing', `since is ${event.since}`)
    }
    return event.prevData === undefined
      ? refuse('prev-data-missing', `undone, the tree is ${cidToString(root)}`)
      : refuse('inversion-mismatch', `undone, the tree is ${cidToString(root)}`)
  } catch (error) {
    if (error instanceof TreeError) return refuse(error.reason, error.detail)
    throw error
  }
}
