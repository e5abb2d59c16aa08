/**
 * What a repository host remembers: accounts with their keys, repositories, records, and the events
 * that are on their way to the log. One connection, prepared statements, synchronous. Blocks and
 * blobs are beside it, in ./block-rows.ts and ./blob-rows.ts.
 */
import type { Statement } from 'better-sqlite3'
import type { Curve } from '../crypto/curve.ts'
import { plainBytes } from '../lib/bytes.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

/** Whether an account is served; all but `active` say why not. */
export type HostedAccountStatus = 'active' | 'deactivated' | 'suspended' | 'takendown' | 'deleted'

/** The secret of an account. Never to be logged. */
export interface StoredKey {
  readonly curve: Curve
  /** The scalar, 32 bytes. */
  readonly secret: Uint8Array
}

/** The newest commit of an account. CIDs are 36 bytes. */
export interface StoredHead {
  readonly commit: Uint8Array
  readonly data: Uint8Array
}

/** An account of this host. */
export interface HostedAccountRow {
  /** Rises in order of creation. */
  readonly id: number
  readonly did: string
  readonly handle: string | null
  readonly status: HostedAccountStatus
  /** Whether any `#account` event has told of it. */
  readonly announced: boolean
  /**
   * Seq of the event that said that it is not active; null while it is, or when none did. An
   * account that was deleted and has come back keeps that of its deletion until it is inactive
   * again.
   */
  readonly inactiveSeq: number | null
  /** Number under which its blocks and records are; null when there are none. */
  readonly repoId: number | null
  /** The newest rev there ever was, also when the repository is gone. */
  readonly rev: string | null
  /** Null when there is no repository. */
  readonly head: StoredHead | null
  readonly createdAtMs: number
}

/** A record as it stands. `rev` is that of the commit that put it there. */
export interface RecordRow {
  readonly path: string
  readonly cid: Uint8Array
  readonly rev: string
}

/** An event whose effect is in state. `frame` is complete and has `seq` in it. */
export interface OutboxRow {
  readonly seq: number
  readonly kind: 'commit' | 'sync' | 'identity' | 'account'
  readonly did: string
  readonly timeMs: number
  readonly frame: Uint8Array
}

type Row = Readonly<Record<string, unknown>>

const ACCOUNT_COLUMNS =
  'id, did, handle, status, announced, inactive_seq, repo_id, rev, commit_cid, data_cid, ' +
  'created_at_ms'

/** Bytes of a column as a plain array: views of it are taken a lot. */
function bytesOf(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? plainBytes(value) : null
}

function accountOf(row: Row): HostedAccountRow {
  const commit = bytesOf(row['commit_cid'])
  const data = bytesOf(row['data_cid'])
  return {
    id: row['id'] as number,
    did: row['did'] as string,
    handle: row['handle'] as string | null,
    status: row['status'] as HostedAccountStatus,
    announced: row['announced'] === 1,
    inactiveSeq: row['inactive_seq'] as number | null,
    repoId: row['repo_id'] as number | null,
    rev: row['rev'] as string | null,
    head: commit === null || data === null ? null : { commit, data },
    createdAtMs: row['created_at_ms'] as number,
  }
}

/** Tables of a repository host. Calls throw STORE_FAILED when the database fails. */
export class RepoStore {
  readonly #connection: Connection
  readonly #account: Statement
  readonly #updateAccount: Statement
  readonly #repoPage: Statement
  readonly #putRecord: Statement
  readonly #deleteRecord: Statement
  readonly #record: Statement
  readonly #putOutbox: Statement
  readonly #dropOutbox: Statement
  readonly #putSetting: Statement

  constructor(connection: Connection) {
    this.#connection = connection
    const select = `select ${ACCOUNT_COLUMNS} from account`
    this.#account = connection.prepare(`${select} where did = ?`)
    this.#repoPage = connection.prepare(
      `${select} where id > ? and commit_cid is not null and status <> 'deleted'
       order by id limit ?`,
    )
    this.#updateAccount = connection.prepare(
      `update account set handle = ?, status = ?, announced = ?, inactive_seq = ?, repo_id = ?,
         rev = ?, commit_cid = ?, data_cid = ?
       where id = ?`,
    )
    this.#putRecord = connection.prepare(
      'insert or replace into record (repo_id, path, cid, rev) values (?, ?, ?, ?)',
    )
    this.#deleteRecord = connection.prepare('delete from record where repo_id = ? and path = ?')
    this.#record = connection.prepare(
      'select path, cid, rev from record where repo_id = ? and path = ?',
    )
    this.#putOutbox = connection.prepare(
      'insert into outbox (seq, kind, did, time_ms, frame) values (?, ?, ?, ?, ?)',
    )
    this.#dropOutbox = connection.prepare('delete from outbox where seq <= ?')
    this.#putSetting = connection.prepare(
      `insert into setting (name, value) values (?, ?)
       on conflict (name) do update set value = excluded.value`,
    )
  }

  /**
   * Runs `work` in one transaction: all of it is durable when this returns, or none of it happened
   * and what `work` threw comes through. Not to be nested.
   */
  transaction<T>(work: () => T): T {
    guarded('begin transaction', () => this.#connection.exec('BEGIN IMMEDIATE'))
    try {
      const result = work()
      guarded('commit transaction', () => this.#connection.exec('COMMIT'))
      return result
    } catch (error) {
      if (this.#connection.inTransaction) this.#connection.exec('ROLLBACK')
      throw error
    }
  }

  // ---- Accounts

  account(did: string): HostedAccountRow | null {
    const row = guarded('read account', () => this.#account.get(did)) as Row | undefined
    return row === undefined ? null : accountOf(row)
  }

  /** Accounts that have a repository and an id over `after`, by id; deleted ones not. */
  repoPage(after: number, limit: number): HostedAccountRow[] {
    const rows = guarded('list accounts', () => this.#repoPage.all(after, limit)) as Row[]
    return rows.map(accountOf)
  }

  /** Accounts that were inactive or deleted at or after a seq: what replay must leave out. */
  inactiveSince(seq: number): HostedAccountRow[] {
    const rows = guarded('list inactive accounts', () =>
      this.#connection
        .prepare(`select ${ACCOUNT_COLUMNS} from account where inactive_seq >= ?`)
        .all(seq),
    ) as Row[]
    return rows.map(accountOf)
  }

  /** Adds an account that was never here, without a repository. */
  addAccount(
    account: Pick<HostedAccountRow, 'did' | 'handle' | 'status' | 'createdAtMs'>,
  ): HostedAccountRow {
    return guarded('add account', () => {
      const { did, handle, status, createdAtMs } = account
      const row = this.#connection
        .prepare(
          `insert into account (did, handle, status, announced, created_at_ms)
           values (?, ?, ?, 0, ?) returning ${ACCOUNT_COLUMNS}`,
        )
        .get(did, handle, status, createdAtMs) as Row
      return accountOf(row)
    })
  }

  /** Saves everything of an account but its key, DID, id and time of creation. */
  updateAccount(account: HostedAccountRow): void {
    const { id, handle, status, announced, inactiveSeq, repoId, rev, head } = account
    guarded('update account', () =>
      this.#updateAccount.run(
        handle,
        status,
        announced ? 1 : 0,
        inactiveSeq,
        repoId,
        rev,
        head?.commit ?? null,
        head?.data ?? null,
        id,
      ),
    )
  }

  /** The key of an account; null when there is none. */
  key(accountId: number): StoredKey | null {
    const row = guarded('read key', () =>
      this.#connection.prepare('select curve, key from account where id = ?').get(accountId),
    ) as Row | undefined
    const curve = row?.['curve']
    const secret = bytesOf(row?.['key'])
    if (secret === null || (curve !== 'k256' && curve !== 'p256')) return null
    return { curve, secret }
  }

  setKey(accountId: number, key: StoredKey | null): void {
    guarded('save key', () =>
      this.#connection
        .prepare('update account set curve = ?, key = ? where id = ?')
        .run(key?.curve ?? null, key?.secret ?? null, accountId),
    )
  }

  // ---- Repositories

  /** A number for a repository that is yet to be filled. */
  addRepo(state: 'live' | 'importing'): number {
    const { lastInsertRowid } = guarded('add repository', () =>
      this.#connection.prepare('insert into repo (state) values (?)').run(state),
    )
    return Number(lastInsertRowid)
  }

  /** `garbage` marks contents that nothing refers to any more; see {@link sweepRepo}. */
  setRepoState(repoId: number, state: 'live' | 'garbage'): void {
    guarded('mark repository', () =>
      this.#connection.prepare('update repo set state = ? where id = ?').run(state, repoId),
    )
  }

  /** Gives up imports that a crash has interrupted. */
  abandonImports(): void {
    guarded('abandon imports', () =>
      this.#connection.exec("update repo set state = 'garbage' where state = 'importing'"),
    )
  }

  /** A repository to sweep, or null. */
  nextGarbage(): number | null {
    const row = guarded('find garbage', () =>
      this.#connection.prepare("select id from repo where state = 'garbage' limit 1").get(),
    ) as Row | undefined
    return row === undefined ? null : (row['id'] as number)
  }

  /**
   * Removes up to `limit` rows of each kind of a repository that is garbage, and its number when
   * nothing is left.
   *
   * @returns How many rows went; 0 when it is gone.
   */
  sweepRepo(repoId: number, limit: number): number {
    return guarded('sweep repository', () => {
      let swept = 0
      for (const [table, key] of SWEPT_TABLES) {
        const { changes } = this.#connection
          .prepare(
            `delete from ${table} where repo_id = ? and (${key}) in
               (select ${key} from ${table} where repo_id = ? limit ?)`,
          )
          .run(repoId, repoId, limit)
        swept += changes
      }
      if (swept === 0) this.#connection.prepare('delete from repo where id = ?').run(repoId)
      return swept
    })
  }

  record(repoId: number, path: string): RecordRow | null {
    const row = guarded('read record', () => this.#record.get(repoId, path)) as Row | undefined
    if (row === undefined) return null
    const cid = bytesOf(row['cid']) ?? new Uint8Array(0)
    return { path, cid, rev: row['rev'] as string }
  }

  putRecord(repoId: number, record: RecordRow): void {
    guarded('save record', () => this.#putRecord.run(repoId, record.path, record.cid, record.rev))
  }

  deleteRecord(repoId: number, path: string): void {
    guarded('delete record', () => this.#deleteRecord.run(repoId, path))
  }

  /** How many records there are. Counts them one by one: for statistics and tests. */
  recordCount(repoId: number): number {
    const row = guarded('count records', () =>
      this.#connection.prepare('select count(*) as n from record where repo_id = ?').get(repoId),
    ) as Row
    return row['n'] as number
  }

  // ---- Events

  /** Seq of the newest event there ever was; 0 before the first. */
  lastSeq(): number {
    const row = guarded('read last seq', () =>
      this.#connection.prepare("select value from setting where name = 'last_seq'").get(),
    ) as Row | undefined
    return row === undefined ? 0 : (row['value'] as number)
  }

  /** Adds events in order and notes the newest seq. */
  putEvents(events: readonly OutboxRow[]): void {
    const last = events.at(-1)
    if (last === undefined) return
    guarded('save events', () => {
      for (const { seq, kind, did, timeMs, frame } of events) {
        this.#putOutbox.run(seq, kind, did, timeMs, frame)
      }
      this.#putSetting.run('last_seq', last.seq)
    })
  }

  /** Events over `seq`, in order. */
  eventsAfter(seq: number): OutboxRow[] {
    const rows = guarded('read events', () =>
      this.#connection
        .prepare('select seq, kind, did, time_ms, frame from outbox where seq > ? order by seq')
        .all(seq),
    ) as Row[]
    return rows.map((row) => ({
      seq: row['seq'] as number,
      kind: row['kind'] as OutboxRow['kind'],
      did: row['did'] as string,
      timeMs: row['time_ms'] as number,
      frame: bytesOf(row['frame']) ?? new Uint8Array(0),
    }))
  }

  /** Forgets events that the log holds durably. */
  dropEvents(upToSeq: number): void {
    guarded('drop events', () => this.#dropOutbox.run(upToSeq))
  }
}

/** Tables of what belongs to a repository number, and the rest of each one's key. */
const SWEPT_TABLES = [
  ['block', 'cid'],
  ['record', 'path'],
  ['record_blob', 'cid, path'],
] as const
