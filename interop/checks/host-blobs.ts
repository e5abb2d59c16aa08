/**
 * Blobs of Skein's repository host at the end: which there are, by what the repositories refer to;
 * and how they are answered, beside a real PDS and by the rules of HTTP.
 */

import { cidForRawBytes } from '@atproto/lex-data'
import { MemoryBlockstore, readCarWithRoot, Repo } from '@atproto/repo'

import { BYTE, NOTE, ODD, PHOTO } from '../scenario/blob-samples.ts'
import type { Account, Scene } from '../scenario/scene.ts'
import {
  blobRefusal,
  blobsOf,
  blobsReferredTo,
  fetchBlob,
  listBlobs,
  listDifferences,
  servedDifferences,
} from './blobs.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'
import type { Subject } from './host-repos.ts'
import { subjectsOf } from './host-repos.ts'

/** Headers of getBlob that the specification or its security notes name. */
const HEADERS = [
  'content-type',
  'content-length',
  'content-disposition',
  'content-security-policy',
  'x-content-type-options',
]
/** Accounts with blobs, one at a real PDS and one at the host. */
const OWNERS = { pds: 'nia', host: 'bo' } as const

type Owner = Pick<Account, 'home' | 'did'>

/** All checks of what the host serves of blobs. */
export async function checkHostBlobs(scene: Scene): Promise<Check[]> {
  const subjects = await subjectsOf(scene)
  const owner = scene.account(OWNERS.host)
  return [
    await runCheck(
      'the host: listBlobs is what records refer to (@atproto/repo walkRecords), all served',
      () => referred(subjects),
    ),
    await runCheck(
      'the host: listBlobs since a rev is what records written after it refer to',
      () => since(subjects),
    ),
    await runCheck('the host: getBlob has the headers of a real PDS', () => headers(scene, owner)),
    await runCheck('the host: getBlob answers ranges, HEAD and conditions by RFC 9110', () =>
      parts(owner),
    ),
    await runCheck('the host: getBlob refuses what nobody has, and what only others have', () =>
      refusals(scene, owner),
    ),
  ]
}

async function referred(subjects: readonly Subject[]): Promise<string[]> {
  const faults: string[] = []
  let owners = 0
  for (const { account, home, car } of subjects) {
    const references = await blobsReferredTo(car)
    if (references.size > 0) owners += 1
    const found = await servedDifferences(home.origin, account.did, references)
    faults.push(...found.map((fault) => `${account.name}: ${fault}`))
  }
  if (owners < 2) faults.push(`only ${owners} accounts have blobs`)
  return faults
}

/** A record counts as written when the earlier export has another or none at its path. */
async function since(subjects: readonly Subject[]): Promise<string[]> {
  const faults: string[] = []
  let news = 0
  for (const { account, home, car } of subjects) {
    const early = home.earlyExports.get(account.did)
    if (early === undefined) continue
    const before = await recordsOf(early)
    const wanted = new Set<string>()
    for (const [path, { cid, blobs }] of (await recordsOf(car)).records) {
      if (before.records.get(path)?.cid === cid) continue
      for (const blob of blobs) wanted.add(blob)
    }
    news += wanted.size
    const listed = await listBlobs(home.origin, account.did, before.rev)
    faults.push(...listDifferences(listed, [...wanted]).map((text) => `${account.name}: ${text}`))
  }
  if (news === 0) faults.push('nothing was written since that refers to a blob')
  return faults
}

interface RecordsOf {
  readonly rev: string
  readonly records: ReadonlyMap<string, { readonly cid: string; readonly blobs: Iterable<string> }>
}

async function recordsOf(car: Uint8Array): Promise<RecordsOf> {
  const { root, blocks } = await readCarWithRoot(car)
  const repo = await Repo.load(new MemoryBlockstore(blocks), root)
  const records = new Map<string, { cid: string; blobs: Iterable<string> }>()
  for await (const { collection, rkey, cid, record } of repo.walkRecords()) {
    const blobs = [...blobsOf(record).keys()]
    records.set(`${collection}/${rkey}`, { cid: cid.toString(), blobs })
  }
  return { rev: repo.commit.rev, records }
}

/** One account moved from the host to a real PDS with the same blobs that another has here. */
async function headers(scene: Scene, owner: Account): Promise<string[]> {
  const faults: string[] = []
  for (const { bytes, mimeType } of [PHOTO, ODD, BYTE]) {
    const cid = await cidOf(bytes)
    const ours = await headersOf(owner, cid)
    const theirs = await headersOf(scene.account(OWNERS.pds), cid)
    for (const name of HEADERS) {
      const [found, wanted] = [ours.get(name), theirs.get(name)]
      if (wanted === null || found !== wanted) faults.push(`${name}: ${found}, not ${wanted}`)
    }
    if (ours.get('content-type') !== mimeType) faults.push(`${mimeType} has become another type`)
  }
  return faults
}

async function headersOf({ home, did }: Owner, cid: string): Promise<Headers> {
  const response = await fetchBlob(home.origin, did, cid)
  await response.body?.cancel()
  if (response.status !== 200) throw new Error(`${home.name} answers ${response.status}`)
  return response.headers
}

/** What is asked for, the status, and which bytes must come; null when the body says nothing. */
type Part = readonly [
  asked: Readonly<Record<string, string>>,
  status: number,
  range: readonly [start: number, end: number] | null,
]

async function parts({ home, did }: Owner): Promise<string[]> {
  const { bytes } = ODD
  const size = bytes.length
  const cid = await cidOf(bytes)
  const whole = await headersOf({ home, did }, cid)
  const etag = whole.get('etag') ?? 'none'
  const cases: readonly Part[] = [
    [{}, 200, [0, size]],
    [{ range: 'bytes=0-0' }, 206, [0, 1]],
    [{ range: 'bytes=65530-65550' }, 206, [65_530, 65_551]],
    [{ range: 'bytes=-7' }, 206, [size - 7, size]],
    [{ range: `bytes=${size - 3}-` }, 206, [size - 3, size]],
    [{ range: `bytes=5-${size + 1_000}` }, 206, [5, size]],
    [{ range: `bytes=${size}-` }, 416, null],
    [{ range: 'lines=1-2' }, 200, [0, size]],
    [{ range: 'bytes=9-3' }, 200, [0, size]],
    [{ range: 'bytes=0-4', 'if-range': etag }, 206, [0, 5]],
    [{ range: 'bytes=0-4', 'if-range': '"another"' }, 200, [0, size]],
    [{ 'if-none-match': etag }, 304, null],
    [{ 'if-none-match': '"another"' }, 200, [0, size]],
  ]
  const faults: string[] = []
  for (const [asked, status, range] of cases) {
    // Otherwise fetch adds a condition of its own to what is asked.
    const response = await fetchBlob(home.origin, did, cid, { headers: asked, cache: 'no-store' })
    const body = new Uint8Array(await response.arrayBuffer())
    const name = JSON.stringify(asked)
    if (response.status !== status) faults.push(`${name} answers ${response.status}`)
    faults.push(...rangeFaults(name, response, body, range))
  }
  const head = await fetchBlob(home.origin, did, cid, { method: 'HEAD' })
  if (head.status !== 200) faults.push(`HEAD answers ${head.status}`)
  if (head.headers.get('content-length') !== String(size)) faults.push('HEAD has another length')
  return faults
}

function rangeFaults(name: string, response: Response, body: Uint8Array, range: Part[2]): string[] {
  const size = ODD.bytes.length
  const contentRange = response.headers.get('content-range')
  if (response.status === 416 && contentRange !== `bytes */${size}`) return [`${name}: no size`]
  if (range === null) return []
  const [start, end] = range
  const faults: string[] = []
  if (Buffer.compare(body, ODD.bytes.subarray(start, end)) !== 0) {
    faults.push(`${name} brings ${body.length} other bytes`)
  }
  const wanted = response.status === 206 ? `bytes ${start}-${end - 1}/${size}` : null
  if (contentRange !== wanted) faults.push(`${name} has content-range ${contentRange}`)
  const length = response.headers.get('content-length')
  if (length !== String(end - start)) faults.push(`${name} has content-length ${length}`)
  return faults
}

async function refusals(scene: Scene, owner: Account): Promise<string[]> {
  const { origin } = owner.home
  const nobodys = await cidOf(new TextEncoder().encode('nobody has uploaded this'))
  const note = await cidOf(NOTE.bytes)
  return [
    ...(await blobRefusal(origin, owner.did, nobodys)),
    // It is the owner's, and nobody else's.
    ...(await blobRefusal(origin, scene.account('sam').did, note)),
    ...(await blobRefusal(origin, scene.account(OWNERS.pds).did, await cidOf(ODD.bytes))),
  ]
}

async function cidOf(bytes: Uint8Array): Promise<string> {
  return (await cidForRawBytes(bytes)).toString()
}
