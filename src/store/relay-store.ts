/**
 * What a relay remembers beside its log: hosts, accounts with their heads, and how far the log has
 * been taken in. One connection, prepared statements, synchronous.
 */
import type { Statement } from 'better-sqlite3'
import { crashPoint } from '../lib/crash-point.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

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

/** An account and the head of its repository. */
export interface AccountRow {
  readonly id: number
  readonly did: string
  readonly hostId: number
  /** As its host says. */
  readonly active: boolean
  readonly status: string | null
  /** Taken down by the operator of this relay. */
  readonly takendown: boolean
  /** Seq of our own at which the account stopped being active; null while it is active. */
  readonly inactiveSeq: number | null
  readonly rev: string | null
  readonly commit: Uint8Array | null
  readonly data: Uint8Array | null
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

/** A copy that is no view of the driver's memory. */
function bytesOf(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? new Uint8Array(value) : null
}

function accountOf(row: Row): AccountRow {
  return {
    id: row['id'] as number,
    did: row['did'] as string,
    hostId: row['host_id'] as number,
    active: row['active'] === 1,
    status: row['status'] as string | null,
    takendown: row['takendown'] === 1,
    inactiveSeq: row['inactive_seq'] as number | null,
    rev: row['rev'] as string | null,
    commit: bytesOf(row['commit_cid']),
    data: bytesOf(row['data_cid']),
  }
}

const HOST_COLUMNS =
  'id, hostname, endpoint, created_at_ms, requested, banned, epoch, cursor, ' +
  'ahead_from_seq, attempt, next_attempt_at_ms, last_event_at_ms'
const ACCOUNT_COLUMNS =
  'id, did, host_id, active, status, takendown, inactive_seq, rev, commit_cid, data_cid'

const UPSERT_ACCOUNT = `
  insert into account (${ACCOUNT_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (did) do update set
    host_id = excluded.host_id, active = excluded.active, status = excluded.status,
    takendown = excluded.takendown, inactive_seq = excluded.inactive_seq, rev = excluded.rev,
    commit_cid = excluded.commit_cid, data_cid = excluded.data_cid`

/** The relay's tables. Calls are synchronous; each throws STORE_FAILED when the database fails. */
export class RelayStore {
  readonly #connection: Connection
  readonly #accountByDid: Statement
  readonly #accountPage: Statement
  readonly #hostPage: Statement
  readonly #putAccount: Statement
  readonly #putProgress: Statement
  readonly #putSetting: Statement

  constructor(connection: Connection) {
    this.#connection = connection
    const select = `select ${ACCOUNT_COLUMNS} from account`
    this.#accountByDid = connection.prepare(`${select} where did = ?`)
    this.#accountPage = connection.prepare(
      `${select} where id > ? and rev is not null order by id limit ?`,
    )
    this.#hostPage = connection.prepare(
      `select ${HOST_COLUMNS} from host where id > ? order by id limit ?`,
    )
    this.#putAccount = connection.prepare(UPSERT_ACCOUNT)
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
    const row = this.#connection.prepare('select max(id) as id from account').get() as Row
    return (row['id'] as number | null) ?? 0
  }

  hosts(): HostRow[] {
    return (this.#hostPage.all(0, -1) as Row[]).map(hostOf)
  }

  /** Hosts with an id over `after`, by id. */
  hostPage(after: number, limit: number): HostRow[] {
    return (this.#hostPage.all(after, limit) as Row[]).map(hostOf)
  }

  /** Active accounts of each host, by host id. */
  activeAccounts(): Map<number, number> {
    const rows = this.#connection
      .prepare('select host_id, count(*) as n from account where active = 1 group by host_id')
      .all() as Row[]
    return new Map(rows.map((row) => [row['host_id'] as number, row['n'] as number]))
  }

  /** Accounts of each host, active or not, by host id. */
  allAccounts(): Map<number, number> {
    const rows = this.#connection
      .prepare('select host_id, count(*) as n from account group by host_id')
      .all() as Row[]
    return new Map(rows.map((row) => [row['host_id'] as number, row['n'] as number]))
  }

  /** How many accounts there are, by whether they are served. */
  accountCounts(): { readonly active: number; readonly inactive: number } {
    const row = this.#connection
      .prepare(
        'select count(*) as n, coalesce(sum(active = 1 and takendown = 0), 0) as active from account',
      )
      .get() as Row
    const active = row['active'] as number
    return { active, inactive: (row['n'] as number) - active }
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
    const row = guarded('read account', () => this.#accountByDid.get(did)) as Row | undefined
    return row === undefined ? null : accountOf(row)
  }

  /** Accounts with a head and an id over `after`, by id. */
  accountPage(after: number, limit: number): AccountRow[] {
    return (this.#accountPage.all(after, limit) as Row[]).map(accountOf)
  }

  /** Accounts that became inactive at or after one of our seqs: what replay must leave out. */
  inactiveSince(seq: number): AccountRow[] {
    const rows = this.#connection
      .prepare(`select ${ACCOUNT_COLUMNS} from account where inactive_seq >= ?`)
      .all(seq) as Row[]
    return rows.map(accountOf)
  }

  /** Takes over what a batch of the log has changed, all or nothing. */
  apply(change: StateChange): void {
    const write = this.#connection.transaction(() => {
      for (const account of change.accounts) this.#writeAccount(account)
      crashPoint('store.rows-written')
      for (const { id, epoch, cursor, aheadFromSeq, lastEventAtMs } of change.hosts) {
        this.#putProgress.run(epoch, cursor, aheadFromSeq, lastEventAtMs, id)
      }
      this.#putSetting.run('applied_seq', change.appliedSeq)
      crashPoint('store.batch-written')
    })
    guarded('save state', write)
    crashPoint('store.committed')
  }

  #writeAccount(account: AccountRow): void {
    this.#putAccount.run(
      account.id,
      account.did,
      account.hostId,
      account.active ? 1 : 0,
      account.status,
      account.takendown ? 1 : 0,
      account.inactiveSeq,
      account.rev,
      account.commit,
      account.data,
    )
  }
}
