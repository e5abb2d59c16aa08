import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cidToString } from '../data/cid.ts'
import { EMPTY_TREE_CID } from '../repo/tree-node.ts'
import { Accounts } from './accounts.ts'
import type { Hosts, HostFactsView } from './hosts.ts'
import { RelayPages } from './relay-pages.ts'
import { accountRow, openMemoryStore } from './testing/fixtures.ts'

const facts = (id: number, cursor: number | null): HostFactsView => ({
  hostname: `h${id}.example.com`,
  status: 'active',
  cursor,
  accounts: id,
  pending: 0,
  lagMs: null,
})

type Listing = ReturnType<RelayPages['accounts' | 'hosts']>

/** Hosts with gaps in their ids. */
function fakeHosts(): Hosts {
  const views = new Map([
    [2, facts(2, null)],
    [3, facts(3, 0)],
    [7, facts(7, 70)],
  ])
  const hosts = {
    *after(after: number) {
      for (const [id, view] of views) if (id > after) yield { id, view }
    },
    byName: (name: string) => [...views.values()].find((v) => v.hostname === name) ?? null,
    link: (id: number) => (views.has(id) ? { endpoint: `https://h${id}.example.com` } : null),
  }
  return hosts as unknown as Hosts
}

test('pages put together are the whole, each as long as asked for', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  const host = memory.addHost('h1.example.com')
  const rows = Array.from({ length: 5 }, (_, i) =>
    accountRow({
      id: i + 1,
      did: `did:plc:${i}`,
      hostId: host.id,
      ...(i === 2 ? {} : { rev: '3kabcdefghijk', commit: EMPTY_TREE_CID, data: EMPTY_TREE_CID }),
    }),
  )
  store.apply({ accounts: rows, hosts: [], appliedSeq: 1 })
  const pages = new RelayPages(store, new Accounts(store), fakeHosts())
  for (const limit of [1, 2, 3, 4, 5, 100]) {
    for (const kind of ['accounts', 'hosts'] as const) {
      const seen: string[] = []
      let cursor: string | null = null
      do {
        const page: Listing = pages[kind](limit, cursor)
        assert.ok(page !== 'invalid-cursor')
        assert.ok(page.items.length <= limit)
        for (const item of page.items) seen.push('did' in item ? item.did : item.hostname)
        assert.ok(page.cursor === undefined || page.items.length === limit)
        cursor = page.cursor ?? null
      } while (cursor !== null)
      const expected =
        kind === 'accounts'
          ? ['did:plc:0', 'did:plc:1', 'did:plc:3', 'did:plc:4']
          : ['h2.example.com', 'h3.example.com', 'h7.example.com']
      assert.deepEqual(seen, expected, `${kind} by ${limit}`)
    }
  }
  for (const cursor of ['', 'x', '-1', '1.5', '9'.repeat(40), "1' or 1"]) {
    assert.equal(pages.accounts(1, cursor), 'invalid-cursor', cursor)
    assert.equal(pages.hosts(1, cursor), 'invalid-cursor', cursor)
  }
  assert.deepEqual(pages.accounts(10, '999999'), { items: [] })
})

test('views show what the lexicons have words for', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  const accounts = new Accounts(store)
  const pages = new RelayPages(store, accounts, fakeHosts())
  const did = 'did:plc:x'
  accounts.put(accountRow({ did, hostId: 7 }))
  const pdsEndpoint = 'https://h7.example.com'
  assert.deepEqual(pages.account(did), { did, active: true, pdsEndpoint })
  const rev = '3kabcdefghijk'
  accounts.put(accountRow({ did, hostId: 7, takendown: true, rev, commit: EMPTY_TREE_CID }))
  const head = cidToString(EMPTY_TREE_CID)
  const status = 'takendown'
  assert.deepEqual(pages.account(did), { did, active: false, status, head, rev, pdsEndpoint })
  accounts.put(accountRow({ did, hostId: 7, active: false, status: 'deactivated' }))
  assert.equal(pages.account(did)?.status, 'deactivated')
  assert.equal(pages.account('did:plc:y'), null)
  assert.equal(pages.host('H7.example.com')?.seq, 70)
  assert.equal(Object.hasOwn(pages.host('h3.example.com') ?? {}, 'seq'), false)
  assert.equal(pages.host('h1.example.com'), null)
})
