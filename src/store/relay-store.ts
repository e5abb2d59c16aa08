/**
 * What a relay remembers beside its log: hosts, accounts with their heads, and how far the log has
 * been taken in. One connection, prepared statements, synchronous.
 */
import type { Statement } from 'better-sqlite3'
import { crashPoint } from '../lib/crash-point.ts'
import { type AccountRow, AccountRows, type HostAccountCounts } from './account-rows.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

export type { AccountRow, HostAccountCounts } from './account-rows.ts'

/** A host to subscribe to. */
export interface HostRow {
  readonly id: number
  /** `host` or `host:port`, lower case. */
  readonly hostname: string
  /** `https://host`. */
  readonly endpoint: string
  readonly createdAtMs: number
  /** True when it came by requestCrawl and counts against the limit of new hosts a day. */
  readonly requested: boolean
  readonly banned: boolean
  /** Rises when the host's sequence starts anew. */
  readonly epoch: number
  /**
   * Seq of the host, in its epoch, up to which every event has been decided; null before the first.
   */
  readonly cursor: number | null
  /**
   * The least of our own seqs among its events over the cursor that the log holds; null when there
   * are none.
   */
  readonly aheadFromSeq: number | null
  /** Where reconnecting stands. */
  readonly attempt: number
  readonly nextAttemptAtMs: number | null
  readonly lastEventAtMs: number | null
}

/** The part of a host that changes with every batch. */
export interface HostProgress {
  readonly id: number
  readonly epoch: number
  readonly cursor: number | null
  readonly aheadFromSeq: number | null
  readonly lastEventAtMs: number | null
}

/** What one batch of the log changes. */
export interface StateChange {
  readonly accounts: Iterable<AccountRow>
  readonly hosts: Iterable<HostProgress>
  /** Seq up to which the log has been taken in. */
  readonly appliedSeq: number
}

type Row = Readonly<Record<string, unknown>>

function hostOf(row: Row): HostRow {
  return {
    id: row['id'] as number,
    hostname: row['hostname'] as string,
    endpoint: row['endpoint'] as string,
    createdAtMs: row['created_at_ms'] as number,
    requested: row['requested'] === 1,
    banned: row['banned'] === 1,
    epoch: row['epoch'] as number,
    cursor: row['cursor'] as number | null,
    aheadFromSeq: row['ahead_from_seq'] as number | null,
    attempt: row['attempt'] as number,
    nextAttemptAtMs: row['next_attempt_at_ms'] as number | null,
    lastEventAtMs: row['last_event_at_ms'] as number | null,
  }
}

const HOST_COLUMNS =
  'id, hostname, endpoint, created_at_ms, requested, banned, epoch, cursor, ' +
  'ahead_from_seq, attempt, next_attempt_at_ms, last_event_at_ms'

/** The relay's tables. Calls are synchronous; each throws STORE_FAILED when the database fails. */
export class RelayStore {
  readonly #connection: Connection
  readonly #accounts: AccountRows
  readonly #onApplied: () => void
  readonly #hostPage: Statement
  readonly #putProgress: Statement
  readonly #putSetting: Statement

  /** @param onApplied Called after each batch that has been written. Must not throw. */
  constructor(connection: Connection, onApplied: () => void = () => undefined) {
    this.#connection = connection
    this.#accounts = new AccountRows(connection)
    this.#onApplied = onApplied
    this.#hostPage = connection.prepare(
      `select ${HOST_COLUMNS} from host where id > ? order by id limit ?`,
    )
    this.#putProgress = connection.prepare(
      'update host set epoch = ?, cursor = ?, ahead_from_seq = ?, last_event_at_ms = ? where id = ?',
    )
    this.#putSetting = connection.prepare(
      'insert into setting (name, value) values (?, ?) on conflict (name) do update set value = excluded.value',
    )
  }

  /** Seq up to which the log has been taken in; 0 at first. */
  appliedSeq(): number {
    const row = this.#connection
      .prepare("select value from setting where name = 'applied_seq'")
      .get() as Row | undefined
    return row === undefined ? 0 : (row['value'] as number)
  }

  /** The greatest account id given out; ids are given by the caller. */
  lastAccountId(): number {
    return this.#accounts.lastId()
  }

  hosts(): HostRow[] {
    return (this.#hostPage.all(0, -1) as Row[]).map(hostOf)
  }

  /** Hosts with an id over `after`, by id. */
  hostPage(after: number, limit: number): HostRow[] {
    return (this.#hostPage.all(after, limit) as Row[]).map(hostOf)
  }

  /** How many accounts each host has, by host id: read, not counted. */
  accountCounts(): Map<number, HostAccountCounts> {
    return this.#accounts.counts()
  }

  /** Hosts that came by request since `sinceMs`. */
  requestedHostsSince(sinceMs: number): number {
    const row = this.#connection
      .prepare('select count(*) as n from host where requested = 1 and created_at_ms > ?')
      .get(sinceMs) as Row
    return row['n'] as number
  }

  /**
   * Adds a host and makes it durable at once: the log will name it by id, and an id must never come
   * to mean another host.
   */
  addHost(host: Pick<HostRow, 'hostname' | 'endpoint' | 'createdAtMs' | 'requested'>): HostRow {
    const added = guarded('add host', () => {
      this.#connection.pragma('synchronous = FULL')
      try {
        const row = this.#connection
          .prepare(
            `insert into host (hostname, endpoint, created_at_ms, requested) values (?, ?, ?, ?)
             returning ${HOST_COLUMNS}`,
          )
          .get(host.hostname, host.endpoint, host.createdAtMs, host.requested ? 1 : 0) as Row
        return hostOf(row)
      } finally {
        this.#connection.pragma('synchronous = NORMAL')
      }
    })
    crashPoint('store.host-added')
    return added
  }

  setBanned(hostId: number, banned: 'banned' | 'allowed'): void {
    guarded('ban host', () =>
      this.#connection
        .prepare('update host set banned = ? where id = ?')
        .run(banned === 'banned' ? 1 : 0, hostId),
    )
  }

  setBackoff(hostId: number, attempt: number, nextAttemptAtMs: number | null): void {
    guarded('save backoff', () =>
      this.#connection
        .prepare('update host set attempt = ?, next_attempt_at_ms = ? where id = ?')
        .run(attempt, nextAttemptAtMs, hostId),
    )
  }

  account(did: string): AccountRow | null {
    return this.#accounts.get(did)
  }

  /** Accounts with a head and an id over `after`, by id. */
  accountPage(after: number, limit: number): AccountRow[] {
    return this.#accounts.page(after, limit)
  }

  /** Accounts that became inactive at or after one of our seqs: what replay must leave out. */
  inactiveSince(seq: number): AccountRow[] {
    return this.#accounts.inactiveSince(seq)
  }

  /** Takes over what a batch of the log has changed, all or nothing. */
  apply(change: StateChange): void {
    const write = this.#connection.transaction(() => {
      this.#accounts.put(change.accounts)
      crashPoint('store.rows-written')
      for (const { id, epoch, cursor, aheadFromSeq, lastEventAtMs } of change.hosts) {
        this.#putProgress.run(epoch, cursor, aheadFromSeq, lastEventAtMs, id)
      }
      this.#putSetting.run('applied_seq', change.appliedSeq)
      crashPoint('store.batch-written')
    })
    guarded('save state', write)
    crashPoint('store.committed')
    this.#onApplied()
  }
}
