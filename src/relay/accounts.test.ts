import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccountRow } from '../store/relay-store.ts'
import { Accounts } from './accounts.ts'
import { accountRow, openMemoryStore } from './testing/fixtures.ts'

const rowOf = (id: number, hostId: number): AccountRow =>
  accountRow({ id, did: `did:plc:${id}`, hostId })

test('a row that the store does not hold yet is the account’s state until it does', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  const host = memory.addHost('a.example.com')
  const accounts = new Accounts(store)
  const first = accounts.fresh('did:plc:new', host.id)
  assert.equal(accounts.get('did:plc:new'), null, 'fresh rows are not kept')
  accounts.put(first)
  const second = { ...first, rev: '3kabcdefghijk' }
  accounts.put(second)
  assert.equal(accounts.get('did:plc:new'), second)
  store.apply({ accounts: [first], hosts: [], appliedSeq: 1 })
  accounts.release('did:plc:new')
  assert.equal(accounts.get('did:plc:new'), second, 'the store is one batch behind')
  store.apply({ accounts: [second], hosts: [], appliedSeq: 2 })
  accounts.release('did:plc:new')
  accounts.release('did:plc:new')
  assert.deepEqual(accounts.get('did:plc:new'), second)
  assert.deepEqual(new Accounts(store).get('did:plc:new'), second)
})

test('a row that two batches carry stays until the second is stored, however full the cache', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  const host = memory.addHost('a.example.com')
  const accounts = new Accounts(store, 1)
  const first = rowOf(1, host.id)
  const second = { ...first, rev: '3kabcdefghijk' }
  for (const row of [first, second]) accounts.put(row)
  store.apply({ accounts: [first, rowOf(2, host.id)], hosts: [], appliedSeq: 1 })
  accounts.release(first.did)
  assert.deepEqual(accounts.get('did:plc:2'), rowOf(2, host.id), 'takes the only place there is')
  assert.deepEqual(accounts.get(first.did), second)
})

test('ids are given once', async () => {
  using memory = await openMemoryStore()
  memory.addHost('a.example.com')
  const accounts = new Accounts(memory.store)
  const ids = ['a', 'b', 'c'].map((name) => {
    const row = accounts.fresh(`did:plc:${name}`, 1)
    accounts.put(row)
    return row.id
  })
  assert.deepEqual(ids, [1, 2, 3])
  const rows = ['a', 'b', 'c'].flatMap((name) => accounts.get(`did:plc:${name}`) ?? [])
  memory.store.apply({ accounts: rows, hosts: [], appliedSeq: 3 })
  assert.equal(new Accounts(memory.store).fresh('did:plc:d', 1).id, 4)
})

test('accounts are counted by host and by whether they are served, also after a restart', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  const [a, b] = [memory.addHost('a.example.com'), memory.addHost('b.example.com')]
  const accounts = new Accounts(store)
  for (const each of [rowOf(1, a.id), rowOf(2, a.id), rowOf(3, b.id)]) accounts.put(each)
  accounts.put({ ...rowOf(2, a.id), active: false, inactiveSeq: 9 })
  accounts.put({ ...rowOf(3, b.id), takendown: true, inactiveSeq: 9 })
  accounts.replace(rowOf(1, b.id))
  const check = (counted: Accounts): void => {
    assert.deepEqual([counted.activeOf(a.id), counted.activeOf(b.id)], [0, 2])
    assert.deepEqual([counted.allOf(a.id), counted.allOf(b.id)], [1, 2])
    assert.deepEqual(counted.counts(), { active: 1, inactive: 2 })
  }
  check(accounts)
  const rows = [1, 2, 3].flatMap((id) => accounts.get(`did:plc:${id}`) ?? [])
  store.apply({ accounts: rows, hosts: [], appliedSeq: 1 })
  check(new Accounts(store))
})
