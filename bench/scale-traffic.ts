/**
 * One commit of each of many accounts, signed once. All begin with one repository, and what a
 * commit adds is one of a few hundred posts: only the commit itself differs from account to
 * account, so that signing takes most of the time, and whoever reads cannot tell.
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { PrivateKey } from '../src/crypto/private-key.ts'
import { sha256 } from '../src/crypto/sha256.ts'
import { type CarBlock, encodeCar, readCarStream } from '../src/data/car-stream.ts'
import { assert, must } from '../src/lib/assert.ts'
import { bytesEqual, utf8 } from '../src/lib/bytes.ts'
import { seededRandom } from '../src/lib/random.ts'
import { signCommit } from '../src/repo/commit.ts'
import { SignedRepo } from '../src/sim/signed-repo.ts'
import { growTemplate } from '../src/sim/templates.ts'
import { TrafficWriter } from '../src/sim/traffic-writer.ts'
import type { CommitBody } from '../src/stream/frame-types.ts'
import { encodeMessageFrame } from '../src/stream/own-frames.ts'
import { didAt, hostOfSigner, type ScaleState, signerAt, type SignerHead } from './scale-state.ts'

/** Keys that the accounts share; each identity has its own object of one, as in life. */
const KEYS = 64
/** Commits to choose from. */
const VARIANTS = 256
/** Records of every repository before its commit: a path of three or four nodes to each. */
const RECORDS = 300
const START_MS = Date.UTC(2026, 0, 1)
const BLOBS_BYTES = 1_000

interface Variant {
  readonly body: CommitBody
  /** Blocks beside the commit. */
  readonly blocks: readonly CarBlock[]
  readonly data: Uint8Array
}

/** What the traffic is made of. */
export interface TrafficParts {
  readonly keys: readonly PrivateKey[]
  readonly head: SignerHead
  readonly variants: readonly Variant[]
}

/** Prepares the repositories: a second or two. */
export async function prepareTraffic(): Promise<TrafficParts> {
  const keys = Array.from({ length: KEYS }, (_, i) =>
    PrivateKey.import('k256', sha256(utf8(`key ${i}`))),
  )
  const template = growTemplate(seededRandom(7), {
    count: RECORDS,
    untilMs: START_MS,
    someone: () => 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
    blobBytes: BLOBS_BYTES,
  }).repo
  let head: SignerHead | null = null
  const variants: Variant[] = []
  for (let i = 0; i < VARIANTS; i++) {
    const repo = new SignedRepo({ seed: `variant ${i}`, startMs: START_MS, template })
    const { rev, data } = must(repo.head, 'head')
    head ??= { rev, data }
    assert(rev === head.rev, 'all repositories begin alike')
    const text = `post ${i} ${'of some length '.repeat((i % 10) + 1)}`
    const record = { $type: 'app.bsky.feed.post', text, createdAt: '2026-01-01T00:00:00.000Z' }
    const path = `app.bsky.feed.post/3m${String(i).padStart(11, '2')}`
    const body = repo.apply([{ action: 'create', path, record }])
    const after = must(repo.head, 'head')
    const blocks = await blocksBeside(after.commit, body)
    variants.push({ body, blocks, data: after.data })
  }
  return { keys, head: must(head, 'head'), variants }
}

async function blocksBeside(commit: Uint8Array, body: CommitBody): Promise<CarBlock[]> {
  const limits = { blocksMax: 1_000, bytesMax: body.blocks.buf.length }
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield body.blocks.buf
  }
  const found: CarBlock[] = []
  for await (const { cid, block } of (await readCarStream(source(), limits)).blocks) {
    if (!bytesEqual(cid, commit)) found.push({ cid, block })
  }
  return found
}

/** Writes the traffic; some 150 µs a commit. */
export async function writeTraffic(
  path: string,
  state: ScaleState,
  { keys, variants }: TrafficParts,
): Promise<void> {
  const { signers, accounts, activeHosts } = state
  // The identities are in the state, so that nobody asks the directory for a document.
  await using writer = await TrafficWriter.create(path, {
    seed: 1,
    hosts: activeHosts,
    accounts: [],
  })
  const order = shuffled(signers)
  const seqs = Array.from({ length: activeHosts }, () => 0)
  for (const signer of order) {
    const { body, blocks, data } = must(variants[signer % variants.length], 'variant')
    const did = didAt(signerAt(signer, state), accounts)
    const key = must(keys[signer % keys.length], 'key')
    const commit = signCommit({ did, rev: body.rev, data }, key)
    const host = hostOfSigner(signer, state)
    const seq = must(seqs[host], 'host') + 1
    seqs[host] = seq
    const frame = encodeMessageFrame('#commit', {
      ...body,
      seq,
      repo: did,
      commit: new CidLinkWrapper(commit.cid),
      blocks: new BytesWrapper(
        encodeCar([commit.cid], [{ cid: commit.cid, block: commit.block }, ...blocks]),
      ),
    })
    await writer.add(host, frame)
  }
  await writer.finish()
}

/** 0 up to `count` in a random order. */
function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  const random = seededRandom(3)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1))
    const kept = must(order[i], 'place')
    order[i] = must(order[j], 'place')
    order[j] = kept
  }
  return order
}
