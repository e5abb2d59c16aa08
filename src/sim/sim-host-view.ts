/**
 * A simulated host's repositories as the HTTP layer asks for them: the endpoints are those of a
 * real host.
 */
import { type CarBlock, encodeCar } from '../data/car-stream.ts'
import { cidFromString, cidToString } from '../data/cid.ts'
import { compareBytes } from '../lib/bytes.ts'
import { recordProof } from '../repo/record-proof.ts'
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
  RepoExport,
  RepoRefusal,
} from '../repo-host/host-view.ts'
import type { LogSource } from '../stream/log-source.ts'
import { must } from '../lib/assert.ts'
import { blobBytes, type SimBlob } from './blobs.ts'
import type { SimAccount } from './sim-account.ts'
import type { Simulation } from './simulation.ts'

const CHUNK_BYTES = 64 * 1024
/** Most bytes of one answer to getBlocks. */
const BLOCKS_BYTES_MAX = 16 * 1024 * 1024

const REFUSALS = {
  takendown: 'RepoTakendown',
  suspended: 'RepoSuspended',
  deactivated: 'RepoDeactivated',
  deleted: 'RepoNotFound',
} as const

/** What the host with an index has. */
export class SimHostView implements HostView {
  readonly log: LogSource
  readonly #sim: Simulation
  readonly #index: number

  constructor(sim: Simulation, index: number) {
    this.#sim = sim
    this.#index = index
    this.log = sim.host(index).log
  }

  availability(did: string): 'active' | RepoRefusal {
    const account = this.#find(did)
    if (account === null || account.repo.head === null) return 'RepoNotFound'
    return account.status === 'active' ? 'active' : REFUSALS[account.status]
  }

  status(did: string): HostedStatus | null {
    const account = this.#find(did)
    if (account === null) return null
    const { status, repo } = account
    if (status !== 'active') return { did, active: false, status }
    return { did, active: true, ...(repo.head === null ? {} : { rev: repo.head.rev }) }
  }

  latestCommit(did: string): HostedHead | null {
    return this.#find(did)?.repo.head ?? null
  }

  listRepos(limit: number, cursor: string | null): HostPage<HostedRepo> | 'invalid-cursor' {
    if (cursor !== null && !/^\d{1,9}$/.test(cursor)) return 'invalid-cursor'
    const items: HostedRepo[] = []
    const { accounts } = this.#sim
    for (let number = Number(cursor ?? 0); number < accounts.length; number++) {
      const { did, host, status, repo } = must(accounts[number], 'account')
      if (host !== this.#index || status === 'deleted' || repo.head === null) continue
      if (items.length === limit) return { items, cursor: String(number) }
      const { commit, rev } = repo.head
      const active = status === 'active'
      items.push({ did, head: commit, rev, active, ...(active ? {} : { status }) })
    }
    return { items }
  }

  listBlobs(did: string, query: BlobQuery): HostPage<Uint8Array> | 'invalid-cursor' {
    const { limit, cursor, since } = query
    const after = cursor === null ? null : cidFromString(cursor)
    if (cursor !== null && after === null) return 'invalid-cursor'
    const rest = (this.#find(did)?.blobs.list(since) ?? [])
      .map(({ cid }) => cid)
      .filter((cid) => after === null || compareBytes(cid, after) > 0)
      .sort(compareBytes)
    const items = rest.slice(0, limit)
    const last = items.at(-1)
    if (rest.length <= limit || last === undefined) return { items }
    return { items, cursor: cidToString(last) }
  }

  blob(did: string, cid: Uint8Array): HostedBlob | null {
    const blob = this.#find(did)?.blobs.find(cidToString(cid)) ?? null
    if (blob === null) return null
    const { size, mimeType } = blob
    return { size, mimeType, read: (start, end) => blobPieces(blob, start, end) }
  }

  blocks(did: string, cids: readonly Uint8Array[]): HostedBlocks {
    const repo = must(this.#find(did), 'hosted account').repo
    const blocks: CarBlock[] = []
    const missing: Uint8Array[] = []
    let bytes = 0
    const wanted = new Map(cids.map((cid) => [cidToString(cid), cid]))
    for (const cid of wanted.values()) {
      const block = repo.find(cid)
      if (block === null) missing.push(cid)
      else blocks.push({ cid, block })
      bytes += block?.length ?? 0
    }
    if (missing.length > 0) return { kind: 'missing', cids: missing }
    if (bytes > BLOCKS_BYTES_MAX) return { kind: 'too-large', bytesMax: BLOCKS_BYTES_MAX }
    return { kind: 'found', blocks }
  }

  recordProof(did: string, path: string): HostedProof | null {
    const repo = this.#find(did)?.repo
    const head = repo?.head ?? null
    if (repo === undefined || head === null) return null
    const commit = { cid: head.commit, block: repo.block(head.commit) }
    const blocks = recordProof(commit, repo.tree(), path, (cid) => repo.find(cid))
    return { root: head.commit, present: repo.has(path), blocks }
  }

  /** Put together at once: what is written later does not show. */
  repoCar(did: string, since: string | null): RepoExport | null {
    const repo = this.#find(did)?.repo
    const head = repo?.head ?? null
    if (repo === undefined || head === null) return null
    const car = encodeCar([head.commit], [...repo.exportBlocks(since)])
    return { root: head.commit, rev: head.rev, chunks: pieces(car), close: () => undefined }
  }

  health(): { readonly ok: boolean } {
    return { ok: true }
  }

  #find(did: string): SimAccount | null {
    const account = this.#sim.account(did)
    return account?.host === this.#index ? account : null
  }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}

async function* blobPieces(blob: SimBlob, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; at += CHUNK_BYTES) {
    yield blobBytes(blob, at, Math.min(at + CHUNK_BYTES, end))
  }
}
