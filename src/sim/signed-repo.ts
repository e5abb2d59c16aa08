/**
 * An honest repository with its key: it takes writes and gives the events that a well-behaved host
 * would send. Built on the tree and on signing only, so that what it makes can be held against
 * verification.
 *
 * ```ts
 * const repo = new SignedRepo({ seed: 'alice' })
 * const genesis = repo.apply([]) // body of a `#commit`, without prevData, since null
 * const commit = repo.apply([{ action: 'create', path: 'org.example.note/a', record: { n: 1 } }])
 * encodeMessageFrame('#commit', { ...commit, seq: 7 })
 * encodeMessageFrame('#sync', { ...repo.sync(), seq: 8 })
 * ```
 *
 * Everything follows from the options: equal seeds and writes give equal bytes.
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { toBase32 } from '@atcute/multibase'

import type { Curve } from '../crypto/curve.ts'
import { PrivateKey } from '../crypto/private-key.ts'
import { sha256 } from '../crypto/sha256.ts'
import { type CarBlock, encodeCar } from '../data/car-stream.ts'
import { CODEC_DAG_CBOR, cidEquals, cidOf, cidToString } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { assert, must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { signCommit } from '../repo/commit.ts'
import { repoCarBlocks } from '../repo/repo-car.ts'
import { EMPTY_TREE_BLOCK, EMPTY_TREE_CID } from '../repo/tree-node.ts'
import { coveringProof, streamOrder, treeEntries } from '../repo/tree-walk.ts'
import { Tree } from '../repo/tree.ts'
import { walkOnce } from '../repo-host/repo-walk.ts'
import type { CommitBody, RepoOp, SyncBody } from '../stream/frame-types.ts'
import { tidMicros, tidOf, type Tid } from '../syntax/tid.ts'
import { Arrivals, standsIn } from './arrivals.ts'
import { datetimeOf } from './messages.ts'

/** A write. `block` stands for a record whose bytes are made by the caller, valid or not. */
export type RepoWrite =
  | { readonly action: 'create' | 'update'; readonly path: string; readonly record: unknown }
  | { readonly action: 'create' | 'update'; readonly path: string; readonly block: Uint8Array }
  | { readonly action: 'delete'; readonly path: string }

export interface SignedRepoOptions {
  /** What key and DID are derived from. */
  readonly seed: string
  /** Default `k256`. */
  readonly curve?: Curve
  /** Default: a did:plc derived from the seed. */
  readonly did?: string
  /** Time of the first rev, ms since the epoch; default the first instant of 2026. */
  readonly startMs?: number
  /** How far each rev lies after the one before, ms; default 1,000. */
  readonly stepMs?: number
  /** What the repository holds from the start, under a commit of its own; default nothing. */
  readonly template?: RepoTemplate
  /** Which blocks are kept: every one there ever was (the default), or about those of the head. */
  readonly keep?: 'everything' | 'head'
}

/** Records and tree that many repositories may begin with and share. Not to be changed. */
export interface RepoTemplate {
  /** CID of the root of the tree. */
  readonly root: Uint8Array
  /** Tree nodes and records by the text of their CID. */
  readonly blocks: ReadonlyMap<string, Uint8Array>
}

/** The newest commit. CIDs are 36 bytes. */
export interface SignedHead {
  readonly rev: Tid
  readonly commit: Uint8Array
  readonly data: Uint8Array
}

const START_MS = Date.UTC(2026, 0, 1)
const CLOCK_ID = 7
/** With `keep: 'head'`: blocks since the last look beyond which those without use are let go. */
const BLOCKS_SINCE_LOOK_MAX = 4_096
/** With `keep: 'head'`: commits after which the tree lets go of the nodes that it has loaded. */
const COMMITS_OF_A_TREE = 32

/** One account's repository: its records, its key and its newest commit. */
export class SignedRepo {
  readonly did: string
  /** Replaced by {@link rotateKey}. */
  key: PrivateKey
  #nextMs: number
  readonly #stepMs: number
  #tree: Tree
  #head: SignedHead | null = null
  readonly #template: RepoTemplate | null
  readonly #keep: 'everything' | 'head'
  /** Blocks that are not the template's, by the text of their CID. */
  #blocks = new Map<string, Uint8Array>()
  readonly #arrivals = new Arrivals()
  #lookAt = BLOCKS_SINCE_LOOK_MAX
  #commits = 0

  constructor(options: SignedRepoOptions) {
    const secret = sha256(utf8(options.seed))
    this.key = PrivateKey.import(options.curve ?? 'k256', secret)
    this.did = options.did ?? `did:plc:${toBase32(sha256(secret).subarray(0, 15))}`
    this.#nextMs = options.startMs ?? START_MS
    this.#stepMs = options.stepMs ?? 1_000
    this.#template = options.template ?? null
    this.#keep = options.keep ?? 'everything'
    this.#blocks.set(cidToString(EMPTY_TREE_CID), EMPTY_TREE_BLOCK)
    this.#tree = this.#open(this.#template?.root ?? EMPTY_TREE_CID)
    if (this.#template !== null) this.#arrivals.begin(this.#commit(this.#template.root).rev)
  }

  #open(root: Uint8Array): Tree {
    return new Tree({ block: (cid) => this.find(cid) }, root)
  }

  /** The block with this CID, of any commit or about those of the head; null if not kept. */
  find(cid: Uint8Array): Uint8Array | null {
    const text = cidToString(cid)
    return this.#blocks.get(text) ?? this.#template?.blocks.get(text) ?? null
  }

  /** Null before the first commit. */
  get head(): SignedHead | null {
    return this.#head
  }

  /** The block with this CID, which must be there: see {@link find}. */
  block(cid: Uint8Array): Uint8Array {
    return must(this.find(cid), 'block')
  }

  /** Whether a record stands at a path. */
  has(path: string): boolean {
    return this.#tree.get(path) !== null
  }

  /** The records, path to CID, in path order. */
  records(): Map<string, Uint8Array> {
    return new Map([...treeEntries(this.#tree)].map(({ key, value }) => [key, value]))
  }

  /** A tree over every block there ever was, at the newest commit or another root. */
  tree(root: Uint8Array = this.#head?.data ?? EMPTY_TREE_CID): Tree {
    return this.#open(root)
  }

  /** Makes sure that the next rev is of `nowMs` or later. */
  setTime(nowMs: number): void {
    this.#nextMs = Math.max(this.#nextMs, nowMs)
  }

  /** From the next commit on, signs with another key. */
  rotateKey(seed: string, curve: Curve = this.key.curve): void {
    this.key = PrivateKey.import(curve, sha256(utf8(seed)))
  }

  /** Discards every record and the head: what an account does that makes its repository anew. */
  reset(): void {
    this.#tree = this.#open(EMPTY_TREE_CID)
    this.#head = null
    this.#arrivals.clearRecords()
  }

  /**
   * Applies writes as one commit and returns the body of its `#commit`, with seq 1. Asserts that
   * each write is possible: no create where a record stands, no update or delete where none does.
   */
  apply(writes: readonly RepoWrite[]): CommitBody {
    const before = this.#head
    const records = new Map<string, Uint8Array>()
    const ops = writes.map((write) => this.#write(write, records))
    const nodes = new Map<string, Uint8Array>()
    const data = this.#tree.write((cid, block) => nodes.set(cidToString(cid), block))
    if (before === null && cidEquals(data, EMPTY_TREE_CID)) {
      nodes.set(cidToString(EMPTY_TREE_CID), EMPTY_TREE_BLOCK)
    }
    const cameNow = this.#notStanding(nodes)
    for (const [cid, block] of [...nodes, ...records]) this.#blocks.set(cid, block)
    for (const { path } of ops) {
      for (const node of coveringProof(this.#tree, path)) {
        const cid = must(node.cid, 'CID')
        nodes.set(cidToString(cid), this.block(cid))
      }
    }
    const { rev, commit } = this.#commit(data)
    this.#arrivals.note(rev, cameNow, ops)
    const blocks = [
      { cid: commit, block: this.block(commit) },
      ...carBlocks(nodes),
      ...carBlocks(records),
    ]
    this.#letGo()
    return {
      seq: 1,
      repo: this.did,
      commit: new CidLinkWrapper(commit),
      rev,
      since: before?.rev ?? null,
      blocks: new BytesWrapper(encodeCar([commit], blocks)),
      ops,
      blobs: [],
      ...(before === null ? {} : { prevData: new CidLinkWrapper(before.data) }),
      time: timeOf(rev),
      rebase: false,
      tooBig: false,
    }
  }

  /** Those of the nodes that the head does not hold, by the text of their CID. */
  #notStanding(nodes: ReadonlyMap<string, Uint8Array>): string[] {
    const head = this.#head
    return [...nodes].flatMap(([text, node]) => {
      const cid = cidOf(CODEC_DAG_CBOR, node)
      if (head === null || this.find(cid) === null) return [text]
      // The block is known, from the head or from before.
      const source = (wanted: Uint8Array): Uint8Array =>
        nodes.get(cidToString(wanted)) ?? this.block(wanted)
      return standsIn(this.#open(head.data), cid, source) ? [] : [text]
    })
  }

  /** Signs a commit of this tree and makes it the head. */
  #commit(data: Uint8Array): SignedHead {
    const rev = this.#nextRev(this.#head?.rev ?? null)
    const { cid, block } = signCommit({ did: this.did, rev, data }, this.key)
    this.#blocks.set(cidToString(cid), block)
    this.#head = { rev, commit: cid, data }
    return this.#head
  }

  /** Forgets blocks of earlier commits, once in a while: that costs a walk over the head. */
  #letGo(): void {
    if (this.#keep === 'everything') return
    const { commit, data } = must(this.#head, 'head')
    this.#commits++
    if (this.#commits % COMMITS_OF_A_TREE === 0) this.#tree = this.#open(data)
    if (this.#blocks.size < this.#lookAt) return
    const kept = new Map([[cidToString(commit), this.block(commit)]])
    const inUse = new Set<string>()
    this.#tree = this.#open(data)
    for (const item of streamOrder(this.#tree)) {
      const text = cidToString(item.kind === 'node' ? must(item.node.cid, 'CID') : item.value)
      const block = this.#blocks.get(text)
      if (block !== undefined) kept.set(text, block)
      if (item.kind === 'node') inUse.add(text)
    }
    this.#blocks = kept
    this.#arrivals.keepNodes(inUse)
    this.#tree = this.#open(data)
    this.#lookAt = kept.size * 2 + BLOCKS_SINCE_LOOK_MAX
  }

  #write(write: RepoWrite, records: Map<string, Uint8Array>): RepoOp {
    const { action, path } = write
    const stands = this.#tree.get(path)
    assert(
      (stands === null) === (action === 'create'),
      () => `write is possible: ${action} ${path}`,
    )
    const prev = stands === null ? {} : { prev: new CidLinkWrapper(stands) }
    if (action === 'delete') {
      this.#tree.delete(path)
      return { action, path, cid: null, ...prev }
    }
    const block = 'block' in write ? write.block : encodeDrisl(write.record)
    const cid = cidOf(CODEC_DAG_CBOR, block)
    records.set(cidToString(cid), block)
    this.#tree.put(path, cid)
    return { action, path, cid: new CidLinkWrapper(cid), ...prev }
  }

  #nextRev(previous: Tid | null): Tid {
    const least = previous === null ? 0 : tidMicros(previous) + 1
    const rev = tidOf(Math.max(least, Math.floor(this.#nextMs) * 1_000), CLOCK_ID)
    this.#nextMs += this.#stepMs
    return rev
  }

  /** The body of a `#sync` of the head, with seq 1. */
  sync(): SyncBody {
    const { rev, commit } = must(this.#head, 'head')
    const blocks = encodeCar([commit], [{ cid: commit, block: this.block(commit) }])
    return { seq: 1, did: this.did, blocks: new BytesWrapper(blocks), rev, time: timeOf(rev) }
  }

  /**
   * The blocks of the repository in streamable order; the first one is the commit. Nothing may be
   * written before the last one is taken.
   *
   * @param since A rev: only blocks that were not part of the repository as of it, as
   *   `HostView.repoCar` has it; default all.
   */
  *exportBlocks(since: string | null = null): Generator<CarBlock> {
    const { commit, data } = must(this.#head, 'head')
    const block = { cid: commit, block: this.block(commit) }
    if (since === null) {
      yield* repoCarBlocks(block, this.#open(data), (cid) => this.find(cid))
      return
    }
    yield block
    // What is in the repository since a rev has had the same below it ever since.
    const isNew = (cid: Uint8Array): boolean => this.#arrivals.nodeRev(cidToString(cid)) > since
    if (!isNew(data)) return
    for (const item of walkOnce(this.#open(data), isNew)) {
      if (item.kind === 'record' && this.#arrivals.recordRev(item.key) <= since) continue
      const cid = item.kind === 'node' ? must(item.node.cid, 'CID') : item.value
      yield { cid, block: this.block(cid) }
    }
  }

  /** What `exportBlocks` gives, as a CAR. */
  exportCar(since: string | null = null): Uint8Array {
    return encodeCar([must(this.#head, 'head').commit], [...this.exportBlocks(since)])
  }
}

function carBlocks(blocks: ReadonlyMap<string, Uint8Array>): CarBlock[] {
  return [...blocks.values()].map((block) => ({ cid: cidOf(CODEC_DAG_CBOR, block), block }))
}

function timeOf(rev: Tid): string {
  return datetimeOf(Math.floor(tidMicros(rev) / 1_000))
}
