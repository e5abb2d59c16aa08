import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { AccountRow } from './account-rows.ts'
import { type Connection, openDatabase } from './database.ts'
import { MIGRATIONS } from './migrations.ts'
import { RelayStore } from './relay-store.ts'
import { RELAY_SCHEMA, type Schema } from './schemas.ts'
import { temporaryFile } from './testing/temporary-file.ts'

const HOSTS = 4

function addHosts(store: RelayStore): void {
  for (let i = 1; i <= HOSTS; i++) {
    const hostname = `pds${i}.example.com`
    const endpoint = `https://${hostname}`
    store.addHost({ hostname, endpoint, createdAtMs: i, requested: false })
  }
}

interface Counted {
  readonly id: number
  readonly all: number
  readonly active: number
  readonly served: number
}

/** Counts the slow way, apart from the code under test. */
function recount(connection: Connection): Counted[] {
  return connection
    .prepare(
      `select host_id as id, count(*) as "all", sum(active = 1) as active,
         sum(active = 1 and takendown = 0) as served
       from account group by host_id order by host_id`,
    )
    .all() as Counted[]
}

function counted(store: RelayStore): Counted[] {
  return [...store.accountCounts()]
    .map(([id, { all, active, served }]) => ({ id, all, active, served }))
    .sort((a, b) => a.id - b.id)
}

const did = (n: number): string => `did:plc:${String(n).padStart(24, 'a')}`

const ROW: fc.Arbitrary<AccountRow> = fc.integer({ min: 1, max: 12 }).chain((id) =>
  fc.record(
    {
      id: fc.constant(id),
      did: fc.constant(did(id)),
      hostId: fc.integer({ min: 1, max: HOSTS }),
      active: fc.boolean(),
      status: fc.constantFrom(null, 'deactivated', 'deleted'),
      takendown: fc.boolean(),
      inactiveSeq: fc.option(fc.integer({ min: 1, max: 1_000 })),
      rev: fc.option(fc.constantFrom('3kabcdefghijk', '3kabcdefghijl')),
      commit: fc.option(fc.uint8Array({ minLength: 36, maxLength: 36 })),
      data: fc.option(fc.uint8Array({ minLength: 36, maxLength: 36 })),
    },
    { noNullPrototype: true },
  ),
)

test('counts stay those of a recount through any changes, and rows are what was put', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(ROW, { maxLength: 8 }), { maxLength: 8 }),
      async (batches) => {
        const database = await openDatabase(':memory:', RELAY_SCHEMA)
        const store = new RelayStore(database.connection)
        addHosts(store)
        const model = new Map<string, AccountRow>()
        for (const accounts of batches) {
          store.apply({ accounts, hosts: [], appliedSeq: 1 })
          for (const account of accounts) model.set(account.did, account)
          assert.deepEqual(counted(store), recount(database.connection))
        }
        for (const [key, row] of model) assert.deepEqual(store.account(key), row)
        assert.equal(
          counted(store).reduce((sum, { all }) => sum + all, 0),
          model.size,
        )
        database.close()
      },
    ),
    { numRuns: 60 },
  )
})

test('a batch that fails leaves the counts as they were', async () => {
  const database = await openDatabase(':memory:', RELAY_SCHEMA)
  const store = new RelayStore(database.connection)
  addHosts(store)
  const [row] = fc.sample(ROW, { numRuns: 1, seed: 1 })
  assert.ok(row !== undefined)
  store.apply({ accounts: [row], hosts: [], appliedSeq: 1 })
  const before = counted(store)
  const accounts = [
    { ...row, hostId: (row.hostId % HOSTS) + 1 },
    { ...row, id: 99, did: did(99), hostId: 77 },
  ]
  assert.throws(() => store.apply({ accounts, hosts: [], appliedSeq: 2 }), /FOREIGN KEY/u)
  assert.deepEqual(counted(store), before)
  assert.deepEqual(store.account(row.did), row)
  database.close()
})

test('a head moves without a page of any other table or index', async () => {
  const database = await openDatabase(':memory:', RELAY_SCHEMA)
  const plan = database.connection
    .prepare('explain query plan update account set rev = ? where id = ? and did = ?')
    .all('', 1, '') as readonly { readonly detail: string }[]
  assert.match(plan.map(({ detail }) => detail).join('\n'), /INTEGER PRIMARY KEY/u)
  const indexes = database.connection
    .prepare("select name from sqlite_master where type = 'index' and tbl_name = 'account'")
    .pluck()
    .all()
  assert.deepEqual(indexes, ['sqlite_autoindex_account_1', 'account_inactive_seq'])
  database.close()
})

const BEFORE_COUNTS: Schema = {
  version: 2,
  migrations: () =>
    Promise.resolve(
      Object.fromEntries(Object.entries(MIGRATIONS).filter(([name]) => name < '0003')),
    ),
}

/** Every row of every table that was there before. */
function contents(connection: Connection): unknown {
  const tables = {
    host:
      'id, hostname, endpoint, created_at_ms, requested, banned, epoch, cursor, ahead_from_seq, ' +
      'attempt, next_attempt_at_ms, last_event_at_ms',
    account: '*',
    identity: '*',
    setting: '*',
  }
  return Object.entries(tables).map(([table, columns]) =>
    connection.prepare(`select ${columns} from ${table} order by 1`).all(),
  )
}

test('a database of the version before keeps everything, and is counted once', async (t) => {
  const file = temporaryFile(t)
  const old = await openDatabase(file, BEFORE_COUNTS)
  const insertHost = old.connection.prepare(
    `insert into host (hostname, endpoint, created_at_ms, requested, banned, epoch, cursor, attempt)
     values (?, ?, ?, ?, ?, 2, 17, 3)`,
  )
  for (let i = 1; i <= HOSTS; i++) {
    insertHost.run(`pds${i}.example.com`, `https://pds${i}.example.com`, i, i % 2, i === 2 ? 1 : 0)
  }
  const insertAccount = old.connection.prepare(
    `insert into account (did, host_id, active, status, takendown, inactive_seq, rev, commit_cid,
       data_cid) values (?, ?, ?, ?, ?, ?, '3kabcdefghijk', ?, ?)`,
  )
  for (let i = 1; i <= 300; i++) {
    const active = i % 5 === 0 ? 0 : 1
    // The last host has no accounts.
    const hostId = (i % (HOSTS - 1)) + 1
    const cids = [new Uint8Array(36).fill(i), new Uint8Array(36).fill(i + 1)]
    const status = active === 1 ? null : 'deactivated'
    insertAccount.run(
      did(i),
      hostId,
      active,
      status,
      i % 7 === 0 ? 1 : 0,
      i % 9 === 0 ? i : null,
      ...cids,
    )
  }
  old.connection
    .prepare('insert into identity (did, curve, key, fetched_at_ms) values (?, ?, ?, 5)')
    .run(did(1), 'k256', new Uint8Array(33).fill(2))
  old.connection.prepare("insert into setting values ('applied_seq', 41)").run()
  const before = contents(old.connection)
  old.close()

  const database = await openDatabase(file, RELAY_SCHEMA)
  t.after(() => database.close())
  const store = new RelayStore(database.connection)
  assert.deepEqual(contents(database.connection), before)
  assert.deepEqual(counted(store), recount(database.connection))
  assert.equal(counted(store).length, HOSTS - 1)
  const kinds = counted(store).reduce(
    (sum, { all, active, served }) => [sum[0] + all, sum[1] + active, sum[2] + served] as const,
    [0, 0, 0] as readonly [number, number, number],
  )
  assert.deepEqual(kinds, [300, 240, 206], 'reckoned by hand: of 240 active ones 34 are taken down')
  assert.equal(store.appliedSeq(), 41)
  assert.equal(store.lastAccountId(), 300)
})
