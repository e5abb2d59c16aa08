/** Whole repositories, read and verified by others' code. */

import { fromUint8Array } from '@atcute/repo'
import type { BlockMap } from '@atproto/repo'
import { MemoryBlockstore, readCarWithRoot, Repo, verifyRepo } from '@atproto/repo'

import { queryBytes } from '../net/xrpc.ts'
import { adminAuthorization } from '../world/pds.ts'

/** A repository that has been verified: every block, the signature, the tree, every record. */
export interface RepoContents {
  /** CID of the commit. */
  readonly root: string
  readonly rev: string
  /** CID of the tree's root: the same for the same records. */
  readonly data: string
  /** CIDs of records by path. */
  readonly records: ReadonlyMap<string, string>
  readonly blocks: BlockMap
}

/** A repository's CAR, as its host serves it to everybody. */
export function exportOf(origin: string, did: string, since?: string): Promise<Uint8Array> {
  const params = { did, ...(since === undefined ? {} : { since }) }
  return queryBytes(origin, 'com.atproto.sync.getRepo', { params })
}

/** The same as a real PDS serves it to its administrator: of inactive accounts as well. */
export function exportForAdmin(origin: string, did: string): Promise<Uint8Array> {
  const options = { params: { did }, authorization: adminAuthorization }
  return queryBytes(origin, 'com.atproto.sync.getRepo', options)
}

/** Verifies a CAR with `@atproto/repo`. Throws what that throws. */
export async function readRepo(
  car: Uint8Array,
  did: string,
  didKey: string,
): Promise<RepoContents> {
  const { root, blocks } = await readCarWithRoot(car)
  const { creates } = await verifyRepo(blocks, root, did, didKey)
  const { commit } = await Repo.load(new MemoryBlockstore(blocks), root)
  return {
    root: root.toString(),
    rev: commit.rev,
    data: commit.data.toString(),
    records: new Map(
      creates.map(({ collection, rkey, cid }) => [`${collection}/${rkey}`, cid.toString()]),
    ),
    blocks,
  }
}

/** CIDs of records by path as `@atproto/repo` walks them; the signature is not looked at. */
export async function recordsByAtproto(car: Uint8Array): Promise<Map<string, string>> {
  const { root, blocks } = await readCarWithRoot(car)
  const repo = await Repo.load(new MemoryBlockstore(blocks), root)
  const records = new Map<string, string>()
  for await (const { collection, rkey, cid } of repo.walkRecords()) {
    records.set(`${collection}/${rkey}`, cid.toString())
  }
  return records
}

/** CIDs of records by path as `@atcute/repo` reads them, which also decodes each. */
export function recordsByAtcute(car: Uint8Array): Map<string, string> {
  const records = new Map<string, string>()
  for (const { collection, rkey, cid, record } of fromUint8Array(car)) {
    if (typeof record !== 'object') throw new Error(`the record ${collection}/${rkey} is no map`)
    records.set(`${collection}/${rkey}`, cid.$link)
  }
  return records
}

/** What is not as it is wanted, for people. */
export function recordDifferences(
  found: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
): string[] {
  const paths = [...new Set([...found.keys(), ...wanted.keys()])].sort()
  const wrong = paths.filter((path) => found.get(path) !== wanted.get(path))
  if (wrong.length === 0) return []
  const [path = ''] = wrong
  const at = `at ${path} is ${found.get(path) ?? 'nothing'}, not ${wanted.get(path) ?? 'nothing'}`
  return [`${wrong.length} records differ: ${at}`]
}
