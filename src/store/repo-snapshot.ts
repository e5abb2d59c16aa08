/**
 * Read transactions on connections of their own: each sees one state of the database, whatever is
 * written meanwhile.
 */
import Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'
import { CID_BYTES } from '../data/cid.ts'
import { assert } from '../lib/assert.ts'
import { concatBytes, plainBytes } from '../lib/bytes.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

/** Page cache of a connection in use, KiB: the index of a repository of 300,000 records. */
const CACHE_KIB = 16_384
/** Idle connections kept for the next reader. */
const IDLE_MAX = 2
/** Most blocks of one batch: beyond, each costs as much as before. */
export const BATCH_BLOCKS_MAX = 256
/** Largest block that comes in a batch, bytes, so that a batch comes to 1 MiB at most. */
const BATCH_BLOCK_BYTES_MAX = 4_096

/**
 * Blocks by CIDs that stand end to end in one parameter, end to end in one value: what passes
 * between SQLite and here is a few values, and not one for each block, which costs more than to
 * find it. The CIDs come back in the order in which the blocks were gathered.
 */
const BATCH_SQL = `
  with recursive place(n) as (
    values (1) union all select n + ${CID_BYTES} from place where n + ${CID_BYTES} < ?
  )
  select
    cast(group_concat(cid, '') as blob),
    group_concat(length(content)),
    cast(group_concat(
      case when length(content) > ${BATCH_BLOCK_BYTES_MAX} then x'' else content end, ''
    ) as blob)
  from place cross join block on repo_id = ? and cid = substr(?, n, ${CID_BYTES})`

type BatchRow = readonly [cids: Uint8Array | null, lengths: string, contents: Uint8Array]

/** One connection, idle or in a transaction. */
class Reader {
  readonly connection: Connection
  readonly block: Statement
  readonly batch: Statement
  readonly blockRev: Statement
  readonly recordRev: Statement

  constructor(file: string) {
    this.connection = new Database(file, { readonly: true, fileMustExist: true })
    this.connection.pragma(`cache_size = -${CACHE_KIB}`)
    this.block = this.connection
      .prepare('select content from block where repo_id = ? and cid = ?')
      .pluck()
    this.batch = this.connection.prepare(BATCH_SQL).raw()
    this.blockRev = this.connection
      .prepare('select rev from block where repo_id = ? and cid = ?')
      .pluck()
    this.recordRev = this.connection
      .prepare('select rev from record where repo_id = ? and path = ?')
      .pluck()
  }
}

/** One state of one repository. Close it: it holds a connection. */
export class RepoSnapshot {
  readonly #reader: Reader
  readonly #repoId: number
  readonly #giveBack: () => void
  #open = true

  constructor(reader: Reader, repoId: number, giveBack: () => void) {
    this.#reader = reader
    this.#repoId = repoId
    this.#giveBack = giveBack
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** A block, or null. The bytes are the caller's. */
  block(cid: Uint8Array): Uint8Array | null {
    const found = guarded('read block', () => this.#reader.block.get(this.#repoId, cid))
    return found instanceof Uint8Array ? plainBytes(found) : null
  }

  /**
   * Blocks in the order asked for: far cheaper than one by one. Null stands for what has to be
   * asked for with {@link block}: a block of over 4 KiB; each of them when any is not there.
   *
   * @param cids 1 to {@link BATCH_BLOCKS_MAX}.
   * @returns Views into one array, the caller's.
   */
  blocks(cids: readonly Uint8Array[]): (Uint8Array | null)[] {
    assert(cids.length > 0 && cids.length <= BATCH_BLOCKS_MAX, 'a batch within its bounds')
    const asked = concatBytes(cids)
    const row = guarded('read blocks', () =>
      this.#reader.batch.get(asked.length, this.#repoId, asked),
    )
    const [found, lengths, contents] = row as BatchRow
    if (found === null || Buffer.compare(found, asked) !== 0) return cids.map(() => null)
    const all = plainBytes(contents)
    let end = 0
    return lengths.split(',').map((length) => {
      if (Number(length) > BATCH_BLOCK_BYTES_MAX) return null
      const start = end
      end += Number(length)
      return all.subarray(start, end)
    })
  }

  /** The rev with which a block became part of the repository; null when it is none. */
  blockRev(cid: Uint8Array): string | null {
    const rev = guarded('read block', () => this.#reader.blockRev.get(this.#repoId, cid))
    return typeof rev === 'string' ? rev : null
  }

  /** Rev of the commit that put a record where it stands; null when there is none. */
  recordRev(path: string): string | null {
    const rev = guarded('read record', () => this.#reader.recordRev.get(this.#repoId, path))
    return typeof rev === 'string' ? rev : null
  }

  /** Ends the transaction. Calling it again does nothing. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#giveBack()
  }
}

/** Snapshots of one database file. */
export class SnapshotPool {
  readonly #file: string
  readonly #max: number
  readonly #idle: Reader[] = []
  readonly #snapshots = new Set<RepoSnapshot>()
  #closed = false

  /** @param max Most snapshots at once: each holds a connection and the write-ahead log. */
  constructor(file: string, max: number) {
    this.#file = file
    this.#max = max
  }

  /** Snapshots that are open. */
  get size(): number {
    return this.#snapshots.size
  }

  /**
   * The state as of the last committed transaction; null when as many are open as may be.
   *
   * @throws SkeinError STORE_FAILED
   */
  open(repoId: number): RepoSnapshot | null {
    if (this.#closed || this.#snapshots.size >= this.#max) return null
    return guarded('open snapshot', () => {
      const reader = this.#idle.pop() ?? new Reader(this.#file)
      try {
        // The transaction begins with what it first reads.
        reader.connection.exec('BEGIN; SELECT 1 FROM setting')
      } catch (error) {
        reader.connection.close()
        throw error
      }
      const snapshot = new RepoSnapshot(reader, repoId, () => {
        this.#snapshots.delete(snapshot)
        reader.connection.exec('COMMIT; PRAGMA shrink_memory')
        if (this.#closed || this.#idle.length >= IDLE_MAX) reader.connection.close()
        else this.#idle.push(reader)
      })
      this.#snapshots.add(snapshot)
      return snapshot
    })
  }

  /** Closes every snapshot and connection. */
  close(): void {
    this.#closed = true
    for (const snapshot of this.#snapshots) snapshot.close()
    for (const reader of this.#idle.splice(0)) reader.connection.close()
  }
}
