/** A RelayView over fixed data, for tests of the HTTP layer. */

import type {
  AccountView,
  CrawlOutcome,
  HostView,
  Page,
  RelayView,
} from '../../relay/relay-view.ts'

export const ALICE = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
export const HEAD = 'bafyreib2rxk3rybk3aobmv5cjuql3bm2twh4jo5uxgf5kpqcsgz7soitae'
export const REV = '3l3qo2vutsw2b'

/** An active account of the id's DID, with `fields` in place. */
export function account(fields: Partial<AccountView> = {}): AccountView {
  return {
    did: ALICE,
    active: true,
    head: HEAD,
    rev: REV,
    pdsEndpoint: 'https://pds.example.com',
    ...fields,
  }
}

export interface FakeView extends RelayView {
  readonly accounts: AccountView[]
  readonly hosts: HostView[]
  readonly located: string[]
  readonly crawled: string[]
  crawlOutcome: CrawlOutcome | Promise<CrawlOutcome>
  homes: Map<string, string>
  healthy: boolean
}

function page<T>(
  items: readonly T[],
  limit: number,
  cursor: string | null,
): Page<T> | 'invalid-cursor' {
  if (cursor !== null && !/^\d+$/.test(cursor)) return 'invalid-cursor'
  const start = Number(cursor ?? 0)
  const end = start + limit
  const slice = items.slice(start, end)
  return end < items.length ? { items: slice, cursor: String(end) } : { items: slice }
}

/** Cursors are offsets; what is asked for is recorded. */
export function fakeView(): FakeView {
  const view: FakeView = {
    accounts: [],
    hosts: [],
    located: [],
    crawled: [],
    crawlOutcome: { kind: 'accepted' },
    homes: new Map(),
    healthy: true,
    async requestCrawl(hostname) {
      view.crawled.push(hostname)
      return await view.crawlOutcome
    },
    listHosts: (limit, cursor) => page(view.hosts, limit, cursor),
    host: (hostname) => view.hosts.find((host) => host.hostname === hostname) ?? null,
    listAccounts: (limit, cursor) => page(view.accounts, limit, cursor),
    account: (did) => view.accounts.find((one) => one.did === did) ?? null,
    async locate(did) {
      view.located.push(did)
      return view.homes.get(did) ?? null
    },
    health: () => (view.healthy ? { ok: true } : { ok: false, detail: 'log: disk full' }),
  }
  return view
}
