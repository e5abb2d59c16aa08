import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { readCarWithRoot, verifyProofs, verifyRepoCar } from '@atproto/repo'
import { formatDidKey } from '../crypto/public-key.ts'
import { PrivateKey } from '../crypto/private-key.ts'
import { loadVerifier, type SignatureVerifier } from '../crypto/verifier.ts'
import { encodeCar, type CarBlock } from '../data/car-stream.ts'
import { parseCar } from '../data/car.ts'
import { CODEC_DAG_CBOR, cidOf, cidToString } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { seededRandom } from '../lib/random.ts'
import { signCommit } from './commit.ts'
import { recordProof, verifyRecordProof, verifyRecordProofAsync } from './record-proof.ts'
import { repoCarBlocks } from './repo-car.ts'
import { Tree } from './tree.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const key = PrivateKey.import('k256', new Uint8Array(32).fill(7))
let verifier: SignatureVerifier
before(async () => {
  verifier = await loadVerifier()
})

interface Repository {
  readonly commit: CarBlock
  readonly tree: Tree
  readonly paths: readonly string[]
  readonly source: (cid: Uint8Array) => Uint8Array | null
}

function makeRepository(records: number): Repository {
  const random = seededRandom(records + 1)
  const blocks = new Map<string, Uint8Array>()
  const built = Tree.empty()
  const paths: string[] = []
  for (let i = 0; i < records; i++) {
    const path = `org.example.${'abc'[i % 3]}.thing/${Math.floor(random.next() * 1e9).toString(36)}`
    const block = encodeDrisl({ $type: 'org.example.thing', i })
    const cid = cidOf(CODEC_DAG_CBOR, block)
    blocks.set(cidToString(cid), block)
    built.put(path, cid)
    paths.push(path)
  }
  const data = built.write((cid, block) => blocks.set(cidToString(cid), block))
  const source = (cid: Uint8Array): Uint8Array | null => blocks.get(cidToString(cid)) ?? null
  const commit = signCommit({ did: DID, rev: '3l2222222222a', data }, key)
  return { commit, tree: new Tree({ block: source }, data), paths: paths.toSorted(), source }
}

const claim = (path: string): Parameters<typeof verifyRecordProof>[1] => ({
  did: DID,
  path,
  key: key.publicKey,
  verifier,
})

test('a proof shows the record, and the reference agrees', async () => {
  const { commit, tree, paths, source } = makeRepository(200)
  for (const path of paths.filter((_, i) => i % 20 === 0)) {
    const car = encodeCar([commit.cid], recordProof(commit, tree, path, source))
    const proven = verifyRecordProof(car, claim(path))
    assert.ok(proven.ok && proven.value.record !== null, path)
    assert.deepEqual(proven.value.record.block, source(must(tree.get(path), 'record')))
    const [collection = '', rkey = ''] = path.split('/')
    const { root, blocks } = await readCarWithRoot(car)
    const cid = (await verifyProofs(car, [], DID, formatDidKey(key.publicKey))).verified
    assert.deepEqual(cid, [])
    const expected = { collection, rkey, cid: must([...blocks.cids()].at(-1), 'record CID') }
    assert.equal(String(root), cidToString(commit.cid))
    const outcome = await verifyProofs(car, [expected], DID, formatDidKey(key.publicKey))
    assert.equal(outcome.unverified.length, 0, path)
  }
})

test('a proof shows that there is no record, and the reference agrees', async () => {
  for (const size of [0, 1, 2, 200]) {
    const { commit, tree, source } = makeRepository(size)
    for (const rkey of ['0', 'absent', 'zzzzzzzzz']) {
      const path = `org.example.b.thing/${rkey}`
      const car = encodeCar([commit.cid], recordProof(commit, tree, path, source))
      assert.deepEqual(verifyRecordProof(car, claim(path)), {
        ok: true,
        value: { rev: '3l2222222222a', record: null },
      })
      const absent = { collection: 'org.example.b.thing', rkey, cid: null }
      const outcome = await verifyProofs(car, [absent], DID, formatDidKey(key.publicKey))
      assert.equal(outcome.unverified.length, 0)
    }
  }
})

test('that there is no record is also shown to readers that do not know of heights', async () => {
  const { commit, tree, source } = makeRepository(200)
  for (let i = 0; i < 120; i++) {
    const collection = 'org.example.b.thing'
    const path = `${collection}/absent-${i}`
    const car = encodeCar([commit.cid], recordProof(commit, tree, path, source))
    assert.ok(verifyRecordProof(car, claim(path)).ok)
    const absent = { collection, rkey: `absent-${i}`, cid: null }
    const outcome = await verifyProofs(car, [absent], DID, formatDidKey(key.publicKey))
    assert.equal(outcome.unverified.length, 0, path)
  }
})

test('no block of a proof can be missing, and no other key can have signed it', () => {
  const { commit, tree, paths, source } = makeRepository(200)
  const path = must(paths[77], 'path')
  const blocks = recordProof(commit, tree, path, source)
  for (let i = 0; i < blocks.length; i++) {
    const car = encodeCar([commit.cid], blocks.toSpliced(i, 1))
    const proven = verifyRecordProof(car, claim(path))
    const last = i === blocks.length - 1 ? 'op-record-missing' : 'mst-block-missing'
    assert.equal(proven.ok ? 'ok' : proven.reason, i === 0 ? 'car-root-missing' : last)
  }
  const car = encodeCar([commit.cid], blocks)
  const stranger = PrivateKey.generate('k256').publicKey
  const forged = verifyRecordProof(car, { ...claim(path), key: stranger })
  assert.equal(forged.ok ? 'ok' : forged.reason, 'signature-invalid')
  const foreign = verifyRecordProof(car, {
    ...claim(path),
    did: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb',
  })
  assert.equal(foreign.ok ? 'ok' : foreign.reason, 'commit-did-mismatch')
})

test('the later verdict is the same one, by the verifier that answers later', async () => {
  const { commit, tree, paths, source } = makeRepository(50)
  const path = must(paths[7], 'path')
  const absent = 'org.example.a.thing/none'
  const stranger = PrivateKey.generate('k256').publicKey
  let asked = 0
  const later: SignatureVerifier = {
    ...verifier,
    verify: () => assert.fail('the synchronous one'),
    verifyAsync(...question) {
      asked++
      return verifier.verifyAsync(...question)
    },
  }
  const proof = encodeCar([commit.cid], recordProof(commit, tree, path, source))
  const absence = encodeCar([commit.cid], recordProof(commit, tree, absent, source))
  const cases = [
    [proof, claim(path)],
    [absence, claim(absent)],
    [proof, { ...claim(path), key: stranger }],
    [proof, { ...claim(path), did: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb' }],
    [proof.subarray(0, -1), claim(path)],
    [proof, claim('no path')],
  ] as const
  for (const [car, wanted] of cases) {
    assert.deepEqual(
      await verifyRecordProofAsync(car, { ...wanted, verifier: later }),
      verifyRecordProof(car, wanted),
    )
  }
  assert.equal(asked, 3)
})

test('a repository is written in streamable order, and the reference reads it', async () => {
  const { commit, tree, paths, source } = makeRepository(500)
  const car = encodeCar([commit.cid], repoCarBlocks(commit, tree, source))
  const parsed = parseCar(car, { blocksMax: 10_000 })
  assert.ok(parsed.ok)
  assert.deepEqual(parsed.value.blocks.cid(0), commit.cid, 'the commit comes first')
  const seen = new Set<string>()
  const linked = new Set([cidToString(commit.cid), cidToString(tree.rootCid())])
  for (let i = 0; i < parsed.value.blocks.size; i++) {
    const cid = cidToString(parsed.value.blocks.cid(i))
    assert.ok(linked.has(cid), 'every block is named by one before it')
    seen.add(cid)
    for (const link of linksIn(parsed.value.blocks.block(i))) linked.add(link)
  }
  const verified = await verifyRepoCar(car, DID, formatDidKey(key.publicKey))
  const created = verified.creates.map(({ collection, rkey }) => `${collection}/${rkey}`)
  assert.deepEqual(created.toSorted(), paths)
})

/** CIDs in a block, found by the bytes of their tag. */
function linksIn(block: Uint8Array): string[] {
  const found: string[] = []
  for (let i = 0; i + 41 <= block.length; i++) {
    if (block[i] === 0xd8 && block[i + 1] === 0x2a && block[i + 2] === 0x58) {
      found.push(cidToString(block.slice(i + 5, i + 41)))
    }
  }
  return found
}
