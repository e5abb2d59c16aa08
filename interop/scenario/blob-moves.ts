/** Blobs of an account that moves: what its new home misses is fetched from the old one. */

import { listDifferences, listMissingBlobs, readBlob, servedDifferences } from '../checks/blobs.ts'
import type { ServedBlob } from '../checks/blobs.ts'
import { checkOf } from '../checks/check.ts'
import { procedure } from '../net/xrpc.ts'
import type { Pds, RealPds } from '../world/pds.ts'
import type { SkeinHost } from '../world/skein-host.ts'
import { SAMPLES } from './blob-samples.ts'
import type { Account, Scene, Write } from './scene.ts'
import { uploadBlob } from './scene.ts'

/** Small, so that what is missing takes several pages. */
const PAGE_LIMIT = 2

/** Blobs by CID. */
export type Blobs = ReadonlyMap<string, ServedBlob>

/** Uploads samples at the account's home; the writes are of records that refer to them. */
export async function uploadSamples(account: Account, collection: string): Promise<Write[]> {
  const writes: Write[] = []
  for (const [i, { bytes, mimeType }] of SAMPLES.entries()) {
    const value = { n: i, blob: await uploadBlob(account, bytes, mimeType) }
    writes.push({ action: 'create', path: `${collection}/blob${i}`, value })
  }
  return writes
}

/** The blobs of an account, from the home that it is about to leave, by plain HTTP. */
export async function fetchBlobs(
  { home, did }: Account,
  cids: Iterable<string>,
): Promise<Map<string, ServedBlob>> {
  const blobs = new Map<string, ServedBlob>()
  for (const cid of cids) blobs.set(cid, await readBlob(home.origin, did, cid))
  return blobs
}

/** Uploads what a real PDS misses after an import, until it misses nothing. */
export async function moveBlobsToPds(
  scene: Scene,
  { did }: Account,
  to: { readonly pds: RealPds; readonly authorization: string },
  blobs: Blobs,
): Promise<void> {
  const { pds, authorization } = to
  const missing = await listMissingBlobs(pds.origin, authorization)
  const faults = listDifferences(missing, [...blobs.keys()])
  for (const [cid, { bytes, mimeType: contentType }] of blobs) {
    const options = { authorization, contentType }
    await procedure(pds.origin, 'com.atproto.repo.uploadBlob', bytes, options)
    const there = await readBlob(pds.origin, did, cid, authorization)
    faults.push(...blobDifferences(cid, there, { bytes, mimeType: contentType }))
  }
  const left = await listMissingBlobs(pds.origin, authorization)
  faults.push(...left.map((cid) => `${cid} is still missing`))
  const name = 'importRepo into a PDS, then blobs: listMissingBlobs names all, then none'
  scene.checks.push(checkOf(name, faults))
}

/** The same with the host, which has calls of its own for it. */
export async function moveBlobsToHost(
  scene: Scene,
  { did }: Account,
  host: SkeinHost,
  blobs: Blobs,
): Promise<void> {
  const faults = listDifferences(host.missingBlobs(did, PAGE_LIMIT), [...blobs.keys()])
  for (const [cid, { bytes, mimeType }] of blobs) {
    const { ref, mimeType: kept } = await host.uploadBlob(did, bytes, mimeType)
    if (ref.$link !== cid) faults.push(`${cid} became ${ref.$link}`)
    if (kept !== mimeType) faults.push(`${cid} of ${mimeType} became ${kept}`)
  }
  const left = host.missingBlobs(did, PAGE_LIMIT)
  faults.push(...left.map((cid) => `${cid} is still missing`))
  const name = 'importRepo into the host, then blobs: missingBlobs names all, then none'
  scene.checks.push(checkOf(name, faults))
}

/** What the new home serves to everybody must be what the old one did. */
export async function compareBlobs(
  account: Account,
  blobs: Blobs,
  references: ReadonlyMap<string, string>,
): Promise<string[]> {
  const { origin } = account.home
  const faults = await servedDifferences(origin, account.did, references)
  faults.push(...listDifferences([...blobs.keys()], [...references.keys()]))
  for (const [cid, blob] of blobs) {
    faults.push(...blobDifferences(cid, await readBlob(origin, account.did, cid), blob))
  }
  if (blobs.size < SAMPLES.length) faults.push(`${blobs.size} blobs have moved`)
  return faults
}

function blobDifferences(cid: string, found: ServedBlob, wanted: ServedBlob): string[] {
  const faults: string[] = []
  if (Buffer.compare(found.bytes, wanted.bytes) !== 0) faults.push(`${cid} has other bytes`)
  if (found.mimeType !== wanted.mimeType) {
    faults.push(`${cid} is ${found.mimeType}, not ${wanted.mimeType}`)
  }
  return faults
}

/** For names of checks. */
export function placeOf(pds: Pds): string {
  return pds.name === 'S' ? 'the host' : 'a PDS'
}
