/**
 * Accounts that were used lately, bounded by the memory that they take. An entry holds its two CIDs
 * as text of one byte a character: as arrays they alone would take 512 bytes.
 */
import { LRUCache } from 'lru-cache'
import type { AccountRow } from '../store/relay-store.ts'

/**
 * Memory of an entry beside its DID and status: objects, CIDs, rev, and the place in the cache
 * (measured: 457 for a did:plc, of which its DID is 32; account-cache.test.ts).
 */
const ENTRY_BYTES = 425

/** A row at rest. */
interface Packed extends Omit<AccountRow, 'commit' | 'data'> {
  /** Both CIDs, end to end. */
  readonly cids: string
  /** Characters of the first; -1 for an account without a head. */
  readonly commitChars: number
}

/** A cache over the store. Rows that it gives are equal to those put in, not the same objects. */
export class AccountCache {
  readonly #rows: LRUCache<string, Packed>

  /** @param bytesMax Estimated memory of all entries together. */
  constructor(bytesMax: number) {
    this.#rows = new LRUCache({
      maxSize: bytesMax,
      sizeCalculation: ({ did, status }) => ENTRY_BYTES + did.length + (status?.length ?? 0),
    })
  }

  /** Estimated memory of the entries, bytes. */
  get bytes(): number {
    return this.#rows.calculatedSize
  }

  get(did: string): AccountRow | undefined {
    const packed = this.#rows.get(did)
    return packed === undefined ? undefined : unpack(packed)
  }

  set(row: AccountRow): void {
    this.#rows.set(row.did, pack(row))
  }

  delete(did: string): void {
    this.#rows.delete(did)
  }
}

const NONE = new Uint8Array(0)

function pack(row: AccountRow): Packed {
  const { commit, data, ...rest } = row
  // Written out, so that all entries have one shape.
  return {
    id: rest.id,
    did: rest.did,
    hostId: rest.hostId,
    active: rest.active,
    status: rest.status,
    takendown: rest.takendown,
    inactiveSeq: rest.inactiveSeq,
    rev: rest.rev,
    cids: textOf(commit, data),
    commitChars: commit === null ? -1 : commit.length,
  }
}

function unpack({ cids, commitChars, ...rest }: Packed): AccountRow {
  if (commitChars === -1) return { ...rest, commit: null, data: cids === '' ? null : bytesOf(cids) }
  const commit = bytesOf(cids.slice(0, commitChars))
  const data = cids.length === commitChars ? null : bytesOf(cids.slice(commitChars))
  return { ...rest, commit, data }
}

/** One flat text: two that are joined would each be kept, and a third beside them. */
function textOf(commit: Uint8Array | null, data: Uint8Array | null): string {
  if (commit === null && data === null) return ''
  return Buffer.concat([commit ?? NONE, data ?? NONE]).toString('latin1')
}

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}
