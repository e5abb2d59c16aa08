/**
 * What a consumer remembers, in a SQLite file: heads, index of records, marks, quarantine, cursors.
 * For the consumers of ../client, which must not know SQLite.
 */
import type { Statement } from 'better-sqlite3'
import type {
  ConsumerStore,
  IndexedRecord,
  MarkReason,
  QuarantineRow,
  RepoRow,
  StoreChanges,
  StoredCursor,
} from './consumer-state.ts'
import { type Connection, openDatabase } from './database.ts'
import { guarded } from './guarded.ts'
import { CONSUMER_SCHEMA } from './schemas.ts'

type Row = Readonly<Record<string, unknown>>

/** A copy that is no view of the driver's memory. */
function bytesOf(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? new Uint8Array(value) : null
}

function repoOf(row: Row): RepoRow {
  const rev = row['rev'] as string | null
  const commit = bytesOf(row['commit_cid'])
  const reason = row['mark_reason'] as MarkReason | null
  return {
    did: row['did'] as string,
    head: rev === null || commit === null ? null : { rev, commit, data: bytesOf(row['data_cid']) },
    complete: row['complete'] === 1,
    inactive: row['inactive'] as string | null,
    mark:
      reason === null
        ? null
        : {
            reason,
            detail: row['mark_detail'] as string,
            sinceMs: row['mark_since_ms'] as number,
            tries: row['mark_tries'] as number,
            nextTryMs: row['next_try_ms'] as number | null,
          },
    quarantined: row['quarantined'] as number,
  }
}

function messageOf(row: Row): QuarantineRow {
  return {
    id: row['id'] as number,
    did: row['did'] as string,
    service: row['service'] as string | null,
    seq: row['seq'] as number | null,
    frame: bytesOf(row['frame']),
    verdict: row['verdict'] === 'verified' ? 'verified' : 'unverified',
    error: row['error'] as string | null,
    tries: row['tries'] as number,
    sinceMs: row['since_ms'] as number,
  }
}

const REPO_COLUMNS =
  'did, rev, commit_cid, data_cid, complete, inactive, mark_reason, mark_detail, mark_since_ms, ' +
  'mark_tries, next_try_ms, quarantined'

const UPSERT_REPO = `
  insert into repo (${REPO_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (did) do update set
    rev = excluded.rev, commit_cid = excluded.commit_cid, data_cid = excluded.data_cid,
    complete = excluded.complete, inactive = excluded.inactive,
    mark_reason = excluded.mark_reason, mark_detail = excluded.mark_detail,
    mark_since_ms = excluded.mark_since_ms, mark_tries = excluded.mark_tries,
    next_try_ms = excluded.next_try_ms, quarantined = excluded.quarantined`

const UPSERT_MESSAGE = `
  insert into quarantine (id, did, service, seq, frame, verdict, error, tries, since_ms)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (id) do update set error = excluded.error, tries = excluded.tries`

const UPSERT_CURSOR = `
  insert into cursor (service, seq, time_ms, saved)
  values (?, ?, ?, (select coalesce(max(saved), 0) + 1 from cursor))
  on conflict (service) do update set
    seq = excluded.seq, time_ms = excluded.time_ms, saved = excluded.saved`

/** Calls are synchronous; each throws STORE_FAILED when the database fails. */
export class SqliteConsumerStore implements ConsumerStore, Disposable {
  readonly #connection: Connection
  readonly #close: () => void
  readonly #repo: Statement
  readonly #due: Statement
  readonly #repoId: Statement
  readonly #records: Statement
  readonly #putRepo: Statement
  readonly #putRecord: Statement
  readonly #deleteRecord: Statement
  readonly #putMessage: Statement
  readonly #deleteMessage: Statement
  readonly #putCursor: Statement

  constructor(connection: Connection, close: () => void) {
    this.#connection = connection
    this.#close = close
    const select = `select ${REPO_COLUMNS} from repo`
    this.#repo = connection.prepare(`${select} where did = ?`)
    this.#due = connection.prepare(`${select} where next_try_ms <= ? order by next_try_ms limit ?`)
    this.#repoId = connection.prepare('select id from repo where did = ?')
    this.#records = connection.prepare(
      'select path, cid from record where repo_id = ? and path > ? order by path limit ?',
    )
    this.#putRepo = connection.prepare(UPSERT_REPO)
    this.#putRecord = connection.prepare(
      'insert into record (repo_id, path, cid) values (?, ?, ?) ' +
        'on conflict (repo_id, path) do update set cid = excluded.cid',
    )
    this.#deleteRecord = connection.prepare('delete from record where repo_id = ? and path = ?')
    this.#putMessage = connection.prepare(UPSERT_MESSAGE)
    this.#deleteMessage = connection.prepare('delete from quarantine where id = ?')
    this.#putCursor = connection.prepare(UPSERT_CURSOR)
  }

  repo(did: string): RepoRow | null {
    const row = guarded('read repository', () => this.#repo.get(did)) as Row | undefined
    return row === undefined ? null : repoOf(row)
  }

  due(nowMs: number, limit: number): readonly RepoRow[] {
    const rows = guarded('read marks', () => this.#due.all(nowMs, limit)) as Row[]
    return rows.map((row) => repoOf(row))
  }

  records(did: string, after: string, limit: number): readonly IndexedRecord[] {
    return guarded('read records', () => {
      const id = this.#idOf(did)
      if (id === null) return []
      const rows = this.#records.all(id, after, limit) as Row[]
      return rows.map((row) => ({
        path: row['path'] as string,
        cid: bytesOf(row['cid']) ?? new Uint8Array(),
      }))
    })
  }

  quarantine(did: string | null, after: number, limit: number): readonly QuarantineRow[] {
    const where = did === null ? 'id > @after' : 'did = @did and id > @after'
    const rows = guarded('read quarantine', () =>
      this.#connection
        .prepare(`select * from quarantine where ${where} order by id limit @limit`)
        .all({ after, limit, ...(did === null ? {} : { did }) }),
    ) as Row[]
    return rows.map(messageOf)
  }

  cursors(): readonly StoredCursor[] {
    const rows = guarded('read cursors', () =>
      this.#connection.prepare('select * from cursor order by saved desc').all(),
    ) as Row[]
    return rows.map((row) => ({
      service: row['service'] as string,
      seq: row['seq'] as number,
      timeMs: row['time_ms'] as number | null,
    }))
  }

  /** All or nothing, in one transaction. */
  apply(changes: StoreChanges): void {
    const write = this.#connection.transaction(() => {
      for (const did of changes.forgotten) this.#forget(did)
      for (const row of changes.repos) this.#writeRepo(row)
      for (const [did, records] of changes.records) this.#writeRecords(did, records)
      for (const row of changes.quarantined) this.#writeMessage(row)
      for (const id of changes.released) this.#deleteMessage.run(id)
      for (const service of changes.forgottenCursors) {
        this.#connection.prepare('delete from cursor where service = ?').run(service)
      }
      for (const { service, seq, timeMs } of changes.cursors) {
        this.#putCursor.run(service, seq, timeMs)
      }
    })
    guarded('save consumer state', write)
  }

  /** Closes the file. */
  close(): void {
    this.#close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #idOf(did: string): number | null {
    const row = this.#repoId.get(did) as Row | undefined
    return row === undefined ? null : (row['id'] as number)
  }

  #forget(did: string): void {
    const id = this.#idOf(did)
    this.#connection.prepare('delete from quarantine where did = ?').run(did)
    if (id === null) return
    this.#connection.prepare('delete from record where repo_id = ?').run(id)
    this.#connection.prepare('delete from repo where id = ?').run(id)
  }

  #writeRepo({ did, head, complete, inactive, mark, quarantined }: RepoRow): void {
    this.#putRepo.run(
      did,
      head?.rev ?? null,
      head?.commit ?? null,
      head?.data ?? null,
      complete ? 1 : 0,
      inactive,
      mark?.reason ?? null,
      mark?.detail ?? null,
      mark?.sinceMs ?? null,
      mark?.tries ?? null,
      mark?.nextTryMs ?? null,
      quarantined,
    )
  }

  #writeRecords(did: string, records: ReadonlyMap<string, Uint8Array | null>): void {
    const id = this.#idOf(did) ?? this.#addRepo(did)
    for (const [path, cid] of records) {
      if (cid === null) this.#deleteRecord.run(id, path)
      else this.#putRecord.run(id, path, cid)
    }
  }

  #addRepo(did: string): number {
    const row = this.#connection
      .prepare('insert into repo (did, complete, quarantined) values (?, 0, 0) returning id')
      .get(did) as Row
    return row['id'] as number
  }

  #writeMessage(row: QuarantineRow): void {
    const { id, did, service, seq, frame, verdict, error, tries, sinceMs } = row
    this.#putMessage.run(id, did, service, seq, frame, verdict, error, tries, sinceMs)
  }
}

/**
 * Opens a consumer's state, creating the file when it is missing. One consumer at a time.
 *
 * What was applied survives the end of the process, however sudden; after a power failure the last
 * batches may be gone together with their cursors, and come again.
 *
 * @throws SkeinError STORE_FAILED, or STORE_TOO_NEW when a newer version has written the file.
 */
export async function openConsumerStore(file: string): Promise<SqliteConsumerStore> {
  const database = await openDatabase(file, CONSUMER_SCHEMA)
  return new SqliteConsumerStore(database.connection, () => database.close())
}
