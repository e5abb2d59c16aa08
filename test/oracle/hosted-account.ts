/**
 * What an account on one host must be, from what was asked for and acknowledged: records, blobs,
 * status, and how the repository came to be what it is. It knows nothing of the host's state; its
 * trees are those of @atcute/mst.
 */
import { MemoryBlockStore, NodeStore, NodeWrangler } from '@atcute/mst'
import type { PrivateKey } from '../../src/crypto/private-key.ts'
import { must } from '../../src/lib/assert.ts'
import type { AccountStatus } from '../../src/sim/world.ts'
import { buildTreeOf } from '../support/reference-tree.ts'

/** What stands at a path. CIDs are text. */
export interface StoredRecord {
  readonly cid: string
  /** When it was written there. */
  readonly rev: string
  /** CIDs of the blobs that it refers to. */
  readonly blobs: readonly string[]
}

export interface StoredBlob {
  readonly bytes: Uint8Array
  readonly mimeType: string
}

/** What the newest commit says. */
export interface ModelHead {
  readonly rev: string
  readonly commit: string
  readonly data: string
}

/** One commit. */
export interface Step extends ModelHead {
  /** `import`: all that stood there before is gone, whether it came again or not. */
  readonly kind: 'commit' | 'import'
  /** What stands at these paths afterwards; null where nothing does. */
  readonly changes: ReadonlyMap<string, StoredRecord | null>
}

const EMPTY_ROOT: string = buildTreeOf(new Map()).root

const nodes = new NodeStore(new MemoryBlockStore())
const wrangler = new NodeWrangler(nodes)

/** The root of the tree after a change at one path. */
async function rootAfter(root: string, path: string, cid: string | null): Promise<string> {
  const from = root === EMPTY_ROOT ? null : root
  if (cid !== null) return wrangler.putRecord(from, path, { $link: cid })
  return from === null ? EMPTY_ROOT : wrangler.deleteRecord(from, path)
}

export class HostedAccount {
  readonly did: string
  /** Index of the host. */
  readonly host: number
  /** Signs its commits there. */
  key: PrivateKey
  handle: string
  status: AccountStatus = 'deactivated'
  /** Whether its host has ever said anything of it, since it was created. */
  announced = false
  head: ModelHead | null = null
  readonly records: Map<string, StoredRecord> = new Map()
  /** Blobs that were uploaded and are there, by CID. */
  readonly uploads: Map<string, StoredBlob> = new Map()
  #steps: Step[] = []
  /** Revs of a life before it was deleted. */
  #formerRevs: string[] = []

  constructor(did: string, host: number, key: PrivateKey, handle: string) {
    this.did = did
    this.host = host
    this.key = key
    this.handle = handle
  }

  /** Commits since the repository began, oldest first. */
  get steps(): readonly Step[] {
    return this.#steps
  }

  get formerRevs(): readonly string[] {
    return this.#formerRevs
  }

  /** The repository as of a rev: the newest step up to it. Empty before the first. */
  recordsAt(rev: string): Map<string, StoredRecord> {
    const records = new Map<string, StoredRecord>()
    for (const step of this.#steps) {
      if (step.rev > rev) break
      if (step.kind === 'import') records.clear()
      for (const [path, record] of step.changes) {
        if (record === null) records.delete(path)
        else records.set(path, record)
      }
    }
    return records
  }

  stepAt(rev: string): Step | null {
    return this.#steps.findLast((step) => step.rev <= rev) ?? null
  }

  /** CIDs of the blobs that records refer to. */
  referredBlobs(sinceRev: string = ''): Set<string> {
    const referred = new Set<string>()
    for (const { rev, blobs } of this.records.values()) {
      if (rev > sinceRev) for (const blob of blobs) referred.add(blob)
    }
    return referred
  }

  /** The tree that these changes lead to. */
  async dataAfter(changes: ReadonlyMap<string, { readonly cid: string } | null>): Promise<string> {
    let root = this.head?.data ?? EMPTY_ROOT
    for (const [path, record] of changes) root = await rootAfter(root, path, record?.cid ?? null)
    return root
  }

  /** A commit was made. */
  commit(head: ModelHead, changes: ReadonlyMap<string, StoredRecord | null>): void {
    this.#push({ ...head, kind: 'commit', changes })
  }

  /** A repository was taken over as it is. */
  async import(
    head: { readonly rev: string; readonly commit: string },
    records: ReadonlyMap<string, StoredRecord>,
  ): Promise<void> {
    const { rev } = head
    const taken = new Map([...records].map(([path, record]) => [path, { ...record, rev }]))
    this.records.clear()
    let data = EMPTY_ROOT
    for (const [path, { cid }] of taken) data = await rootAfter(data, path, cid)
    this.#push({ ...head, data, kind: 'import', changes: taken })
  }

  /** The account was deleted: what comes later is another life of it. */
  discard(): void {
    this.#formerRevs = [...this.#formerRevs, ...this.#steps.map(({ rev }) => rev)]
    this.#steps = []
    this.head = null
    this.records.clear()
    this.uploads.clear()
    this.status = 'deleted'
  }

  /** Blobs that nothing refers to are gone. */
  collect(): void {
    const referred = this.referredBlobs()
    for (const cid of this.uploads.keys()) if (!referred.has(cid)) this.uploads.delete(cid)
  }

  #push(step: Step): void {
    const { rev, commit, data, changes } = step
    const last = this.head?.rev ?? this.#formerRevs.at(-1) ?? ''
    must(rev > last ? rev : null, `rev ${rev} of ${this.did} after ${last}`)
    this.#steps.push(step)
    this.head = { rev, commit, data }
    for (const [path, record] of changes) {
      if (record === null) this.records.delete(path)
      else this.records.set(path, record)
    }
  }
}

export { EMPTY_ROOT }
