/**
 * Accounts in SQL, and how many of them each host has. The counts are written in the transaction
 * that changes the accounts, so that a start reads them and never counts.
 */
import type { Statement } from 'better-sqlite3'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

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

/** How many accounts a host has. */
export interface HostAccountCounts {
  readonly all: number
  /** Active as their host says. */
  readonly active: number
  /** Active, and not taken down here. */
  readonly served: number
}

type Row = Readonly<Record<string, unknown>>

/** A column after another, for rows that are read often: by name costs half as much again. */
type Values = readonly unknown[]

const COLUMNS =
  'id, did, host_id, active, status, takendown, inactive_seq, rev, commit_cid, data_cid'

/** A copy that is no view of the driver's memory. */
function bytesOf(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? new Uint8Array(value) : null
}

function accountOf(values: Values): AccountRow {
  const [id, did, hostId, active, status, takendown, inactiveSeq, rev, commit, data] = values
  return {
    id: id as number,
    did: did as string,
    hostId: hostId as number,
    active: active === 1,
    status: status as string | null,
    takendown: takendown === 1,
    inactiveSeq: inactiveSeq as number | null,
    rev: rev as string | null,
    commit: bytesOf(commit),
    data: bytesOf(data),
  }
}

/**
 * All that an everyday commit changes. No column of an index and no foreign key is among them, so
 * that one page is written; whatever else is new, nothing is written and nothing is counted.
 */
const MOVE_HEAD = `
  update account set rev = ?, commit_cid = ?, data_cid = ?
  where id = ? and did = ? and host_id = ? and active = ? and takendown = ?
    and status is ? and inactive_seq is ?`

const UPSERT = `
  insert into account (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (did) do update set
    host_id = excluded.host_id, active = excluded.active, status = excluded.status,
    takendown = excluded.takendown, inactive_seq = excluded.inactive_seq, rev = excluded.rev,
    commit_cid = excluded.commit_cid, data_cid = excluded.data_cid`

const ADD_COUNTS = `
  update host set accounts = accounts + ?, active_accounts = active_accounts + ?,
    served_accounts = served_accounts + ?
  where id = ?`

/** What a batch adds to the counts of hosts, by host. */
class Tally {
  readonly #byHost = new Map<number, { all: number; active: number; served: number }>()

  add(hostId: number, active: boolean, takendown: boolean, by: 1 | -1): void {
    const counts = this.#byHost.get(hostId) ?? { all: 0, active: 0, served: 0 }
    this.#byHost.set(hostId, counts)
    counts.all += by
    if (!active) return
    counts.active += by
    if (!takendown) counts.served += by
  }

  *changes(): Generator<readonly [hostId: number, counts: HostAccountCounts]> {
    for (const change of this.#byHost) {
      const { all, active, served } = change[1]
      if (all !== 0 || active !== 0 || served !== 0) yield change
    }
  }
}

/** The `account` table, and the counts in `host`. Each call throws STORE_FAILED on failure. */
export class AccountRows {
  readonly #connection: Connection
  readonly #byDid: Statement
  readonly #page: Statement
  readonly #moveHead: Statement
  readonly #before: Statement
  readonly #upsert: Statement
  readonly #addCounts: Statement

  constructor(connection: Connection) {
    this.#connection = connection
    const select = `select ${COLUMNS} from account`
    this.#byDid = connection.prepare(`${select} where did = ?`).raw(true)
    this.#page = connection
      .prepare(`${select} where id > ? and rev is not null order by id limit ?`)
      .raw(true)
    this.#moveHead = connection.prepare(MOVE_HEAD)
    this.#before = connection.prepare(
      'select host_id, active, takendown from account where did = ?',
    )
    this.#upsert = connection.prepare(UPSERT)
    this.#addCounts = connection.prepare(ADD_COUNTS)
  }

  get(did: string): AccountRow | null {
    const values = guarded('read account', () => this.#byDid.get(did)) as Values | undefined
    return values === undefined ? null : accountOf(values)
  }

  /** Accounts with a head and an id over `after`, by id. */
  page(after: number, limit: number): AccountRow[] {
    return (this.#page.all(after, limit) as Values[]).map(accountOf)
  }

  /** Accounts that became inactive at or after one of our seqs. */
  inactiveSince(seq: number): AccountRow[] {
    const rows = this.#connection
      .prepare(`select ${COLUMNS} from account where inactive_seq >= ?`)
      .raw(true)
      .all(seq) as Values[]
    return rows.map(accountOf)
  }

  /** The greatest id given out; ids are given by the caller. */
  lastId(): number {
    const row = this.#connection.prepare('select max(id) as id from account').get() as Row
    return (row['id'] as number | null) ?? 0
  }

  /** How many accounts each host has, by host id; hosts without any are left out. */
  counts(): Map<number, HostAccountCounts> {
    const rows = this.#connection
      .prepare(
        'select id, accounts, active_accounts, served_accounts from host where accounts <> 0',
      )
      .raw(true)
      .all() as (readonly [number, number, number, number])[]
    return new Map(rows.map(([id, all, active, served]) => [id, { all, active, served }]))
  }

  /** Replaces rows and moves the counts along. To be called in a transaction of the caller's. */
  put(accounts: Iterable<AccountRow>): void {
    const tally = new Tally()
    for (const account of accounts) if (!this.#putHead(account)) this.#putAll(account, tally)
    for (const [hostId, { all, active, served }] of tally.changes()) {
      this.#addCounts.run(all, active, served, hostId)
    }
  }

  /** False when more has changed than the head, or the account is new. */
  #putHead(account: AccountRow): boolean {
    const { changes } = this.#moveHead.run(
      account.rev,
      account.commit,
      account.data,
      account.id,
      account.did,
      account.hostId,
      account.active ? 1 : 0,
      account.takendown ? 1 : 0,
      account.status,
      account.inactiveSeq,
    )
    return changes === 1
  }

  #putAll(account: AccountRow, tally: Tally): void {
    const { id, did, hostId, active, status, takendown, inactiveSeq, rev, commit, data } = account
    const before = this.#before.get(did) as Row | undefined
    if (before !== undefined) {
      tally.add(before['host_id'] as number, before['active'] === 1, before['takendown'] === 1, -1)
    }
    tally.add(hostId, active, takendown, 1)
    const flags = [active ? 1 : 0, status, takendown ? 1 : 0, inactiveSeq]
    this.#upsert.run(id, did, hostId, ...flags, rev, commit, data)
  }
}
