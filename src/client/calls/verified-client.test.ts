/** Proofs that hold, and every way in which they do not, over HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PrivateKey } from '../../crypto/private-key.ts'
import { type CarBlock, encodeCar } from '../../data/car-stream.ts'
import { CODEC_DAG_CBOR, CODEC_RAW, cidOf, cidToString } from '../../data/cid.ts'
import { encodeDrisl } from '../../data/drisl-encode.ts'
import { startLoopbackServer } from '../../identity/testing/loopback-server.ts'
import { must } from '../../lib/assert.ts'
import { signCommit } from '../../repo/commit.ts'
import { recordProof } from '../../repo/record-proof.ts'
import { repoCarBlocks } from '../../repo/repo-car.ts'
import { Tree } from '../../repo/tree.ts'
import { tidOf } from '../../syntax/tid.ts'
import type { Identities, SyncClientOptions } from './client-options.ts'
import type { SyncClient } from './sync-client.ts'
import { clientOf, codeOf, errorOf, FixedIdentities } from '../testing/service-kit.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const COLLECTION = 'org.example.note'
const key = PrivateKey.import('k256', new Uint8Array(32).fill(7))
const newKey = PrivateKey.import('p256', new Uint8Array(32).fill(8))

interface Repository {
  readonly commit: CarBlock
  readonly tree: Tree
  readonly source: (cid: Uint8Array) => Uint8Array | null
  readonly blocks: readonly CarBlock[]
}

function makeRepository(count: number, rev = '3l2222222222a', signer = key): Repository {
  const held = new Map<string, Uint8Array>()
  const built = Tree.empty()
  for (let i = 0; i < count; i++) {
    const block = encodeDrisl({ n: i })
    const cid = cidOf(CODEC_DAG_CBOR, block)
    held.set(cidToString(cid), block)
    built.put(`${COLLECTION}/${i}`, cid)
  }
  const data = built.write((cid, block) => held.set(cidToString(cid), block))
  const source = (cid: Uint8Array): Uint8Array | null => held.get(cidToString(cid)) ?? null
  const commit = signCommit({ did: DID, rev, data }, signer)
  const tree = new Tree({ block: source }, data)
  return { commit, tree, source, blocks: [...repoCarBlocks(commit, tree, source)] }
}

/** Asks a service that answers everything with these bytes. */
async function against<T>(
  bytes: Uint8Array,
  use: (client: SyncClient, requests: readonly string[]) => Promise<T>,
  options: SyncClientOptions = {},
): Promise<T> {
  await using server = await startLoopbackServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/vnd.ipld.car' })
    response.end(bytes)
  })
  const identities = new FixedIdentities(key.publicKey)
  return await use(clientOf(server.origin, { identities, ...options }), server.requests)
}

/** Reads a repository to its end; the number of records. */
async function readAll(client: SyncClient): Promise<number> {
  const repo = await client.verified.getRepo({ did: DID })
  let count = 0
  for await (const { record } of repo.records) count += record.valid ? 1 : 0
  return count
}

const carOf = (repo: Repository, blocks: readonly CarBlock[] = repo.blocks): Uint8Array =>
  encodeCar([repo.commit.cid], blocks)

test('a CAR that is cut at any boundary, or within any block, is Truncated', async () => {
  const repo = makeRepository(8)
  const bytes = carOf(repo)
  assert.equal(await against(bytes, readAll), 8)
  const boundaries = repo.blocks.map((_, i) => carOf(repo, repo.blocks.slice(0, i)).length)
  for (const end of boundaries) {
    for (const length of [end, end + 1, end + 20]) {
      const code = await against(bytes.subarray(0, length), (client) => codeOf(readAll(client)))
      assert.equal(code, 'Truncated', `cut to ${length}`)
    }
  }
})

test("what is cut before the commit is judged is asked for again, later cuts are the reader's", async () => {
  const repo = makeRepository(8)
  const retry = { attemptsMax: 3, pauseMs: 1 }
  const asked = async (length: number): Promise<readonly [string, number]> =>
    against(
      carOf(repo).subarray(0, length),
      async (client, requests) => [await codeOf(readAll(client)), requests.length] as const,
      { retry },
    )
  assert.deepEqual(await asked(100), ['Truncated', 3])
  assert.deepEqual(await asked(carOf(repo).length - 1), ['Truncated', 1])
})

test('a bit flipped in any block is Unverified, with the reason', async () => {
  const repo = makeRepository(8)
  for (const [i, { cid, block }] of repo.blocks.entries()) {
    const flipped = block.slice()
    flipped[i % block.length] = must(flipped[i % block.length], 'byte') ^ 0x10
    const blocks = repo.blocks.with(i, { cid, block: flipped })
    const error = await against(carOf(repo, blocks), (client) => errorOf(readAll(client)))
    assert.equal(error?.code, 'Unverified', `block ${i}`)
    assert.equal(error.reason, 'car-hash-mismatch')
    assert.equal(error.kind, 'refused')
  }
})

/** What opening a repository ends with: code and reason. */
const openingError = async (repo: Repository, did = DID): Promise<string> =>
  against(carOf(repo), async (client) => {
    const found = await errorOf(client.verified.getRepo({ did }))
    return `${found?.code ?? 'none'} ${found?.reason ?? ''}`
  })

test('whose repository it is, and when it was written', async () => {
  const other = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'
  assert.equal(await openingError(makeRepository(3), other), 'Unverified commit-did-mismatch')
  const tomorrow = tidOf((Date.now() + 86_400_000) * 1_000, 0)
  assert.equal(await openingError(makeRepository(3, tomorrow)), 'Unverified rev-future')
})

test('I3: a record as of a rev of the future is not believed, however well it is proven', async () => {
  for (const [aheadMs, outcome] of [
    [-60_000, 'b'],
    [86_400_000, 'Unverified'],
  ] as const) {
    const repo = makeRepository(3, tidOf((Date.now() + aheadMs) * 1_000, 0))
    const blocks = recordProof(repo.commit, repo.tree, `${COLLECTION}/1`, repo.source)
    const answer = await askRecord(carOf(repo, blocks), '1')
    const { cid = '' } = answer as { readonly cid?: string }
    assert.equal(typeof answer === 'string' ? answer : cid.slice(0, 1), outcome)
  }
})

test('a signature that fails has the identity asked for once more', async () => {
  const repo = makeRepository(3, '3l2222222222a', newKey)
  const rotated = new FixedIdentities(key.publicKey, newKey.publicKey)
  assert.equal(await against(carOf(repo), readAll, { identities: rotated }), 3)
  assert.equal(rotated.refreshes, 1)
  const same = new FixedIdentities(key.publicKey)
  const options = { identities: same }
  const error = await against(carOf(repo), (client) => errorOf(readAll(client)), options)
  assert.equal(error?.reason, 'signature-invalid')
  assert.equal(same.refreshes, 1)
  const keyless = { identities: new FixedIdentities(null) }
  const without = await against(carOf(repo), (client) => errorOf(readAll(client)), keyless)
  assert.equal(without?.reason, 'identity-no-key')
})

const failingWith = (reason: 'identity-unresolved' | 'identity-missing'): Identities => {
  const answer = { ok: false, reason, detail: 'no', retryAfterMs: 0 } as const
  return { resolve: () => Promise.resolve(answer), refresh: () => Promise.resolve(answer) }
}

test('an identity that cannot be had is told from a proof that does not hold', async () => {
  const repo = makeRepository(3)
  for (const [reason, kind] of [
    ['identity-unresolved', 'retryable'],
    ['identity-missing', 'refused'],
  ] as const) {
    const options = { identities: failingWith(reason) }
    const error = await against(carOf(repo), (client) => errorOf(readAll(client)), options)
    assert.deepEqual([error?.code, error?.reason, error?.kind], ['Unverified', reason, kind])
  }
})

test('out of order within the bound, and beyond it', async () => {
  const repo = makeRepository(100)
  const reversed = carOf(repo, repo.blocks.toReversed())
  assert.equal(await against(reversed, readAll), 100)
  const limits = { heldBytesMax: 10_000 }
  const error = await against(reversed, (client) => errorOf(readAll(client)), { limits })
  assert.deepEqual([error?.code, error?.reason], ['TooLarge', 'car-out-of-order'])
  assert.equal(await against(carOf(repo), readAll, { limits }), 100)
})

const askRecord = (bytes: Uint8Array, rkey: string): Promise<unknown> =>
  against(bytes, async (client) => {
    const params = { did: DID, collection: COLLECTION, rkey }
    const found = await client.verified.getRecord(params).catch((error: unknown) => error)
    return found instanceof Error ? `${'code' in found && String(found.code)}` : found
  })

test('a record, an absence, and proofs of neither', async () => {
  const repo = makeRepository(50)
  const proof = (rkey: string): CarBlock[] =>
    recordProof(repo.commit, repo.tree, `${COLLECTION}/${rkey}`, repo.source)
  const present = (await askRecord(carOf(repo, proof('7')), '7')) as {
    record: unknown
    rev: string
  }
  assert.deepEqual(present.record, { valid: true, value: { n: 7 } })
  const absent = (await askRecord(carOf(repo, proof('x')), 'x')) as {
    record: unknown
    cid: unknown
  }
  assert.equal(absent.record, null)
  assert.equal(absent.cid, null)
  const blocks = proof('7')
  for (let i = 0; i < blocks.length; i++) {
    const without = carOf(repo, blocks.toSpliced(i, 1))
    assert.equal(await askRecord(without, '7'), 'Unverified', `without block ${i}`)
    const { cid, block } = must(blocks[i], 'block')
    const flipped = block.slice()
    flipped[3] = must(flipped[3], 'byte') ^ 1
    assert.equal(
      await askRecord(carOf(repo, blocks.with(i, { cid, block: flipped })), '7'),
      'Unverified',
    )
  }
  assert.equal(await askRecord(carOf(repo, blocks).subarray(0, -3), '7'), 'Truncated')
})

const readBlob = (name: string) => async (client: SyncClient) => {
  const stream = await client.getBlob({ did: DID, cid: name })
  let received = 0
  const reading = async (): Promise<void> => {
    for await (const piece of stream) received += piece.length
  }
  return [await codeOf(reading()), received] as const
}

test('a blob of another CID is Unverified at its end, and one that is cut is Truncated', async () => {
  const bytes = new Uint8Array(100_000).fill(9)
  const cid = cidToString(cidOf(CODEC_RAW, bytes))
  const other = cidToString(cidOf(CODEC_RAW, new Uint8Array(3)))
  assert.deepEqual(await against(bytes, readBlob(cid)), ['none', bytes.length])
  assert.deepEqual(await against(bytes, readBlob(other)), ['Unverified', bytes.length])
  await using server = await startLoopbackServer((_request, response) => {
    response.writeHead(200, { 'content-length': String(bytes.length) })
    response.write(bytes.subarray(0, 50_000), () => response.destroy())
  })
  assert.equal((await readBlob(cid)(clientOf(server.origin)))[0], 'Truncated')
})

test('a repository that is given up lets go of its connection', async () => {
  const repo = makeRepository(100)
  const closed = Promise.withResolvers<void>()
  await using server = await startLoopbackServer((request, response) => {
    request.socket.once('close', () => closed.resolve())
    response.writeHead(200, { 'content-type': 'application/vnd.ipld.car' })
    response.write(carOf(repo).subarray(0, 5_000))
  })
  const client = clientOf(server.origin, { identities: new FixedIdentities(key.publicKey) })
  const { records } = await client.verified.getRepo({ did: DID })
  for await (const { path } of records) {
    assert.equal(path, `${COLLECTION}/0`)
    break
  }
  await closed.promise
})
