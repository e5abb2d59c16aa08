/** What a host answers about itself. Synchronous, from state as of the last transaction. */
import type { CarBlock } from '../data/car-stream.ts'
import { cidFromString, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { recordProof } from '../repo/record-proof.ts'
import type { BlobFiles } from '../store/blob-files.ts'
import type { HostedAccountRow } from '../store/repo-store.ts'
import type {
  BlobQuery,
  HostedBlob,
  HostedBlocks,
  HostedHead,
  HostedProof,
  HostedRepo,
  HostedStatus,
  HostPage,
  RepoRefusal,
} from './host-view.ts'
import type { HostState } from './turn.ts'

/** Most bytes of blocks in one answer: it is held in memory while a client reads it. */
export const BLOCKS_BYTES_MAX: number = 16 * 1024 * 1024

const REFUSALS = {
  deactivated: 'RepoDeactivated',
  suspended: 'RepoSuspended',
  takendown: 'RepoTakendown',
  deleted: 'RepoNotFound',
} as const

/** Reads of one host. Implements the synchronous part of `HostView`; see there. */
export class HostReads {
  readonly #state: HostState
  readonly #files: BlobFiles

  constructor(state: HostState, files: BlobFiles) {
    this.#state = state
    this.#files = files
  }

  availability(did: string): 'active' | RepoRefusal {
    const account = this.#state.store.account(did)
    if (account === null) return 'RepoNotFound'
    if (account.status !== 'active') return REFUSALS[account.status]
    return account.head === null ? 'RepoNotFound' : 'active'
  }

  status(did: string): HostedStatus | null {
    const account = this.#state.store.account(did)
    if (account === null) return null
    const { status, rev } = account
    if (status !== 'active') return { did, active: false, status }
    return rev === null ? { did, active: true } : { did, active: true, rev }
  }

  latestCommit(did: string): HostedHead | null {
    const account = this.#state.store.account(did)
    return account === null ? null : headOf(account)
  }

  listRepos(limit: number, cursor: string | null): HostPage<HostedRepo> | 'invalid-cursor' {
    if (cursor !== null && !/^[1-9]\d{0,14}$/.test(cursor)) return 'invalid-cursor'
    const rows = this.#state.store.repoPage(Number(cursor ?? 0), limit + 1)
    const items = rows.slice(0, limit).map(repoOf)
    const last = rows[limit - 1]
    return rows.length <= limit || last === undefined
      ? { items }
      : { items, cursor: String(last.id) }
  }

  listBlobs(did: string, query: BlobQuery): HostPage<Uint8Array> | 'invalid-cursor' {
    const { limit, cursor, since } = query
    const after = cursor === null ? new Uint8Array(0) : cidFromString(cursor)
    if (after === null) return 'invalid-cursor'
    const account = this.#state.store.account(did)
    if (account === null || account.repoId === null) return { items: [] }
    const page = { after, sinceRev: since ?? '', limit: limit + 1 }
    const cids = this.#state.blobs.page(account.id, account.repoId, page)
    const last = cids[limit - 1]
    const items = cids.slice(0, limit)
    return cids.length <= limit || last === undefined
      ? { items }
      : { items, cursor: cidToString(last) }
  }

  blob(did: string, cid: Uint8Array): HostedBlob | null {
    const { store, blobs } = this.#state
    const account = store.account(did)
    if (account === null || account.repoId === null) return null
    const row = blobs.blob(account.id, cid)
    if (row === null || !blobs.isReferred(account.repoId, cid)) return null
    const { size, mimeType } = row
    return { size, mimeType, read: (start, end) => this.#files.read(cid, start, end) }
  }

  blocks(did: string, cids: readonly Uint8Array[]): HostedBlocks {
    const { store, blocks } = this.#state
    const repoId = store.account(did)?.repoId ?? null
    const wanted = new Map(cids.map((cid) => [cidToString(cid), cid]))
    if (repoId === null) return { kind: 'missing', cids: [...wanted.values()] }
    const missing = [...wanted.values()].filter((cid) => !blocks.has(repoId, cid))
    if (missing.length > 0) return { kind: 'missing', cids: missing }
    const found: CarBlock[] = []
    let bytes = 0
    for (const cid of wanted.values()) {
      const block = must(blocks.get(repoId, cid), 'block')
      bytes += block.length
      if (bytes > BLOCKS_BYTES_MAX) return { kind: 'too-large', bytesMax: BLOCKS_BYTES_MAX }
      found.push({ cid, block })
    }
    return { kind: 'found', blocks: found }
  }

  recordProof(did: string, path: string): HostedProof | null {
    const { store, blocks, trees } = this.#state
    const account = store.account(did)
    if (account === null || account.head === null || account.repoId === null) return null
    const { repoId, head } = account
    const source = (cid: Uint8Array): Uint8Array | null => blocks.get(repoId, cid)
    const commit = { cid: head.commit, block: must(source(head.commit), 'commit block') }
    const tree = trees.open(repoId, head.data)
    const proof = recordProof(commit, tree, path, source)
    const present = tree.get(path) !== null
    trees.trim()
    return { root: head.commit, present, blocks: proof }
  }
}

/** The head of an account, or null. */
export function headOf({ head, rev }: HostedAccountRow): HostedHead | null {
  return head === null ? null : { ...head, rev: must(rev, 'rev of a head') }
}

function repoOf(account: HostedAccountRow): HostedRepo {
  const { did, status } = account
  const { commit: head, rev } = must(headOf(account), 'head')
  return status === 'active'
    ? { did, head, rev, active: true }
    : { did, head, rev, active: false, status }
}
