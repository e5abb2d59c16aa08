/**
 * Read transactions on connections of their own: each sees one state of the database, whatever is
 * written meanwhile.
 */
import Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'
import { plainBytes } from '../lib/bytes.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

/** Page cache of a connection in use, KiB: most of a repository of 50,000 records. */
const CACHE_KIB = 24_576
/** Idle connections kept for the next reader. */
const IDLE_MAX = 2

/** A block and the rev with which it became part of the repository. */
export interface BlockWithRev {
  readonly block: Uint8Array
  readonly rev: string
}

/** One connection, idle or in a transaction. */
class Reader {
  readonly connection: Connection
  readonly block: Statement
  readonly blockWithRev: Statement
  readonly recordRev: Statement

  constructor(file: string) {
    this.connection = new Database(file, { readonly: true, fileMustExist: true })
    this.connection.pragma(`cache_size = -${CACHE_KIB}`)
    this.block = this.connection
      .prepare('select content from block where repo_id = ? and cid = ?')
      .pluck()
    this.blockWithRev = this.connection
      .prepare('select content, rev from block where repo_id = ? and cid = ?')
      .raw()
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

  blockWithRev(cid: Uint8Array): BlockWithRev | null {
    const row = guarded('read block', () => this.#reader.blockWithRev.get(this.#repoId, cid))
    if (row === undefined) return null
    const [content, rev] = row as readonly [Uint8Array, string]
    return { block: plainBytes(content), rev }
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
      // The transaction begins with what it first reads.
      reader.connection.exec('BEGIN; SELECT 1 FROM setting')
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
