/**
 * What look-ups and writes of accounts drawn at random cost on the main thread, in a process of its
 * own: `scale-lookups.ts DIRECTORY ACCOUNTS HOSTS`. Prints a line of JSON.
 */
import { join } from 'node:path'
import { createIdentityResolver } from '../src/identity/create-identity-resolver.ts'
import { assert, must } from '../src/lib/assert.ts'
import { seededRandom } from '../src/lib/random.ts'
import { Accounts } from '../src/relay/accounts.ts'
import { Checkpointer } from '../src/store/checkpointer.ts'
import { openDatabase } from '../src/store/database.ts'
import { IdentityRows } from '../src/store/identity-rows.ts'
import { type AccountRow, RelayStore } from '../src/store/relay-store.ts'
import { RELAY_SCHEMA } from '../src/store/schemas.ts'
import { didAt } from './scale-state.ts'

/** Microseconds each, of CPU of all threads and of the clock. */
export interface LookupCost {
  readonly cpuUs: number
  readonly wallUs: number
}

export interface LookupFindings {
  /** First look-ups in this process: the database's pages are in the system's cache at best. */
  readonly accountFirst: LookupCost
  /** After a hundred thousand others: the upper pages are at hand, the row is not. */
  readonly accountCold: LookupCost
  readonly accountWarm: LookupCost
  readonly identityCold: LookupCost
  readonly identityWarm: LookupCost
  /** An account's new head within a batch of `BATCH`; checkpoints go on beside it. */
  readonly upsert: LookupCost
  readonly batchMedianMs: number
  readonly batchLongestMs: number
  readonly batches: number
  readonly passes: number
}

const FIRST = 2_000
const WARM_UP = 100_000
const MEASURED = 20_000
const BATCH = 512
const BATCHES = 200

const [directory, accountsText] = process.argv.slice(2)
const accountCount = Number(accountsText)
const file = join(must(directory, 'directory'), 'state.sqlite')
const random = seededRandom(process.pid)
const drawn = (count: number): string[] =>
  Array.from({ length: count }, () => didAt(Math.floor(random.next() * accountCount), accountCount))

function costOfEach<T>(items: readonly T[], work: (item: T) => unknown): LookupCost {
  const cpu = process.cpuUsage()
  const wall = performance.now()
  for (const item of items) work(item)
  const wallUs = (performance.now() - wall) * 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { cpuUs: (user + system) / items.length, wallUs: wallUs / items.length }
}

const database = await openDatabase(file, RELAY_SCHEMA)
const { connection } = database
let passes = 0
const checkpointer = new Checkpointer({ file, connection, onPass: () => void passes++ })
const store = new RelayStore(connection, () => checkpointer.note())
const accounts = new Accounts(store)
await using identities = createIdentityResolver({
  userAgent: 'bench',
  plcDirectories: ['http://127.0.0.1:1'],
  store: new IdentityRows(connection),
})

const account = (did: string): AccountRow => must(accounts.get(did), 'account')
const identity = (did: string): unknown => must(identities.peek(did), 'identity')
const accountFirst = costOfEach(drawn(FIRST), account)
for (const did of drawn(WARM_UP)) account(did)
const dids = drawn(MEASURED)
const accountCold = costOfEach(dids, account)
const accountWarm = costOfEach(dids, account)
for (const did of drawn(WARM_UP)) identity(did)
const identityCold = costOfEach(dids, identity)
const identityWarm = costOfEach(dids, identity)

const took: number[] = []
const batches: AccountRow[][] = []
for (let i = 0; i < BATCHES; i++) {
  batches.push(drawn(BATCH).map((did) => Object.assign(account(did), { rev: '3mzzzzzzzzzz2' })))
}
const appliedSeq = store.appliedSeq()
const cpu = process.cpuUsage()
for (const rows of batches) {
  const startedMs = performance.now()
  store.apply({ accounts: rows, hosts: [], appliedSeq })
  took.push(performance.now() - startedMs)
  // As in the relay, where the log is written between two batches.
  await new Promise((resolve) => setImmediate(resolve))
}
const { user, system } = process.cpuUsage(cpu)
assert(took.length === BATCHES, 'all batches were written')
const events = BATCH * BATCHES
const sorted = took.toSorted((a, b) => a - b)
await checkpointer.close()
database.close()
const findings: LookupFindings = {
  accountFirst,
  accountCold,
  accountWarm,
  identityCold,
  identityWarm,
  upsert: {
    cpuUs: (user + system) / events,
    wallUs: (took.reduce((sum, ms) => sum + ms, 0) * 1_000) / events,
  },
  batchMedianMs: must(sorted[sorted.length >> 1], 'batch'),
  batchLongestMs: must(sorted.at(-1), 'batch'),
  batches: BATCHES,
  passes,
}
process.stdout.write(`${JSON.stringify(findings)}\n`)
