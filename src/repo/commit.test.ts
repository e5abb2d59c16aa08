import assert from 'node:assert/strict'
import { before, test } from 'node:test'

import { BytesWrapper, decode, encode } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import * as fc from 'fast-check'

import { CURVES } from '../crypto/curve.ts'
import { PrivateKey } from '../crypto/private-key.ts'
import { loadVerifier, type SignatureVerifier } from '../crypto/verifier.ts'
import { CODEC_DAG_CBOR, CODEC_RAW, cidOf } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { concatBytes } from '../lib/bytes.ts'
import { decodeCommit, signCommit, unsignedBytes } from './commit.ts'
import { EMPTY_TREE_CID } from './tree-node.ts'

let verifier: SignatureVerifier
before(async () => {
  verifier = await loadVerifier()
})

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const REV = '3lhhxizu5wr2d'
const LINK = new CidLinkWrapper(EMPTY_TREE_CID)
const FIELDS = { did: DID, version: 3, data: LINK, rev: REV, prev: null, sig: new Uint8Array(64) }

test('a signed commit is read back, and verifies with its key alone', () => {
  for (const curve of CURVES) {
    const key = PrivateKey.import(curve, new Uint8Array(32).fill(5))
    const { cid, block } = signCommit({ did: DID, rev: REV, data: EMPTY_TREE_CID }, key)
    assert.deepEqual(cid, cidOf(CODEC_DAG_CBOR, block))
    const commit = decodeCommit(block)
    assert.ok(commit.ok)
    const { signature, ...rest } = commit.value
    assert.deepEqual(rest, { did: DID, rev: REV, data: EMPTY_TREE_CID, prev: null })
    assert.equal(verifier.verify(key.publicKey, unsignedBytes(block), signature), 'ok')
    const other = PrivateKey.import(curve, new Uint8Array(32).fill(6))
    const verdict = verifier.verify(other.publicKey, unsignedBytes(block), signature)
    assert.equal(verdict, 'signature-invalid')
    assert.equal(verifier.verify(key.publicKey, block, signature), 'signature-invalid')
  }
})

test('what is signed is the map without `sig`, as another encoder writes it', () => {
  const extra = fc.dictionary(
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.oneof(fc.string(), fc.maxSafeInteger(), fc.constant(null), fc.array(fc.boolean())),
    { maxKeys: 30, noNullPrototype: true },
  )
  fc.assert(
    fc.property(extra, fc.uint8Array({ maxLength: 80 }), (more, sig) => {
      const unsigned = { ...more, did: DID, version: 3, data: LINK, rev: REV, prev: null }
      const block = encodeDrisl({ ...unsigned, sig })
      const { sig: _, ...without } = decode(block) as Record<string, unknown>
      assert.deepEqual(unsignedBytes(block), encode(without))
      const commit = decodeCommit(block)
      assert.ok(commit.ok)
      assert.deepEqual(commit.value.signature, sig)
    }),
    { numRuns: 300 },
  )
})

test('the head of the map shrinks where the number of entries crosses 24', () => {
  for (const count of [17, 18, 19, 249, 250, 251]) {
    const more = Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, i]))
    const { sig: _, ...without } = FIELDS
    const block = encodeDrisl({ ...more, ...FIELDS })
    assert.deepEqual(unsignedBytes(block), encodeDrisl({ ...more, ...without }))
  }
})

function reasonOf(value: unknown): string {
  const commit = decodeCommit(value instanceof Uint8Array ? value : encodeDrisl(value))
  return commit.ok ? 'ok' : commit.reason
}

test('fields: each missing, of another type, and unknown ones', () => {
  assert.equal(reasonOf(FIELDS), 'ok')
  assert.equal(reasonOf({ ...FIELDS, more: { nested: [1] } }), 'ok')
  assert.equal(reasonOf({ ...FIELDS, prev: LINK }), 'ok')
  for (const name of Object.keys(FIELDS)) {
    assert.equal(reasonOf({ ...FIELDS, [name]: undefined }), 'commit-malformed', name)
    for (const value of [true, {}, []]) {
      assert.equal(reasonOf({ ...FIELDS, [name]: value }), 'commit-malformed', name)
    }
  }
  const raw = new CidLinkWrapper(cidOf(CODEC_RAW, new Uint8Array(0)))
  const malformed: readonly object[] = [
    { version: '3' },
    { did: LINK },
    { did: null },
    { data: raw },
    { data: null },
    { data: LINK.$link },
    { data: { $link: LINK.$link } },
    { data: new BytesWrapper(EMPTY_TREE_CID) },
    { rev: '' },
    { rev: '3lhhxizu5wr2' },
    { rev: 'zzzzzzzzzzzzz' },
    { rev: 3 },
    { prev: 'text' },
    { prev: 0 },
    { sig: 'text' },
    { sig: { $bytes: 'AAAA' } },
    { sig: null },
  ]
  for (const field of malformed) {
    assert.equal(reasonOf({ ...FIELDS, ...field }), 'commit-malformed', JSON.stringify(field))
  }
  for (const version of [0, 1, 2, 4, -3]) {
    assert.equal(reasonOf({ ...FIELDS, version }), 'commit-version')
  }
})

test('blocks that are no map of strict DRISL', () => {
  const block = encodeDrisl(FIELDS)
  for (const value of [null, 'commit', 3, [FIELDS], [], LINK, new Uint8Array(0)]) {
    assert.equal(reasonOf(value), 'commit-malformed')
  }
  assert.equal(reasonOf(concatBytes([block, Uint8Array.of(0)])), 'commit-malformed')
  assert.equal(reasonOf(new Uint8Array(200_000).fill(0x81)), 'commit-malformed')
  for (let end = 0; end < block.length; end++) {
    assert.equal(reasonOf(block.subarray(0, end)), 'commit-malformed')
  }
})

test('a flipped bit anywhere breaks the commit or its signature', () => {
  const key = PrivateKey.import('k256', new Uint8Array(32).fill(5))
  const { block } = signCommit({ did: DID, rev: REV, data: EMPTY_TREE_CID }, key)
  for (let bit = 0; bit < block.length * 8; bit++) {
    const at = bit >> 3
    const flipped = block.with(at, (block[at] ?? 0) ^ (1 << (bit & 7)))
    const commit = decodeCommit(flipped)
    if (!commit.ok) continue
    const verdict = verifier.verify(key.publicKey, unsignedBytes(flipped), commit.value.signature)
    assert.notEqual(verdict, 'ok', `bit ${bit}`)
  }
})
