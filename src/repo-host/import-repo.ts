/**
 * Takes in a whole repository as a CAR, blocks in any order. They are stored under a repository
 * number of their own as they come, then the tree is walked, every rule checked and every record
 * noted; the account turns to it in one step at the end. What a crash leaves is swept up.
 */
import type { PublicKey } from '../crypto/public-key.ts'
import type { SignatureVerifier } from '../crypto/verifier.ts'
import { type CarBlock, CarStreamError, readCarStream } from '../data/car-stream.ts'
import { cidToString, CODEC_DAG_CBOR } from '../data/cid.ts'
import { decodeDrisl, mapHead } from '../data/drisl.ts'
import { must } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { RECORD_BYTES_MAX, REV_AHEAD_MS_MAX } from '../lib/limits.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { type Commit, decodeCommit, unsignedBytes } from '../repo/commit.ts'
import { missingBlock, TreeError } from '../repo/tree-error.ts'
import { Tree } from '../repo/tree.ts'
import { isRepoPathBytes } from '../syntax/repo-path.ts'
import { isTid, tidMicros } from '../syntax/tid.ts'
import { type BlobReference, blobReferences } from './blob-references.ts'
import { Slices } from './fair.ts'
import { walkOnce } from './repo-walk.ts'
import type { HostState } from './turn.ts'

/** Largest CAR, bytes: four times the largest repository that the network is known to hold. */
export const IMPORT_BYTES_MAX: number = 2 ** 32
/** Most blocks: five million records and the nodes above them. */
export const IMPORT_BLOCKS_MAX = 8_000_000
/** Blocks that are held before they are written. */
const STAGED_MAX = 500
/** Bytes of them. */
const STAGED_BYTES_MAX = 4 * 1024 * 1024
/** Nodes and records, or blocks, that one transaction goes through: some ten milliseconds. */
const STEP_ITEMS = 500

export interface ImportOptions {
  /** What the imported commit must verify under; without it, nobody looks at the signature. */
  readonly signedBy?: { readonly key: PublicKey; readonly verifier: SignatureVerifier }
  /** Default {@link IMPORT_BYTES_MAX}. */
  readonly bytesMax?: number
  /** Default {@link IMPORT_BLOCKS_MAX}. */
  readonly blocksMax?: number
}

/** A repository that stands under its number, verified, and belongs to nobody yet. */
export interface StagedRepo {
  readonly repoId: number
  /** The commit that came with it. */
  readonly imported: Commit
  /** The rev that its contents carry: the rev of the commit that takes them over. */
  readonly rev: string
  readonly records: number
}

/** What an import works with, and for whom. */
export interface ImportContext {
  readonly state: HostState
  readonly clock: Clock
  readonly did: string
  /** A rev over that of the account and over this one. */
  readonly revAfter: (imported: string) => string
}

type Verdict<T> = Result<T, InvalidReason>

/**
 * Reads, stores and verifies a repository. On any failure nothing is left but garbage to sweep.
 *
 * @throws What `source` throws, and SkeinError STORE_FAILED.
 */
export async function stageRepo(
  context: ImportContext,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<Verdict<StagedRepo>> {
  const { store } = context.state
  const repoId = store.transaction(() => store.addRepo('importing'))
  let staged = false
  try {
    const root = await stageBlocks(context.state, repoId, source, options)
    const opened = openImported(context, repoId, root, options)
    if (!opened.ok) return opened
    const imported = opened.value
    const rev = context.revAfter(imported.rev)
    const records = await noteContents(context, repoId, imported.data, rev)
    if (!records.ok) return records
    await sweepUnused(context, repoId)
    staged = true
    return ok({ repoId, imported, rev, records: records.value })
  } catch (error) {
    if (error instanceof CarStreamError) return fail(error.reason, error.message)
    if (error instanceof TreeError) return fail(error.reason, error.detail)
    throw error
  } finally {
    if (!staged) store.transaction(() => store.setRepoState(repoId, 'garbage'))
  }
}

/** Stores the blocks as they come; returns the CID of the root. */
async function stageBlocks(
  { store, blocks }: HostState,
  repoId: number,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<Uint8Array> {
  const stream = await readCarStream(source, {
    bytesMax: options.bytesMax ?? IMPORT_BYTES_MAX,
    blocksMax: options.blocksMax ?? IMPORT_BLOCKS_MAX,
  })
  let held: CarBlock[] = []
  let bytes = 0
  const write = (): void => {
    store.transaction(() => blocks.stage(repoId, held))
    held = []
    bytes = 0
  }
  for await (const block of stream.blocks) {
    held.push(block)
    bytes += block.block.length
    if (held.length >= STAGED_MAX || bytes >= STAGED_BYTES_MAX) write()
  }
  write()
  return must(stream.roots[0], 'CAR root')
}

/** Reads the commit and holds it against the account. */
function openImported(
  { state, clock, did }: ImportContext,
  repoId: number,
  root: Uint8Array,
  { signedBy }: ImportOptions,
): Verdict<Commit> {
  if (root[1] !== CODEC_DAG_CBOR) return fail('car-roots', 'the root is not dag-cbor')
  const block = state.blocks.get(repoId, root)
  if (block === null) return fail('car-root-missing', `commit ${cidToString(root)} is missing`)
  const commit = decodeCommit(block)
  if (!commit.ok) return commit
  const { did: ofCommit, rev, signature } = commit.value
  if (ofCommit !== did) {
    return fail('commit-did-mismatch', `the commit is of ${ofCommit.slice(0, 128)}`)
  }
  if (!isTid(rev) || tidMicros(rev) / 1_000 - clock.nowMs() > REV_AHEAD_MS_MAX) {
    return fail('rev-future', `rev ${rev}`)
  }
  if (signedBy === undefined) return commit
  const verdict = signedBy.verifier.verify(signedBy.key, unsignedBytes(block), signature)
  return verdict === 'ok' ? commit : fail(verdict, `signature of rev ${rev}`)
}

/** Walks the tree: checks it, counts what is used, notes records and the blobs they name. */
async function noteContents(
  { state, clock }: ImportContext,
  repoId: number,
  data: Uint8Array,
  rev: string,
): Promise<Verdict<number>> {
  const { store, blocks, blobs } = state
  const slices = new Slices(clock)
  const read = (cid: Uint8Array): Uint8Array => {
    const block = blocks.get(repoId, cid)
    if (block === null) throw missingBlock(cid)
    return block
  }
  let last: Uint8Array = data
  const source = { block: (cid: Uint8Array): Uint8Array => (last = read(cid)) }
  const items = walkOnce(new Tree(source, data, { keyRule: isRepoPathBytes }))
  let records = 0
  const step = (): Verdict<'more' | 'done'> => {
    for (let i = 0; i < STEP_ITEMS; i++) {
      const next = items.next()
      if (next.done === true) return ok('done')
      const item = next.value
      if (item.kind === 'node') {
        blocks.add(repoId, item.node.cid ?? data, last, rev)
        continue
      }
      const { key: path, value: cid } = item
      const block = blocks.get(repoId, cid)
      const checked = checkRecord(path, cid, block)
      if (!checked.ok) return checked
      records++
      blocks.add(repoId, cid.slice(), must(block, 'record'), rev)
      store.putRecord(repoId, { path, cid, rev })
      for (const blob of checked.value) blobs.note(repoId, { cid: blob.cid, path, rev })
    }
    return ok('more')
  }
  for (;;) {
    try {
      const stepped = store.transaction(() => {
        const verdict = step()
        blocks.flush()
        return verdict
      })
      if (!stepped.ok) return stepped
      if (stepped.value === 'done') return ok(records)
    } catch (error) {
      blocks.discard()
      throw error
    }
    if (slices.used) await slices.pause()
  }
}

function checkRecord(
  path: string,
  cid: Uint8Array,
  block: Uint8Array | null,
): Verdict<readonly BlobReference[]> {
  // Operations on it would be refused by whoever verifies them.
  if (cid[1] !== CODEC_DAG_CBOR) {
    return fail('op-record-malformed', `the link of record ${path} is not dag-cbor`)
  }
  if (block === null) return fail('op-record-missing', `record ${path} is not in the CAR`)
  if (block.length > RECORD_BYTES_MAX) {
    return fail('op-record-too-large', `record ${path} has ${block.length} bytes`)
  }
  const value = decodeDrisl(block)
  if (!value.ok) return fail('op-record-malformed', `record ${path}: ${value.detail}`)
  if (mapHead(block, 0) === null) return fail('op-record-malformed', `record ${path} is not a map`)
  return ok(blobReferences(value.value))
}

/** Removes what came along and is no part of the tree. */
async function sweepUnused({ state, clock }: ImportContext, repoId: number): Promise<void> {
  const slices = new Slices(clock)
  let after: Uint8Array | null = new Uint8Array(0)
  while (after !== null) {
    const from: Uint8Array = after
    after = state.store.transaction(() => state.blocks.sweepUnused(repoId, from, STEP_ITEMS))
    if (slices.used) await slices.pause()
  }
}
