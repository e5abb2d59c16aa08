/**
 * The state of a large relay, made without a network: a database with accounts, heads, hosts and
 * identities. Accounts come in a random order of their DIDs, as they do in life, so that the index
 * is as full as it would be; identities come in the order of theirs, which fills pages better.
 */
import { toBase32 } from '@atcute/multibase'
import type { PrivateKey } from '../src/crypto/private-key.ts'
import { must } from '../src/lib/assert.ts'
import { seededRandom } from '../src/lib/random.ts'
import { openDatabase, type Connection } from '../src/store/database.ts'
import { RELAY_SCHEMA } from '../src/store/schemas.ts'

/** What a state is made of. */
export interface ScaleState {
  readonly accounts: number
  readonly hosts: number
  /** Accounts that have traffic; spread evenly over all, and over the first of the hosts. */
  readonly signers: number
  /** Hosts that have traffic; the others refuse. */
  readonly activeHosts: number
}

/** What every signer's repository is before its commit. CIDs are 36 bytes. */
export interface SignerHead {
  readonly rev: string
  readonly data: Uint8Array
}

/** Ports of the directory and the hosts with traffic, and those where nobody listens. */
export const FIRST_PORT = 24_700
const REFUSED_FIRST_PORT = 10_001
/** Share of accounts that are not active. */
const INACTIVE_SHARE = 0.02
/** Prime, and no divisor of any number of accounts that is asked for: makes an order of them. */
const STRIDE = 1_000_003
/** Page cache while it is built, KiB: all of the index of DIDs. */
const BUILD_CACHE_KIB = 1_048_576

/** The n-th DID in the order of DIDs, of `accounts`. */
export function didAt(n: number, accounts: number): string {
  const key = Buffer.alloc(15)
  key.writeUIntBE(Math.floor(n * (2 ** 48 / accounts)), 0, 6)
  const mixed = Math.imul(n + 1, 0x9e3779b1) >>> 0
  key.writeUInt32BE(mixed, 6)
  key.writeUInt32BE(Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> 0, 10)
  return `did:plc:${toBase32(key)}`
}

/** Where in the order of DIDs the n-th signer stands. */
export function signerAt(n: number, { accounts, signers }: ScaleState): number {
  return Math.floor((n * accounts) / signers)
}

/** The host of the n-th signer, from 0. */
export function hostOfSigner(n: number, { activeHosts }: ScaleState): number {
  return n % activeHosts
}

/** The endpoint of a host, from 0. */
export function endpointOf(host: number, { activeHosts }: ScaleState): string {
  const port = host < activeHosts ? FIRST_PORT + 1 + host : REFUSED_FIRST_PORT + host
  return `http://localhost:${port}`
}

/** Makes the database; some 10 µs an account. */
export async function buildState(
  file: string,
  state: ScaleState,
  keys: readonly PrivateKey[],
  head: SignerHead,
): Promise<void> {
  const database = await openDatabase(file, RELAY_SCHEMA)
  const { connection } = database
  // Nothing of value, so nothing waits for the disk: if it fails it is made anew.
  connection.pragma('journal_mode = DELETE')
  connection.pragma('synchronous = OFF')
  connection.pragma('foreign_keys = OFF')
  connection.pragma(`cache_size = -${BUILD_CACHE_KIB}`)
  connection.transaction(() => {
    addHosts(connection, state)
    addAccounts(connection, state, head)
    addIdentities(connection, state, keys)
    countAccounts(connection)
  })()
  connection.pragma('journal_mode = WAL')
  database.close()
}

function addHosts(connection: Connection, state: ScaleState): void {
  const add = connection.prepare(
    `insert into host (hostname, endpoint, created_at_ms, requested, cursor, last_event_at_ms)
     values (?, ?, 0, 0, ?, ?)`,
  )
  for (let host = 0; host < state.hosts; host++) {
    const endpoint = endpointOf(host, state)
    const isActive = host < state.activeHosts
    // Hosts with traffic are new to their stream; of the others the newest is the last to speak.
    add.run(endpoint.slice('http://'.length), endpoint, isActive ? null : 1, isActive ? null : host)
  }
}

/** The signer at a place in the order of DIDs, or null. */
function signerOf(place: number, state: ScaleState): number | null {
  const n = Math.ceil((place * state.signers) / state.accounts)
  return n < state.signers && signerAt(n, state) === place ? n : null
}

function hostAt(place: number, state: ScaleState): number {
  const signer = signerOf(place, state)
  if (signer !== null) return hostOfSigner(signer, state)
  const others = state.hosts - state.activeHosts
  return state.activeHosts + ((Math.imul(place + 1, 0x85ebca6b) >>> 0) % others)
}

function addAccounts(connection: Connection, state: ScaleState, head: SignerHead): void {
  const add = connection.prepare(
    `insert into account (did, host_id, active, status, inactive_seq, rev, commit_cid, data_cid)
     values (?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const random = seededRandom(1)
  const someCid = (): Uint8Array => {
    const cid = new Uint8Array(36)
    cid.set([1, 0x71, 0x12, 0x20])
    const words = new DataView(cid.buffer)
    for (let at = 4; at < 36; at += 4) words.setUint32(at, Math.floor(random.next() * 2 ** 32))
    return cid
  }
  for (let i = 0; i < state.accounts; i++) {
    const place = (i * STRIDE) % state.accounts
    const isSigner = signerOf(place, state) !== null
    const isActive = isSigner || random.next() >= INACTIVE_SHARE
    // Seq 0: before all that the log has.
    const status = isActive ? [1, null, null] : [0, 'deactivated', 0]
    const data = isSigner ? head.data : someCid()
    add.run(
      didAt(place, state.accounts),
      hostAt(place, state) + 1,
      ...status,
      head.rev,
      someCid(),
      data,
    )
  }
}

function addIdentities(
  connection: Connection,
  state: ScaleState,
  keys: readonly PrivateKey[],
): void {
  const add = connection.prepare(
    `insert into identity (did, curve, key, endpoint, handle, fetched_at_ms)
     values (?, ?, ?, ?, ?, ?)`,
  )
  const fetchedAtMs = Date.now()
  for (let place = 0; place < state.accounts; place++) {
    const signer = signerOf(place, state) ?? place
    const { publicKey } = must(keys[signer % keys.length], 'key')
    const endpoint = endpointOf(hostAt(place, state), state)
    const handle = `account${place}.example.com`
    add.run(
      didAt(place, state.accounts),
      publicKey.curve,
      publicKey.bytes,
      endpoint,
      handle,
      fetchedAtMs,
    )
  }
}

function countAccounts(connection: Connection): void {
  connection.exec(`
    update host set accounts = counted.n, active_accounts = counted.active,
      served_accounts = counted.active
    from (select host_id, count(*) as n, sum(active) as active from account group by host_id)
      as counted
    where host.id = counted.host_id`)
}
