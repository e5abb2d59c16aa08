/** Hosts and accounts as listings show them, a page at a time. */
import { cidToString } from '../data/cid.ts'
import type { AccountRow, RelayStore } from '../store/relay-store.ts'
import type { Accounts } from './accounts.ts'
import type { Hosts, HostFactsView } from './hosts.ts'
import type { AccountView, HostView, Page } from './relay-view.ts'

/** Cursors are the last id of the page before, in decimal. */
function idOf(cursor: string | null): number | null {
  if (cursor === null) return 0
  if (!/^\d{1,15}$/u.test(cursor)) return null
  return Number(cursor)
}

/** Builds views; reads only. */
export class RelayPages {
  readonly #store: RelayStore
  readonly #accounts: Accounts
  readonly #hosts: Hosts

  constructor(store: RelayStore, accounts: Accounts, hosts: Hosts) {
    this.#store = store
    this.#accounts = accounts
    this.#hosts = hosts
  }

  hosts(limit: number, cursor: string | null): Page<HostView> | 'invalid-cursor' {
    const after = idOf(cursor)
    if (after === null) return 'invalid-cursor'
    const items: HostView[] = []
    let last = after
    for (const { id, view } of this.#hosts.after(after)) {
      if (items.length === limit) return { items, cursor: String(last) }
      items.push(hostView(view))
      last = id
    }
    return { items }
  }

  host(hostname: string): HostView | null {
    const facts = this.#hosts.byName(hostname.toLowerCase())
    return facts === null ? null : hostView(facts)
  }

  accounts(limit: number, cursor: string | null): Page<AccountView> | 'invalid-cursor' {
    const after = idOf(cursor)
    if (after === null) return 'invalid-cursor'
    const rows = this.#store.accountPage(after, limit + 1)
    const items = rows.slice(0, limit).map((row) => this.#accountView(row))
    const last = rows[limit - 1]
    return rows.length > limit && last !== undefined
      ? { items, cursor: String(last.id) }
      : { items }
  }

  account(did: string): AccountView | null {
    const row = this.#accounts.get(did)
    return row === null ? null : this.#accountView(row)
  }

  #accountView(row: AccountRow): AccountView {
    const active = row.active && !row.takendown
    const status = row.takendown ? 'takendown' : row.status
    return {
      did: row.did,
      active,
      ...(status === null ? {} : { status }),
      ...(row.commit === null ? {} : { head: cidToString(row.commit) }),
      ...(row.rev === null ? {} : { rev: row.rev }),
      pdsEndpoint: this.#hosts.link(row.hostId)?.endpoint ?? '',
    }
  }
}

function hostView({ hostname, status, cursor, accounts }: HostFactsView): HostView {
  return {
    hostname,
    status,
    accountCount: accounts,
    ...(cursor === null || cursor === 0 ? {} : { seq: cursor }),
  }
}
