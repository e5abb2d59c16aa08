/** Blobs as they are served, and as records refer to them, by code of `@atproto` only. */

import { cidForRawBytes, enumBlobRefs, getBlobCidString, getBlobMime } from '@atproto/lex-data'
import type { LexMap } from '@atproto/lex-data'
import { MemoryBlockstore, readCarWithRoot, Repo } from '@atproto/repo'

import { query } from '../net/xrpc.ts'

const CALL_TIMEOUT_MS = 10_000
/** Small, so that listings take several pages. */
const PAGE_LIMIT = 2
/** Pages after which a listing counts as endless. */
const PAGES_MAX = 100

/** A blob as somebody serves it. */
export interface ServedBlob {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly mimeType: string
}

/** Asks for a blob by plain HTTP. */
export function fetchBlob(
  origin: string,
  did: string,
  cid: string,
  init: RequestInit = {},
): Promise<Response> {
  const params = new URLSearchParams({ did, cid })
  const url = `${origin}/xrpc/com.atproto.sync.getBlob?${params.toString()}`
  return fetch(url, { ...init, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) })
}

/** A blob that must be there. `authorization` is needed where the account is not active. */
export async function readBlob(
  origin: string,
  did: string,
  cid: string,
  authorization?: string,
): Promise<ServedBlob> {
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fetchBlob(origin, did, cid, { headers })
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (response.status !== 200) throw new Error(`getBlob of ${cid} answers ${response.status}`)
  return { bytes, mimeType: response.headers.get('content-type') ?? '' }
}

/** What is wrong when a blob must not be served. */
export async function blobRefusal(origin: string, did: string, cid: string): Promise<string[]> {
  const response = await fetchBlob(origin, did, cid)
  await response.body?.cancel()
  return response.status === 400 ? [] : [`getBlob of ${cid} answers ${response.status}`]
}

/** All pages of `com.atproto.sync.listBlobs`. */
export function listBlobs(origin: string, did: string, since?: string): Promise<string[]> {
  const nsid = 'com.atproto.sync.listBlobs'
  const params = { did, limit: String(PAGE_LIMIT), ...(since === undefined ? {} : { since }) }
  return listPages(async (cursor) => {
    const answer = await query(origin, nsid, { params: { ...params, ...cursor } })
    return { items: itemsOf(answer['cids']).map(String), cursor: answer['cursor'] }
  })
}

/** All pages of `com.atproto.repo.listMissingBlobs` of a session's account. */
export function listMissingBlobs(origin: string, authorization: string): Promise<string[]> {
  const nsid = 'com.atproto.repo.listMissingBlobs'
  return listPages(async (cursor) => {
    const params = { limit: String(PAGE_LIMIT), ...cursor }
    const answer = await query(origin, nsid, { authorization, params })
    const items = itemsOf(answer['blobs']).map((blob) => (blob as { cid: string }).cid)
    return { items, cursor: answer['cursor'] }
  })
}

async function listPages(
  page: (cursor: {
    cursor?: string
  }) => Promise<{ readonly items: readonly string[]; readonly cursor: unknown }>,
): Promise<string[]> {
  const all: string[] = []
  let cursor: { cursor?: string } = {}
  for (let i = 0; i < PAGES_MAX; i++) {
    const answer = await page(cursor)
    all.push(...answer.items)
    if (typeof answer.cursor !== 'string') return all
    cursor = { cursor: answer.cursor }
  }
  throw new Error(`a listing did not end after ${PAGES_MAX} pages`)
}

function itemsOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Error('a listing has no items')
  return value
}

/** MIME types by CID of all blobs that the records of a CAR refer to, old forms included. */
export async function blobsReferredTo(car: Uint8Array): Promise<Map<string, string>> {
  const { root, blocks } = await readCarWithRoot(car)
  const repo = await Repo.load(new MemoryBlockstore(blocks), root)
  const blobs = new Map<string, string>()
  for await (const { record } of repo.walkRecords()) {
    for (const [cid, mimeType] of blobsOf(record)) blobs.set(cid, mimeType)
  }
  return blobs
}

/** MIME types by CID of the blobs that a record refers to. */
export function blobsOf(record: LexMap): Map<string, string> {
  const references = [...enumBlobRefs(record, { allowLegacy: true, strict: false })]
  return new Map(references.map((blob) => [getBlobCidString(blob), getBlobMime(blob)]))
}

/** What is not so when exactly the blobs `wanted` must be listed and served by `origin`. */
export async function servedDifferences(
  origin: string,
  did: string,
  wanted: ReadonlyMap<string, string>,
): Promise<string[]> {
  const faults = listDifferences(await listBlobs(origin, did), [...wanted.keys()])
  for (const [cid, mimeType] of wanted) {
    const blob = await readBlob(origin, did, cid)
    if (blob.mimeType !== mimeType) faults.push(`${cid} is ${blob.mimeType}, not ${mimeType}`)
    const named = (await cidForRawBytes(blob.bytes)).toString()
    if (named !== cid) faults.push(`the bytes of ${cid} are those of ${named}`)
  }
  return faults
}

/** What is wrong with a listing, in which everything must stand once. */
export function listDifferences(found: readonly string[], wanted: readonly string[]): string[] {
  const missing = wanted.filter((cid) => !found.includes(cid))
  const surplus = found.filter((cid, i) => !wanted.includes(cid) || found.indexOf(cid) !== i)
  return [
    ...missing.map((cid) => `${cid} is not listed`),
    ...surplus.map((cid) => `${cid} is listed and must not be, or is listed twice`),
  ]
}
