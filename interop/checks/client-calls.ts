/**
 * Skein's client beside plain fetch: every call of `com.atproto.sync` at the real PDSes, at the
 * repository host and at the relay gives what the service sent.
 */

import { readCarWithRoot } from '@atproto/repo'

import type { CallOptions } from '../../src/client/calls/client-options.ts'
import type { ByteStream } from '../../src/client/calls/byte-stream.ts'
import type { SyncClient } from '../../src/client/calls/sync-client.ts'
import { canonicalText } from '../clients/canonical.ts'
import { query, queryBytes } from '../net/xrpc.ts'
import type { Account, Scene } from '../scenario/scene.ts'
import { clientOf, listOf } from '../skein-client/caller.ts'
import { Recorder } from '../streams/recorder.ts'
import { sleep, waitUntil } from '../net/wait.ts'
import { PDS_NAMES } from '../world/pds.ts'
import { listBlobs } from './blobs.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'
import { activeAccounts, listAll } from './listings.ts'

const SYNC = 'com.atproto.sync'
/** Small, so that the listings take several pages. */
const PAGE_LIMIT = 3
/** Blocks asked for of each repository. */
const BLOCKS = 5
/** How long a backlog may take, ms. */
const BACKLOG_TIMEOUT_MS = 15_000
/** After which a stream counts as ended when nothing has come, ms. */
const QUIET_MS = 500
/** A path at which no repository has a record. */
const ABSENT = { collection: 'org.example.nothing', rkey: 'nothing' }

/** An active account, asked for at a service that answers for it. */
interface Subject {
  /** For people. */
  readonly name: string
  readonly account: Account
  readonly client: SyncClient
  /** The same service for plain fetch; its redirects are followed. */
  readonly origin: string
  /** CIDs of all blocks of the repository. */
  readonly cids: readonly string[]
}

type Params = Readonly<Record<string, string>>

/** All checks of calls. `relay` is the relay's origin. */
export async function checkClientCalls(relay: string, scene: Scene): Promise<Check[]> {
  const subjects = await subjectsOf(relay, scene)
  const row = (calls: string, look: (subject: Subject) => Promise<string[]>): Promise<Check> =>
    runCheck(`client: ${calls} at A, B, S and the relay as by plain fetch`, () =>
      each(subjects, look),
    )
  return [
    await row('getLatestCommit', (subject) =>
      sameJson(subject, 'getLatestCommit', (did) => subject.client.getLatestCommit({ did })),
    ),
    await row('getRepoStatus', (subject) =>
      sameJson(subject, 'getRepoStatus', (did) => subject.client.getRepoStatus({ did })),
    ),
    await row('getHead', (subject) =>
      sameJson(subject, 'getHead', (did) => subject.client.getHead({ did })),
    ),
    await row('getRepo (the relay redirects), the bytes', (subject) =>
      sameBytes(subject, 'getRepo', {}, (params) => subject.client.getRepo(params)),
    ),
    await row('getRepo since a rev, the bytes', repoSince),
    await row('getCheckout, the bytes', (subject) =>
      sameBytes(subject, 'getCheckout', {}, (params) => subject.client.getCheckout(params)),
    ),
    await row('getRecord of nothing, the bytes', (subject) =>
      sameBytes(subject, 'getRecord', ABSENT, (params) =>
        subject.client.getRecord({ ...ABSENT, ...params }),
      ),
    ),
    await row(`getBlocks of ${BLOCKS} blocks, the bytes`, blocks),
    await row('listBlobs by pages', blobLists),
    await row('getBlob: bytes, type and length', blobs),
    await runCheck('client: listRepos by pages at A, B, S and the relay as by plain fetch', () =>
      listings(relay, scene),
    ),
    await runCheck('client: subscribeRepos at A, B, S and the relay gives the frames', () =>
      streams(relay, scene),
    ),
    await runCheck(
      'client: listHosts by pages and getHostStatus at the relay as by plain fetch',
      () => hosts(relay, scene),
    ),
    await runCheck('client: requestCrawl and notifyOfUpdate at the relay for a host it knows', () =>
      crawls(relay, scene),
    ),
  ]
}

/** Each active account twice: at its home and at the relay. */
async function subjectsOf(relay: string, scene: Scene): Promise<Subject[]> {
  const subjects: Subject[] = []
  for (const account of await activeAccounts(scene)) {
    const { home, did, name } = account
    const { blocks: held } = await readCarWithRoot(
      await queryBytes(home.origin, `${SYNC}.getRepo`, { params: { did } }),
    )
    const cids = held.cids().map((cid) => cid.toString())
    for (const [origin, place] of [
      [home.origin, home.name],
      [relay, 'the relay'],
    ] as const) {
      subjects.push({
        name: `${name} at ${place}`,
        account,
        origin,
        client: clientOf(origin),
        cids,
      })
    }
  }
  return subjects
}

async function each(
  subjects: readonly Subject[],
  look: (subject: Subject) => Promise<string[]>,
): Promise<string[]> {
  const faults: string[] = []
  const places = new Set(subjects.map(({ account, origin }) => `${account.home.name} ${origin}`))
  if (places.size < 2 * PDS_NAMES.length) faults.push('not every service is asked')
  for (const subject of subjects) {
    const found = await look(subject)
    faults.push(...found.map((fault) => `${subject.name}: ${fault}`))
  }
  return faults
}

async function sameJson(
  { account, origin }: Subject,
  call: string,
  ask: (did: string) => Promise<object>,
): Promise<string[]> {
  const wanted = await query(origin, `${SYNC}.${call}`, { params: { did: account.did } })
  return textDifference(await ask(account.did), wanted)
}

function textDifference(found: unknown, wanted: unknown): string[] {
  const [a, b] = [canonicalText(found), canonicalText(wanted)]
  return a === b ? [] : [`${a.slice(0, 200)}, not ${b.slice(0, 200)}`]
}

async function sameBytes(
  { account, origin }: Subject,
  call: string,
  more: Params,
  ask: (params: { readonly did: string }, options?: CallOptions) => Promise<ByteStream>,
): Promise<string[]> {
  const { did } = account
  const wanted = await queryBytes(origin, `${SYNC}.${call}`, { params: { did, ...more } })
  const stream = await ask({ did })
  const found = await stream.bytes()
  const faults = byteDifference(found, wanted)
  if (wanted.length === 0) faults.push('the service sent nothing')
  // The relay redirects to where the repository is.
  if (new URL(stream.url).origin !== account.home.origin) faults.push(`it is of ${stream.url}`)
  if (stream.contentType !== 'application/vnd.ipld.car') faults.push(`type ${stream.contentType}`)
  return faults
}

function byteDifference(found: Uint8Array, wanted: Uint8Array): string[] {
  if (Buffer.compare(found, wanted) === 0) return []
  return [`other bytes: ${found.length}, not ${wanted.length}`]
}

/** Since the rev of the newest commit, and since a rev before all. */
async function repoSince(subject: Subject): Promise<string[]> {
  const { account, client } = subject
  const { rev } = await account.home.head(account.did)
  const faults: string[] = []
  for (const since of ['2222222222222', rev]) {
    const found = await sameBytes(subject, 'getRepo', { since }, ({ did }) =>
      client.getRepo({ did, since }),
    )
    faults.push(...found.map((fault) => `since ${since}: ${fault}`))
  }
  return faults
}

async function blocks({ account, client, origin, cids }: Subject): Promise<string[]> {
  const { did } = account
  const step = Math.ceil(cids.length / BLOCKS)
  const asked = cids.filter((_cid, i) => i % step === 0)
  const params = new URLSearchParams({ did })
  for (const cid of asked) params.append('cids', cid)
  const response = await fetch(`${origin}/xrpc/${SYNC}.getBlocks?${params.toString()}`)
  const wanted = new Uint8Array(await response.arrayBuffer())
  if (response.status !== 200) return [`plain fetch is answered ${response.status}`]
  const stream = await client.getBlocks({ did, cids: asked })
  return byteDifference(await stream.bytes(), wanted)
}

async function blobLists({ account, client, origin }: Subject): Promise<string[]> {
  const { did, home } = account
  const { rev } = await home.head(did)
  const faults: string[] = []
  for (const since of [undefined, '2222222222222', rev]) {
    const params = since === undefined ? { did } : { did, since }
    const found = await listOf(client.listBlobs({ ...params, limit: 2 }))
    const wanted = await listBlobs(origin, did, since)
    faults.push(...textDifference(found, wanted))
  }
  return faults
}

async function blobs({ account, client, origin }: Subject): Promise<string[]> {
  const { did } = account
  const faults: string[] = []
  for (const cid of await listBlobs(origin, did)) {
    const params = new URLSearchParams({ did, cid })
    const response = await fetch(`${origin}/xrpc/${SYNC}.getBlob?${params.toString()}`)
    const wanted = new Uint8Array(await response.arrayBuffer())
    const type = response.headers.get('content-type')?.split(';', 1)[0]
    const blob = await client.getBlob({ did, cid })
    faults.push(...byteDifference(await blob.bytes(), wanted))
    if (blob.contentType !== type) faults.push(`${cid} is ${blob.contentType}, not ${type}`)
    if (blob.contentLength !== wanted.length) faults.push(`${cid}: length ${blob.contentLength}`)
  }
  return faults
}

async function listings(relay: string, scene: Scene): Promise<string[]> {
  const faults: string[] = []
  for (const origin of originsOf(relay, scene)) {
    const client = clientOf(origin)
    const wanted = await listAll(origin, `${SYNC}.listRepos`, 'repos', PAGE_LIMIT)
    const listing = client.listRepos({ limit: PAGE_LIMIT })
    const pages = await listOf(listing.pages())
    faults.push(...textDifference(await listOf(listing), wanted))
    faults.push(
      ...textDifference(
        pages.flatMap(({ items }) => items),
        wanted,
      ),
    )
    faults.push(...textDifference((await client.listReposPage()).repos, wanted))
    if (pages.length <= wanted.length / PAGE_LIMIT - 1) faults.push(`only ${pages.length} pages`)
    if (wanted.length <= PAGE_LIMIT) faults.push(`${origin} lists only ${wanted.length}`)
  }
  return faults
}

async function hosts(relay: string, scene: Scene): Promise<string[]> {
  const client = clientOf(relay)
  const wanted = await listAll(relay, `${SYNC}.listHosts`, 'hosts', 1)
  const faults = textDifference(await listOf(client.listHosts({ limit: 1 })), wanted)
  for (const name of PDS_NAMES) {
    const hostname = scene.pds(name).host
    const said = await query(relay, `${SYNC}.getHostStatus`, { params: { hostname } })
    faults.push(...textDifference(await client.getHostStatus({ hostname }), said))
    if (!wanted.some((host) => host['hostname'] === hostname)) faults.push(`no ${hostname}`)
  }
  return faults
}

async function crawls(relay: string, scene: Scene): Promise<string[]> {
  const client = clientOf(relay)
  const hostname = scene.pds('B').host
  await client.requestCrawl({ hostname })
  await client.notifyOfUpdate({ hostname })
  const { status } = await client.getHostStatus({ hostname })
  return status === 'active' ? [] : [`the host is ${status}`]
}

/** Over one connection from the oldest event on, beside a recorder of raw frames. */
async function streams(relay: string, scene: Scene): Promise<string[]> {
  const faults: string[] = []
  for (const origin of originsOf(relay, scene)) {
    const recorder = new Recorder(origin, { cursor: 0, reconnect: 'never' })
    try {
      // Nothing is being written: what comes is the backlog, and its end is known by the client.
      const frames = await framesOf(clientOf(origin), await lastSeqOf(origin, scene, recorder))
      const complete = await waitUntil(
        () => recorder.events.length >= frames.length,
        BACKLOG_TIMEOUT_MS,
      )
      const { events } = recorder
      const wrong = events.findIndex(({ bytes }, i) => {
        const frame = frames[i]
        return frame === undefined || Buffer.compare(frame, bytes) !== 0
      })
      if (!complete || events.length !== frames.length) {
        faults.push(`${origin}: ${frames.length} frames, not ${events.length}`)
      } else if (wrong >= 0) faults.push(`${origin}: seq ${events[wrong]?.seq} differs`)
      if (events.length === 0) faults.push(`${origin} has no events`)
    } finally {
      await recorder.stop()
    }
  }
  return faults
}

/** A PDS says it; a relay's is what has come when nothing more comes. */
async function lastSeqOf(origin: string, scene: Scene, recorder: Recorder): Promise<number> {
  const pds = PDS_NAMES.map((name) => scene.pds(name)).find((found) => found.origin === origin)
  if (pds !== undefined) return pds.lastSeq()
  let before = -1
  await waitUntil(async () => {
    const settled = recorder.lastSeq > 0 && recorder.lastSeq === before
    before = recorder.lastSeq
    await sleep(QUIET_MS)
    return settled
  }, BACKLOG_TIMEOUT_MS)
  return recorder.lastSeq
}

async function framesOf(client: SyncClient, lastSeq: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = []
  const options = { signal: AbortSignal.timeout(BACKLOG_TIMEOUT_MS) }
  for await (const event of client.subscribeRepos({ cursor: 0 }, options)) {
    frames.push(event.bytes.slice())
    if ((event.seq ?? 0) >= lastSeq) break
  }
  return frames
}

function originsOf(relay: string, scene: Scene): string[] {
  return [...PDS_NAMES.map((name) => scene.pds(name).origin), relay]
}
