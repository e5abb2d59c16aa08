/** A large repository as two CARs: in streamable order, and in the order of the reference PDS. */
import { open } from 'node:fs/promises'

import { PrivateKey } from '../src/crypto/private-key.ts'
import { formatDidKey } from '../src/crypto/public-key.ts'
import { sha256 } from '../src/crypto/sha256.ts'
import { type CarBlock, encodeCarBlock, encodeCarHeader } from '../src/data/car-stream.ts'
import { CODEC_DAG_CBOR, cidOf, cidToString } from '../src/data/cid.ts'
import { encodeDrisl } from '../src/data/drisl-encode.ts'
import { must } from '../src/lib/assert.ts'
import { concatBytes, utf8 } from '../src/lib/bytes.ts'
import { seededRandom } from '../src/lib/random.ts'
import { signCommit } from '../src/repo/commit.ts'
import { repoCarBlocks } from '../src/repo/repo-car.ts'
import { decodeNode, type TreeNode } from '../src/repo/tree-node.ts'
import { Tree } from '../src/repo/tree.ts'
import { makeRecord, nextCollection } from '../src/sim/records.ts'

export const REPO_DID = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'
const START_MS = Date.UTC(2023, 0, 1)
/** Time between two records: some three years for 100,000. */
const RECORD_EVERY_MS = 900_000
const WRITE_BYTES = 1 << 20

/** The order of blocks in a CAR. */
export type CarOrder = 'streamable' | 'reference'

export interface RepoCars {
  readonly paths: Readonly<Record<CarOrder, string>>
  /** did:key of the account. */
  readonly key: string
  readonly records: number
  readonly bytes: number
}

/** A repository in memory, with the number of the commit that brought each block. */
class Origin {
  readonly #blocks = new Map<string, Uint8Array>()
  readonly #commits = new Map<string, number>()

  /** @param commit The newest one that a block is of counts. */
  put(cid: Uint8Array, block: Uint8Array, commit: number): void {
    const key = cidToString(cid)
    this.#blocks.set(key, block)
    this.#commits.set(key, Math.max(commit, this.#commits.get(key) ?? 0))
  }

  block(cid: Uint8Array): Uint8Array {
    return must(this.#blocks.get(cidToString(cid)), 'block')
  }

  commitOf(cid: Uint8Array): number {
    return this.#commits.get(cidToString(cid)) ?? 0
  }
}

/** Writes both files, `<path>.streamable` and `<path>.reference`. */
export async function writeRepoCars(path: string, records: number): Promise<RepoCars> {
  const key = PrivateKey.import('k256', sha256(utf8('bench')))
  const origin = new Origin()
  const { tree, rev, count } = fillTree(origin, records)
  const data = tree.write((cid, block) => origin.put(cid, block, 0))
  const commit = signCommit({ did: REPO_DID, rev, data }, key)
  const whole = new Tree({ block: (cid) => origin.block(cid) }, data)
  const blocks = [...repoCarBlocks(commit, whole, (cid) => origin.block(cid))]
  dateNodes(origin, data)
  origin.put(commit.cid, commit.block, records)
  const paths = { streamable: `${path}.streamable`, reference: `${path}.reference` }
  const bytes = await writeCar(paths.streamable, commit.cid, blocks)
  await writeCar(paths.reference, commit.cid, inReferenceOrder(origin, blocks))
  return { paths, key: formatDidKey(key.publicKey), records: count, bytes }
}

interface Filled {
  readonly tree: Tree
  readonly rev: string
  readonly count: number
}

/** Records of the simulated network, one a commit. */
function fillTree(origin: Origin, records: number): Filled {
  const random = seededRandom(7)
  const tree = Tree.empty()
  const paths = new Set<string>()
  let rev = ''
  for (let commit = 1; paths.size < records; commit++) {
    const nowMs = START_MS + commit * RECORD_EVERY_MS
    const someone = (): string => REPO_DID
    const made = makeRecord({ random, nowMs, someone }, nextCollection(random))
    const path = `${made.collection}/${made.rkey}`
    const block = encodeDrisl(made.record)
    const cid = cidOf(CODEC_DAG_CBOR, block)
    origin.put(cid, block, commit)
    tree.put(path, cid)
    paths.add(path)
    if (made.collection === 'app.bsky.feed.post') rev = made.rkey
  }
  return { tree, rev, count: paths.size }
}

/** A node is as new as the newest thing below it; splits by what stands beside it are left out. */
function dateNodes(origin: Origin, cid: Uint8Array): number {
  const block = origin.block(cid)
  const node: TreeNode = decodeNode(block, cid, () => true)
  let newest = 0
  for (const value of node.values) newest = Math.max(newest, origin.commitOf(value))
  for (const subtree of node.subtrees) {
    if (subtree instanceof Uint8Array) newest = Math.max(newest, dateNodes(origin, subtree))
  }
  origin.put(cid, block, newest)
  return newest
}

/**
 * What `getRepo` of the reference PDS sends: the blocks of the newest commit first, and within one
 * commit those with the greatest CIDs as text. Each block once.
 */
function inReferenceOrder(origin: Origin, blocks: readonly CarBlock[]): CarBlock[] {
  const byCid = new Map(blocks.map((block) => [cidToString(block.cid), block]))
  return [...byCid]
    .map(([text, block]) => ({ text, block, commit: origin.commitOf(block.cid) }))
    .toSorted((a, b) => b.commit - a.commit || (a.text < b.text ? 1 : -1))
    .map(({ block }) => block)
}

async function writeCar(
  path: string,
  root: Uint8Array,
  blocks: readonly CarBlock[],
): Promise<number> {
  await using file = await open(path, 'w')
  let parts = [encodeCarHeader([root])]
  let waiting = 0
  let bytes = 0
  const flush = async (): Promise<void> => {
    const piece = concatBytes(parts)
    await file.writeFile(piece)
    bytes += piece.length
    parts = []
    waiting = 0
  }
  for (const { cid, block } of blocks) {
    const part = encodeCarBlock(cid, block)
    parts.push(part)
    waiting += part.length
    if (waiting >= WRITE_BYTES) await flush()
  }
  await flush()
  return bytes
}
