/** Writes for real hosts: the records of the simulation, and some that meet again and again. */
import { encode } from '@atcute/cbor'
import type { Random } from '../../src/lib/random.ts'
import { below, geometric, pickOf, weighted } from '../../src/sim/distributions.ts'
import { makeRecord, nextCollection } from '../../src/sim/records.ts'
import { cidText } from '../support/reference-tree.ts'
import type { HostedAccount, StoredBlob } from './hosted-account.ts'
import type { PlannedWrite } from './real-host-operations.ts'

/** A few names, so that they meet often; some hash to great heights. */
const PATHS: readonly string[] = [
  ...Array.from({ length: 30 }, (_, i) => `org.example.note/${i}`),
  ...[39, 205, 269, 2_130, 10_829].map((n) => `com.example.high/${n}`),
]
/** Few values, so that records move and come back. */
const VALUES = 6
/** Share of writes at those names. */
const MEETING_SHARE = 0.45
const BLOB_SHARE = 0.4
/** Largest text of a record that is one of many, bytes. */
const BULK_TEXT_MAX = 5_000
const ACTION_WEIGHTS = { put: 70, delete: 30 } as const
/** A fixed instant: what is written follows from the seed. */
const START_MS = Date.UTC(2026, 0, 1)
const STEP_MS = 700

/** A record as it will be stored. */
export function recordOf(value: object, blobs: string[] = []): NonNullable<PlannedWrite['record']> {
  const block = encode(value)
  return { block, cid: cidText(block), blobs }
}

/** What stands where once all that was planned is done. */
export type Draft = Map<string, string>

export function draftOf(account: HostedAccount): Draft {
  return new Map([...account.records].map(([path, { cid }]) => [path, cid]))
}

export class WriteMaker {
  readonly #random: Random
  readonly #someone: () => string
  #nowMs = START_MS

  constructor(random: Random, someone: () => string) {
    this.#random = random
    this.#someone = someone
  }

  /** Writes of one call on distinct paths, good after those before; the draft is changed. */
  next(draft: Draft, account: HostedAccount): PlannedWrite[] {
    const count = 1 + Math.min(geometric(this.#random, 0.5), 12)
    const writes = new Map<string, PlannedWrite>()
    for (let i = 0; i < count; i++) {
      const write = this.#write(draft, account)
      if (!writes.has(write.path)) writes.set(write.path, write)
    }
    for (const { path, record } of writes.values()) {
      if (record === null) draft.delete(path)
      else draft.set(path, record.cid)
    }
    return [...writes.values()]
  }

  /** As many records as one call may hold, some of them large. */
  bulk(count: number): PlannedWrite[] {
    return Array.from({ length: count }, (_, i) => {
      const text = 'x'.repeat(below(this.#random, BULK_TEXT_MAX))
      const record = recordOf({ $type: 'org.example.bulk', text, n: i })
      const path = `org.example.bulk/${below(this.#random, 1e9)}-${i}`
      return { action: 'create', path, record }
    })
  }

  #write(draft: Draft, account: HostedAccount): PlannedWrite {
    const random = this.#random
    if (random.next() < MEETING_SHARE) {
      const path = pickOf(random, PATHS)
      return this.#at(path, draft, this.#withBlob({ n: below(random, VALUES) }, account))
    }
    this.#nowMs += STEP_MS
    const context = { random, nowMs: this.#nowMs, someone: this.#someone }
    const { collection, rkey, record } = makeRecord(context, nextCollection(random))
    const path = `${collection}/${rkey}`
    const known = [...draft.keys()]
    if (known.length > 0 && random.next() < 0.3) {
      return this.#at(pickOf(random, known), draft, recordOf(record))
    }
    const action = draft.has(path) ? 'update' : 'create'
    return { action, path, record: this.#withBlob(record, account) }
  }

  #at(path: string, draft: Draft, record: PlannedWrite['record']): PlannedWrite {
    if (!draft.has(path)) return { action: 'create', path, record }
    return weighted(this.#random, ACTION_WEIGHTS) === 'delete'
      ? { action: 'delete', path, record: null }
      : { action: 'update', path, record }
  }

  /** The record, sometimes with one or two of the blobs of its account. */
  #withBlob(record: object, { uploads }: HostedAccount): NonNullable<PlannedWrite['record']> {
    const random = this.#random
    const all = [...uploads]
    if (all.length === 0 || random.next() > BLOB_SHARE) return recordOf(record)
    const chosen = new Map<string, StoredBlob>()
    for (let i = 0; i <= below(random, 2); i++) chosen.set(...pickOf(random, all))
    const images = [...chosen].map(([cid, { bytes, mimeType }]) => {
      return { $type: 'blob', ref: { $link: cid }, mimeType, size: bytes.length }
    })
    return recordOf({ ...record, images }, [...chosen.keys()])
  }
}

const MIME_TYPES = ['image/png', 'image/jpeg', 'video/mp4', 'text/plain;charset=utf-8']

/** Contents of blobs: few, so that accounts have them in common; some are large. */
export function nextBlob(random: Random, seed: number): StoredBlob {
  const n = below(random, 25)
  const length = n % 8 === 0 ? 200_000 + n * 1_000 : 1 + n * 37
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + n * 7 + seed) % 251
  return { bytes, mimeType: pickOf(random, MIME_TYPES) }
}
