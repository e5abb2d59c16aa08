/**
 * A HostView in memory, for tests of the HTTP layer. Repositories are real and signed; what a host
 * would find by query is found here by walking trees.
 */

import { SignedRepo, type RepoWrite } from '../../../test/support/signed-repo.ts'
import type { Curve } from '../../crypto/curve.ts'
import type { CarBlock } from '../../data/car-stream.ts'
import { encodeCarBlock, encodeCarHeader } from '../../data/car-stream.ts'
import { CODEC_RAW, cidFromString, cidOf, cidToString } from '../../data/cid.ts'
import { assert, must } from '../../lib/assert.ts'
import { compareBytes, concatBytes } from '../../lib/bytes.ts'
import type {
  BlobQuery,
  HostedBlob,
  HostedBlocks,
  HostedHead,
  HostedProof,
  HostedRepo,
  HostedStatus,
  HostPage,
  HostView,
  InactiveStatus,
  RepoExport,
  RepoRefusal,
} from '../../repo-host/host-view.ts'
import { recordProof } from '../../repo/record-proof.ts'
import { repoCarBlocks } from '../../repo/repo-car.ts'
import { ArrayLog } from './array-log.ts'

interface StoredBlob {
  readonly cid: Uint8Array
  bytes: Uint8Array
  readonly mimeType: string
  readonly rev: string
}

const REFUSALS: Readonly<Record<InactiveStatus, RepoRefusal>> = {
  takendown: 'RepoTakendown',
  suspended: 'RepoSuspended',
  deactivated: 'RepoDeactivated',
  deleted: 'RepoNotFound',
}

/** One account of the fake. */
export class FakeAccount {
  readonly repo: SignedRepo
  status: 'active' | InactiveStatus = 'active'
  readonly blobs: Map<string, StoredBlob> = new Map()
  /** Which blocks made up the repository at each rev, oldest first. */
  readonly history: { readonly rev: string; readonly cids: ReadonlySet<string> }[] = []
  readonly #log: ArrayLog

  constructor(repo: SignedRepo, log: ArrayLog) {
    this.repo = repo
    this.#log = log
  }

  get did(): string {
    return this.repo.did
  }

  /** Makes one commit. */
  write(writes: readonly RepoWrite[]): void {
    this.#log.append('#commit', this.repo.apply(writes))
    const cids = new Set(this.blocks().map(({ cid }) => cidToString(cid)))
    this.history.push({ rev: must(this.repo.head, 'head').rev, cids })
  }

  /** Creates a record; the last of several is the newest. */
  create(...paths: readonly string[]): void {
    this.write(paths.map((path) => ({ action: 'create', path, record: { text: path } }) as const))
  }

  /** Stores a blob that the newest commit is said to refer to. Returns its CID as text. */
  upload(bytes: Uint8Array, mimeType: string): string {
    const cid = cidOf(CODEC_RAW, bytes)
    const text = cidToString(cid)
    this.blobs.set(text, { cid, bytes, mimeType, rev: must(this.repo.head, 'head').rev })
    return text
  }

  /** Every block of the newest commit's repository, in streamable order. */
  blocks(): CarBlock[] {
    const { commit, data } = must(this.repo.head, 'head')
    const source = (cid: Uint8Array): Uint8Array => this.repo.block(cid)
    return [...repoCarBlocks({ cid: commit, block: source(commit) }, this.repo.tree(data), source)]
  }
}

/** Accounts, and what a test may do to those who read them. */
export class FakeHost implements HostView {
  readonly accounts: FakeAccount[] = []
  readonly log: ArrayLog = new ArrayLog()
  healthy = true
  /** As if as many exports were open as may be. */
  busy = false
  /** Largest answer of `blocks`, bytes. */
  blocksBytesMax = 1_000_000
  /** Size of the pieces that exports and blobs come in, bytes. */
  pieceBytes = 65_536
  /** Called before each piece of an export or a blob: it may wait, throw, or change something. */
  beforePiece: (index: number) => void | Promise<void> = () => {}
  /** Exports that are open, pieces given out so far, and readings of blobs that are open. */
  exportsOpen = 0
  exportsOpened = 0
  pieces = 0
  blobsOpen = 0

  add(seed: string, curve: Curve = 'k256'): FakeAccount {
    const account = new FakeAccount(new SignedRepo({ seed, curve }), this.log)
    account.write([])
    this.accounts.push(account)
    return account
  }

  account(did: string): FakeAccount | null {
    return this.accounts.find((one) => one.did === did) ?? null
  }

  availability(did: string): 'active' | RepoRefusal {
    const status = this.account(did)?.status ?? 'deleted'
    return status === 'active' ? status : REFUSALS[status]
  }

  status(did: string): HostedStatus | null {
    const account = this.account(did)
    if (account === null) return null
    if (account.status !== 'active') return { did, active: false, status: account.status }
    return { did, active: true, rev: must(account.repo.head, 'head').rev }
  }

  latestCommit(did: string): HostedHead | null {
    return this.account(did)?.repo.head ?? null
  }

  listRepos(limit: number, cursor: string | null): HostPage<HostedRepo> | 'invalid-cursor' {
    if (cursor !== null && !/^\d{1,9}$/.test(cursor)) return 'invalid-cursor'
    const listed = this.accounts.filter(({ status }) => status !== 'deleted')
    const start = Number(cursor ?? 0)
    const items = listed.slice(start, start + limit).map((account) => {
      const { did, status } = account
      const { commit: head, rev } = must(account.repo.head, 'head')
      return status === 'active'
        ? { did, head, rev, active: true }
        : { did, head, rev, active: false, status }
    })
    const end = start + items.length
    return end < listed.length ? { items, cursor: String(end) } : { items }
  }

  listBlobs(
    did: string,
    { limit, cursor, since }: BlobQuery,
  ): HostPage<Uint8Array> | 'invalid-cursor' {
    const after = cursor === null ? null : cidFromString(cursor)
    if (cursor !== null && after === null) return 'invalid-cursor'
    const cids = [...(this.account(did)?.blobs.values() ?? [])]
      .filter(({ rev }) => since === null || rev > since)
      .map(({ cid }) => cid)
      .filter((cid) => after === null || compareBytes(cid, after) > 0)
      .sort(compareBytes)
    const items = cids.slice(0, limit)
    const last = items.at(-1)
    return last === undefined || items.length === cids.length
      ? { items }
      : { items, cursor: cidToString(last) }
  }

  blob(did: string, cid: Uint8Array): HostedBlob | null {
    const stored = this.account(did)?.blobs.get(cidToString(cid))
    if (stored === undefined) return null
    const { bytes, mimeType } = stored
    return {
      size: bytes.length,
      mimeType,
      read: (start, end) => this.#readBlob(stored, start, end),
    }
  }

  async *#readBlob(stored: StoredBlob, start: number, end: number): AsyncGenerator<Uint8Array> {
    assert(start <= end && end <= stored.bytes.length, 'range lies within the blob')
    this.blobsOpen++
    try {
      for (let at = start; at < end; at += this.pieceBytes) {
        await this.beforePiece(this.pieces++)
        yield stored.bytes.slice(at, Math.min(at + this.pieceBytes, end))
      }
    } finally {
      this.blobsOpen--
    }
  }

  blocks(did: string, cids: readonly Uint8Array[]): HostedBlocks {
    const held = new Map(
      must(this.account(did), 'account')
        .blocks()
        .map((block) => [cidToString(block.cid), block] as const),
    )
    const wanted = [...new Set(cids.map(cidToString))]
    const missing = wanted.filter((cid) => !held.has(cid))
    if (missing.length > 0) {
      return { kind: 'missing', cids: missing.map((cid) => must(cidFromString(cid), 'CID')) }
    }
    const blocks = wanted.map((cid) => must(held.get(cid), 'block'))
    const bytes = blocks.reduce((sum, { block }) => sum + block.length, 0)
    return bytes > this.blocksBytesMax
      ? { kind: 'too-large', bytesMax: this.blocksBytesMax }
      : { kind: 'found', blocks }
  }

  recordProof(did: string, path: string): HostedProof | null {
    const { repo } = must(this.account(did), 'account')
    if (repo.head === null) return null
    const { commit, data } = repo.head
    const source = (cid: Uint8Array): Uint8Array => repo.block(cid)
    const tree = repo.tree(data)
    const blocks = recordProof({ cid: commit, block: source(commit) }, tree, path, source)
    return { root: commit, present: tree.get(path) !== null, blocks }
  }

  repoCar(did: string, since: string | null): RepoExport | 'busy' | null {
    const account = this.account(did)
    const head = account?.repo.head ?? null
    if (account === null || head === null) return null
    if (this.busy) return 'busy'
    const before = account.history.findLast(({ rev }) => since !== null && rev <= since)
    const blocks = account
      .blocks()
      .filter(({ cid }, i) => i === 0 || before?.cids.has(cidToString(cid)) !== true)
    const parts = blocks.map(({ cid, block }) => encodeCarBlock(cid, block))
    const car = concatBytes([encodeCarHeader([head.commit]), ...parts])
    this.exportsOpen++
    this.exportsOpened++
    let open = true
    const close = (): void => {
      if (open) this.exportsOpen--
      open = false
    }
    const chunks = this.#pieces(car, close)
    return { root: head.commit, rev: head.rev, chunks, close }
  }

  async *#pieces(car: Uint8Array, close: () => void): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < car.length; at += this.pieceBytes) {
        await this.beforePiece(this.pieces++)
        yield car.slice(at, at + this.pieceBytes)
      }
    } finally {
      close()
    }
  }

  health(): { readonly ok: boolean; readonly detail?: string } {
    return this.healthy ? { ok: true } : { ok: false, detail: 'log: disk full' }
  }
}
