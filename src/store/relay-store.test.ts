import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { SkeinError } from '../lib/errors.ts'
import { openDatabase } from './database.ts'
import { IdentityRows } from './identity-rows.ts'
import { RelayStore, type AccountRow } from './relay-store.ts'
import { HOST_SCHEMA, RELAY_SCHEMA } from './schemas.ts'
import { temporaryFile } from './testing/temporary-file.ts'

const account = (id: number, more: Partial<AccountRow> = {}): AccountRow => ({
  id,
  did: `did:plc:${String(id).padStart(24, 'a')}`,
  hostId: 1,
  active: true,
  status: null,
  takendown: false,
  inactiveSeq: null,
  rev: '3kabcdefghijk',
  commit: Uint8Array.of(1, 2),
  data: Uint8Array.of(3, 4),
  ...more,
})

test('the version of a schema is the number of its migrations', async () => {
  for (const schema of [RELAY_SCHEMA, HOST_SCHEMA]) {
    assert.equal(schema.version, Object.keys(await schema.migrations()).length)
  }
})

test('what a batch changed is there after reopening, all of it', async (t) => {
  const file = temporaryFile(t)
  const first = await openDatabase(file, RELAY_SCHEMA)
  const store = new RelayStore(first.connection)
  const host = store.addHost({
    hostname: 'pds.example.com',
    endpoint: 'https://pds.example.com',
    createdAtMs: 1_000,
    requested: true,
  })
  const rows = [
    account(1),
    account(2, { rev: null }),
    account(3, { active: false, status: 'deleted', inactiveSeq: 7 }),
  ]
  store.apply({
    accounts: rows,
    hosts: [{ id: host.id, epoch: 2, cursor: 55, aheadFromSeq: 6, lastEventAtMs: 9 }],
    appliedSeq: 8,
  })
  store.setBackoff(host.id, 4, 77)
  first.close()

  const second = await openDatabase(file, RELAY_SCHEMA)
  t.after(() => second.close())
  const again = new RelayStore(second.connection)
  assert.equal(again.appliedSeq(), 8)
  const expectedHost = {
    ...host,
    epoch: 2,
    cursor: 55,
    aheadFromSeq: 6,
    lastEventAtMs: 9,
    attempt: 4,
    nextAttemptAtMs: 77,
  }
  assert.deepEqual(again.hosts(), [expectedHost])
  for (const row of rows) assert.deepEqual(again.account(row.did), row)
  assert.equal(again.account('did:plc:unknown'), null)
  assert.equal(again.lastAccountId(), 3)
  assert.deepEqual([...again.accountCounts()], [[host.id, { all: 3, active: 2, served: 2 }]])
  assert.deepEqual(
    again.inactiveSince(7).map((row) => row.id),
    [3],
  )
  assert.deepEqual(again.inactiveSince(8), [])
  assert.deepEqual(
    again.accountPage(0, 10).map((row) => row.id),
    [1, 3],
    'only accounts with a head',
  )
  assert.deepEqual(
    again.accountPage(1, 10).map((row) => row.id),
    [3],
  )
  assert.equal(again.requestedHostsSince(999), 1)
  assert.equal(again.requestedHostsSince(1_000), 0)
})

test('an account that is there already is replaced in all that can change', async (t) => {
  const database = await openDatabase(temporaryFile(t), RELAY_SCHEMA)
  t.after(() => database.close())
  const store = new RelayStore(database.connection)
  for (const hostname of ['a.example', 'b.example']) {
    const host = { hostname, endpoint: `https://${hostname}`, createdAtMs: 0, requested: false }
    store.addHost(host)
  }
  const before = account(1)
  const after: AccountRow = {
    ...before,
    hostId: 2,
    active: false,
    status: 'suspended',
    takendown: true,
    inactiveSeq: 5,
    rev: '3kabcdefghijl',
    commit: Uint8Array.of(5, 6),
    data: Uint8Array.of(7, 8),
  }
  // Id and DID are what an account is known by; everything else is another in `after`.
  const kept = Object.entries(before).filter(([name, value]) =>
    Object.is(after[name as 'did'], value),
  )
  assert.deepEqual(
    kept.map(([name]) => name),
    ['id', 'did'],
  )
  for (const row of [before, after, before]) {
    store.apply({ accounts: [row], hosts: [], appliedSeq: 1 })
    assert.deepEqual(store.account(row.did), row)
  }
})

test('I9: hosts that the operator names do not count against those of a day', async (t) => {
  const database = await openDatabase(temporaryFile(t), RELAY_SCHEMA)
  t.after(() => database.close())
  const store = new RelayStore(database.connection)
  for (const [name, requested] of [
    ['a', false],
    ['b', true],
    ['c', false],
  ] as const) {
    const hostname = `${name}.example`
    store.addHost({ hostname, endpoint: `https://${hostname}`, createdAtMs: 1_000, requested })
  }
  assert.equal(store.requestedHostsSince(999), 1)
})

test('a batch that fails half-way changes nothing', async (t) => {
  const database = await openDatabase(temporaryFile(t), RELAY_SCHEMA)
  t.after(() => database.close())
  const { connection } = database
  const store = new RelayStore(connection)
  store.addHost({
    hostname: 'a.example',
    endpoint: 'https://a.example',
    createdAtMs: 0,
    requested: false,
  })
  const accounts = [account(1), account(2, { hostId: 99 })]
  assert.throws(() => store.apply({ accounts, hosts: [], appliedSeq: 3 }), /FOREIGN KEY/u)
  assert.equal(store.account(account(1).did), null)
  assert.equal(store.appliedSeq(), 0)
})

test('identities keep their key, and rows without one', async (t) => {
  const database = await openDatabase(temporaryFile(t), RELAY_SCHEMA)
  t.after(() => database.close())
  const { connection } = database
  const rows = new IdentityRows(connection)
  const row = {
    did: 'did:plc:a',
    key: { curve: 'p256' as const, bytes: new Uint8Array(33).fill(5) },
    pdsEndpoint: 'https://a.example',
    handle: null,
    fetchedAtMs: 12,
  }
  rows.put(row)
  assert.deepEqual(rows.get('did:plc:a'), row)
  rows.put({ ...row, key: null })
  assert.deepEqual(rows.get('did:plc:a'), { ...row, key: null })
  rows.delete('did:plc:a')
  assert.equal(rows.get('did:plc:a'), undefined)
})

test('a newer or foreign file is refused with a reason', async (t) => {
  const file = temporaryFile(t)
  const database = await openDatabase(file, RELAY_SCHEMA)
  database.connection.pragma(`user_version = ${RELAY_SCHEMA.version + 1}`)
  database.close()
  await assert.rejects(openDatabase(file, RELAY_SCHEMA), (error: unknown) => {
    return error instanceof SkeinError && error.code === 'STORE_TOO_NEW'
  })
  const other = temporaryFile(t)
  writeFileSync(other, 'this is no database, but it is long enough to look like one to a reader')
  await assert.rejects(openDatabase(other, RELAY_SCHEMA), (error: unknown) => {
    return error instanceof SkeinError && error.code === 'STORE_FAILED'
  })
})
