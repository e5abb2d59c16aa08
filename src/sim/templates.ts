/** Repositories that have a past: grown once, shared by all accounts that begin with them. */
import { CODEC_DAG_CBOR, cidOf, cidToString } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import type { Random } from '../lib/random.ts'
import { EMPTY_TREE_BLOCK, EMPTY_TREE_CID } from '../repo/tree-node.ts'
import { Tree } from '../repo/tree.ts'
import { Album, type SimBlob } from './blobs.ts'
import { baseBlobs, type BaseBlobs } from './live-blobs.ts'
import { makeRecord, nextCollection } from './records.ts'
import type { RepoTemplate } from './signed-repo.ts'

/** A template, with its records for those who keep count. */
export interface GrownTemplate {
  readonly repo: RepoTemplate
  /** Paths in order of creation. */
  readonly paths: readonly string[]
  /** Text of the CID of each record by path. */
  readonly records: ReadonlyMap<string, string>
  /** What its records refer to. */
  readonly blobs: BaseBlobs
}

export interface TemplateOptions {
  /** Number of records. */
  readonly count: number
  /** They were made before this moment, ms since the epoch. */
  readonly untilMs: number
  /** DIDs that records refer to. */
  readonly someone: () => string
  /** Median size of blobs, bytes. */
  readonly blobBytes: number
}

/** Time between two records of the past, ms. */
const GAP_MS = 3_600_000

/** A repository with a past. */
export function growTemplate(random: Random, options: TemplateOptions): GrownTemplate {
  const { count, untilMs, someone, blobBytes } = options
  const tree = Tree.empty()
  const blocks = new Map([[cidToString(EMPTY_TREE_CID), EMPTY_TREE_BLOCK]])
  const records = new Map<string, string>()
  const blobs = new Map<string, readonly SimBlob[]>()
  const album = new Album(blobBytes)
  const image = (): SimBlob => album.next(random)
  for (let i = 0; records.size < count; i++) {
    const nowMs = Math.max(0, untilMs - (count - (i % count)) * GAP_MS)
    const made = makeRecord({ random, nowMs, someone, image }, nextCollection(random))
    const path = `${made.collection}/${made.rkey}`
    if (records.has(path)) continue
    const block = encodeDrisl(made.record)
    const cid = cidOf(CODEC_DAG_CBOR, block)
    blocks.set(cidToString(cid), block)
    records.set(path, cidToString(cid))
    if (made.blobs.length > 0) blobs.set(path, made.blobs)
    tree.put(path, cid)
  }
  const root = tree.write((cid, block) => blocks.set(cidToString(cid), block))
  return { repo: { root, blocks }, paths: [...records.keys()], records, blobs: baseBlobs(blobs) }
}
