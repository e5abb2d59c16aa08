/** Compares what the relay answers over HTTP with what the PDSes answer, account by account. */

import { readCarWithRoot } from '@atproto/repo'

import type { Json } from '../net/xrpc.ts'
import { query, XrpcError } from '../net/xrpc.ts'
import type { Account, Scene } from '../scenario/scene.ts'
import type { Head } from '../world/pds.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'
import { listAll } from './listings.ts'

/** Small, so that the listings take several pages. */
const PAGE_LIMIT = 3
const CALL_TIMEOUT_MS = 10_000

/** What an account is by its PDS; for a deleted one, by what the scenario did to it. */
interface Truth {
  readonly account: Account
  readonly active: boolean
  readonly status: string | null
  /** Null for a deleted account, of which the PDS knows nothing more. */
  readonly head: Head | null
}

/** All checks of the relay's HTTP interface. `when` tells one round of them from another. */
export async function checkHttp(relay: string, scene: Scene, when: string): Promise<Check[]> {
  const truths = await Promise.all(scene.accounts.map(truthOf))
  const check = (name: string, look: () => Promise<string[]>): Promise<Check> =>
    runCheck(`${name} (${when})`, look)
  return [
    await check('_health answers 200', () => health(relay)),
    await check('listHosts names all PDSes as active', () => listHosts(relay, scene)),
    await check('listRepos agrees with the PDSes', () => listRepos(relay, truths)),
    await check('getRepoStatus agrees with the PDSes', () =>
      each(truths, (truth) => repoStatus(relay, truth)),
    ),
    await check('getLatestCommit agrees with the PDSes', () =>
      each(truths, (truth) => latestCommit(relay, truth)),
    ),
    await check('getRepo redirects to the current PDS, which serves the head', () =>
      each(
        truths.filter((truth) => truth.active),
        (truth) => repo(relay, truth),
      ),
    ),
  ]
}

async function each(
  truths: readonly Truth[],
  look: (truth: Truth) => Promise<string[]>,
): Promise<string[]> {
  const faults = await Promise.all(
    truths.map(async (truth) => {
      const found = await look(truth)
      return found.map((fault) => `${truth.account.name}: ${fault}`)
    }),
  )
  return faults.flat()
}

async function truthOf(account: Account): Promise<Truth> {
  if (account.deleted) return { account, active: false, status: 'deleted', head: null }
  const { home, did } = account
  const params = { did }
  const status = await query(home.origin, 'com.atproto.sync.getRepoStatus', { params })
  return {
    account,
    active: status['active'] === true,
    status: typeof status['status'] === 'string' ? status['status'] : null,
    head: await home.head(did),
  }
}

async function health(relay: string): Promise<string[]> {
  const response = await get(`${relay}/xrpc/_health`)
  await response.body?.cancel()
  return response.status === 200 ? [] : [`it answers ${response.status}`]
}

async function listHosts(relay: string, scene: Scene): Promise<string[]> {
  const hosts = await listAll(relay, 'com.atproto.sync.listHosts', 'hosts', 1)
  return Object.values(scene.world.pdses).flatMap(({ host }) => {
    const listed = hosts.filter((entry) => entry['hostname'] === host)
    if (listed.length !== 1) return [`${host} is listed ${listed.length} times`]
    const status = listed[0]?.['status']
    return status === 'active' ? [] : [`${host} is ${String(status)}`]
  })
}

async function listRepos(relay: string, truths: readonly Truth[]): Promise<string[]> {
  const repos = await listAll(relay, 'com.atproto.sync.listRepos', 'repos', PAGE_LIMIT)
  const faults: string[] = []
  for (const truth of truths) {
    const { account } = truth
    const listed = repos.filter((entry) => entry['did'] === account.did)
    const [entry] = listed
    if (listed.length > 1) faults.push(`${account.name} is listed ${listed.length} times`)
    if (entry !== undefined) faults.push(...differences(account.name, truth, entry, 'head'))
    // A relay need not keep the repositories of accounts that are gone.
    else if (!account.deleted) faults.push(`${account.name} is not listed`)
  }
  const known = new Set<string>(truths.map((truth) => truth.account.did))
  for (const entry of repos) {
    if (!known.has(String(entry['did']))) faults.push(`${String(entry['did'])} is unknown`)
  }
  return faults
}

async function repoStatus(relay: string, truth: Truth): Promise<string[]> {
  const params = { did: truth.account.did }
  const answer = await query(relay, 'com.atproto.sync.getRepoStatus', { params })
  return differences('it', truth, answer, null)
}

/** `headField` names the field that holds the head's CID; null when the answer has none. */
function differences(who: string, truth: Truth, answer: Json, headField: string | null): string[] {
  const faults: string[] = []
  const expect = (field: string, wanted: unknown): void => {
    const found = answer[field]
    if (found !== wanted) faults.push(`${who} has ${field} ${String(found)}, not ${String(wanted)}`)
  }
  expect('active', truth.active)
  if (truth.status !== null) expect('status', truth.status)
  if (truth.head === null) return faults
  // The rev of an inactive account may be withheld.
  if (truth.active || answer['rev'] !== undefined) expect('rev', truth.head.rev)
  if (headField !== null) expect(headField, truth.head.cid)
  return faults
}

async function latestCommit(relay: string, truth: Truth): Promise<string[]> {
  const params = { did: truth.account.did }
  const nsid = 'com.atproto.sync.getLatestCommit'
  try {
    const answer = await query(relay, nsid, { params })
    if (!truth.active || truth.head === null) return ['it is answered though it is not active']
    const same = answer['cid'] === truth.head.cid && answer['rev'] === truth.head.rev
    return same ? [] : [`${String(answer['cid'])} ${String(answer['rev'])} is not the head`]
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error
    const refused = !truth.active && error.errorName.startsWith('Repo')
    return refused ? [] : [error.message]
  }
}

async function repo(relay: string, truth: Truth): Promise<string[]> {
  const { account, head } = truth
  const url = `${relay}/xrpc/com.atproto.sync.getRepo?did=${encodeURIComponent(account.did)}`
  const redirect = await get(url)
  await redirect.body?.cancel()
  const location = redirect.headers.get('location') ?? ''
  if (redirect.status !== 302) return [`getRepo answers ${redirect.status}`]
  if (new URL(location, relay).origin !== account.home.origin) return [`it points to ${location}`]
  const response = await get(location)
  const car = await readCarWithRoot(new Uint8Array(await response.arrayBuffer()))
  return car.root.toString() === head?.cid ? [] : [`the CAR's root is ${car.root.toString()}`]
}

function get(url: string): Promise<Response> {
  return fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(CALL_TIMEOUT_MS) })
}
