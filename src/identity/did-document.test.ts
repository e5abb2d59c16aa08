import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ARITHMETIC } from '../crypto/curve.ts'
import { formatMultikey, parseMultikey } from '../crypto/public-key.ts'
import { utf8 } from '../lib/bytes.ts'
import { parseDidDocument, readDidDocument } from './did-document.ts'
import type { DidDocument } from './did-document.ts'
import { didDocument, OTHER_KEY, plcDid, TEST_KEY } from './testing/documents.ts'

const VECTORS = new URL('../../../shared/vectors/', import.meta.url)
const RELAY_DOCUMENTS = new URL('relay-frames/did-docs.json', VECTORS)
const PDS_DOCUMENTS = new URL('pds-capture/diddocs.json', VECTORS)
const DID = plcDid(1)

interface RawDocument {
  readonly id: string
  readonly alsoKnownAs: readonly string[]
  readonly verificationMethod: readonly { readonly publicKeyMultibase: string }[]
  readonly service: readonly { readonly serviceEndpoint: string }[]
}

function load(file: URL): Readonly<Record<string, RawDocument>> {
  const documents: Readonly<Record<string, RawDocument>> = JSON.parse(readFileSync(file, 'utf8'))
  return documents
}

function read(value: unknown, did = DID): DidDocument {
  const parsed = readDidDocument(did, value)
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.detail)
  return parsed.value
}

function keyText(document: DidDocument): string | null {
  return document.signingKey === null ? null : formatMultikey(document.signingKey)
}

test(
  'documents of the public directory (Multikey)',
  { skip: existsSync(RELAY_DOCUMENTS) ? false : '../shared is absent' },
  () => {
    const documents = Object.entries(load(RELAY_DOCUMENTS))
    assert.equal(documents.length, 148)
    for (const [did, raw] of documents) {
      const parsed = parseDidDocument(did, utf8(JSON.stringify(raw)))
      assert.ok(parsed.ok)
      assert.equal(keyText(parsed.value), raw.verificationMethod[0]?.publicKeyMultibase)
      assert.equal(parsed.value.pdsEndpoint, raw.service[0]?.serviceEndpoint)
      assert.equal(`https://${parsed.value.pdsHostname}`, raw.service[0]?.serviceEndpoint)
      assert.equal(`at://${parsed.value.handle}`, raw.alsoKnownAs[0])
    }
  },
)

test(
  'documents of the reference directory package (legacy key, relative ids)',
  { skip: existsSync(PDS_DOCUMENTS) ? false : '../shared is absent' },
  () => {
    const documents = Object.entries(load(PDS_DOCUMENTS))
    assert.equal(documents.length, 3)
    for (const [did, raw] of documents) {
      const document = read(raw, did)
      assert.equal(document.signingKey?.curve, 'k256')
      assert.equal(document.signingKey?.bytes.length, 33)
      assert.equal(document.pdsEndpoint, 'http://localhost:2583')
      assert.equal(document.pdsHostname, 'localhost:2583')
      assert.equal(`at://${document.handle}`, raw.alsoKnownAs[0])
    }
  },
)

/** `z` and base58 of the uncompressed point: independent of the reader, by the curve library. */
function legacyText(multikey: string): string {
  const key = parseMultikey(multikey)
  assert.ok(key !== null)
  const point = ARITHMETIC[key.curve].Point.fromBytes(key.bytes).toBytes(false)
  let number = BigInt(`0x${Buffer.from(point).toString('hex')}`)
  let text = ''
  const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  for (; number > 0n; number /= 58n) text = (digits[Number(number % 58n)] ?? '') + text
  return `z${text}`
}

function withKey(...methods: readonly unknown[]): Record<string, unknown> {
  return { ...didDocument(DID), verificationMethod: methods }
}

test('both legacy key types, with absolute and relative ids', () => {
  const cases = [
    ['EcdsaSecp256k1VerificationKey2019', TEST_KEY],
    ['EcdsaSecp256r1VerificationKey2019', OTHER_KEY],
  ] as const
  for (const [type, multikey] of cases) {
    for (const id of ['#atproto', `${DID}#atproto`]) {
      const publicKeyMultibase = legacyText(multikey)
      const document = read(withKey({ id, type, controller: DID, publicKeyMultibase }))
      assert.equal(keyText(document), multikey)
    }
  }
})

const GOOD_METHOD = {
  id: '#atproto',
  type: 'Multikey',
  controller: DID,
  publicKeyMultibase: OTHER_KEY,
}

test('the first valid key counts; the others are passed over', () => {
  const useless = [
    { ...GOOD_METHOD, publicKeyMultibase: TEST_KEY, id: '#atproto_label' },
    { ...GOOD_METHOD, publicKeyMultibase: TEST_KEY, id: `${plcDid(2)}#atproto` },
    { ...GOOD_METHOD, publicKeyMultibase: TEST_KEY, id: `x${DID}#atproto` },
    { ...GOOD_METHOD, publicKeyMultibase: TEST_KEY, controller: plcDid(2) },
    { ...GOOD_METHOD, publicKeyMultibase: TEST_KEY, controller: [DID] },
    { ...GOOD_METHOD, publicKeyMultibase: TEST_KEY, type: 'JsonWebKey2020' },
    { ...GOOD_METHOD, publicKeyMultibase: `${TEST_KEY}1` },
    { ...GOOD_METHOD, publicKeyMultibase: 7 },
    { ...GOOD_METHOD, publicKeyMultibase: legacyText(TEST_KEY) },
    { type: 'Multikey', publicKeyMultibase: TEST_KEY },
    null,
    'text',
    [[]],
  ]
  assert.equal(keyText(read(withKey(...useless))), null)
  assert.equal(keyText(read(withKey(...useless, GOOD_METHOD))), OTHER_KEY)
  const second = { ...GOOD_METHOD, publicKeyMultibase: TEST_KEY }
  assert.equal(keyText(read(withKey(GOOD_METHOD, second))), OTHER_KEY)
})

const GOOD_SERVICE = {
  id: '#atproto_pds',
  type: 'AtprotoPersonalDataServer',
  serviceEndpoint: 'https://good.example.com',
}

test('the first PDS of the right name and type counts, even if it is unusable', () => {
  const hostOf = (...service: readonly unknown[]): string | null =>
    read({ ...didDocument(DID), service }).pdsHostname
  const other = { ...GOOD_SERVICE, serviceEndpoint: 'https://other.example.com' }
  assert.equal(hostOf(GOOD_SERVICE, other), 'good.example.com')
  assert.equal(hostOf({ ...other, id: '#bsky_chat' }, GOOD_SERVICE), 'good.example.com')
  assert.equal(hostOf({ ...other, type: 'AtprotoLabeler' }, GOOD_SERVICE), 'good.example.com')
  assert.equal(hostOf({ ...GOOD_SERVICE, id: `${DID}#atproto_pds` }), 'good.example.com')
  assert.equal(hostOf({ ...GOOD_SERVICE, id: `${plcDid(2)}#atproto_pds` }), null)
  assert.equal(hostOf({ ...other, serviceEndpoint: 'https://a.com/path' }, GOOD_SERVICE), null)
})

test('a service endpoint is scheme, host and port', () => {
  const cases: readonly (readonly [unknown, string | null])[] = [
    ['https://PDS.example.com/', 'pds.example.com'],
    ['https://pds.example.com:8443', 'pds.example.com:8443'],
    ['http://localhost:2583', 'localhost:2583'],
    ['https://pds.example.com/xrpc', null],
    ['https://pds.example.com?x', null],
    ['https://user@pds.example.com', null],
    ['https://10.0.0.1', null],
    ['https://[::1]', null],
    ['wss://pds.example.com', null],
    ['pds.example.com', null],
    [`https://${'a'.repeat(100_000)}.com`, null],
    [{ uri: 'https://pds.example.com' }, null],
    [['https://pds.example.com'], null],
    [null, null],
  ]
  for (const [serviceEndpoint, hostname] of cases) {
    const document = read({ ...didDocument(DID), service: [{ ...GOOD_SERVICE, serviceEndpoint }] })
    assert.equal(document.pdsHostname, hostname)
    assert.equal(document.pdsEndpoint === null, hostname === null)
  }
})

test('the handle is the first alias that is one', () => {
  const aliases = ['https://a.com', 'at://', 'at://no_handle', 'at://a.com/path', 7, null]
  const document = read({ ...didDocument(DID), alsoKnownAs: [...aliases, 'at://Bob.Example.com'] })
  assert.equal(document.handle, 'bob.example.com')
  assert.equal(read({ ...didDocument(DID), alsoKnownAs: aliases }).handle, null)
})

test('a document of another DID, or no document, is refused', () => {
  const values = [null, 7, 'x', [], [didDocument(DID)], {}, { id: [DID] }, didDocument(plcDid(2))]
  for (const value of [...values, { id: `${DID} ` }, { id: DID.toUpperCase() }]) {
    const parsed = readDidDocument(DID, value)
    assert.ok(!parsed.ok)
    assert.equal(parsed.reason, 'did-document-invalid')
  }
})

test('inherited properties and __proto__ do not count', () => {
  const text = `{"__proto__":${JSON.stringify(didDocument(DID))}}`
  assert.ok(!parseDidDocument(DID, utf8(text)).ok)
  const sneaky = `{"id":"${DID}","__proto__":${JSON.stringify(didDocument(DID))}}`
  const parsed = parseDidDocument(DID, utf8(sneaky))
  const nothing = { did: DID, signingKey: null, pdsEndpoint: null, pdsHostname: null, handle: null }
  assert.deepEqual(parsed, { ok: true, value: nothing })
})

test('wrong types anywhere are as good as absent', () => {
  for (const wrong of [null, 0, true, 'text', {}, [[]], [null], [0], { length: 1e9 }]) {
    const document = { id: DID, alsoKnownAs: wrong, verificationMethod: wrong, service: wrong }
    assert.equal(read(document).signingKey, null)
  }
})

test('huge and deep documents cost little', () => {
  const started = performance.now()
  const bad = { ...GOOD_METHOD, publicKeyMultibase: `zQ3sh${'z'.repeat(60)}` }
  const many = {
    id: DID,
    alsoKnownAs: Array.from({ length: 1e5 }, () => 'at://x'),
    verificationMethod: Array.from({ length: 1e5 }, () => bad),
    service: Array.from({ length: 1e5 }, () => ({ ...GOOD_SERVICE, id: '#x' })),
  }
  assert.equal(read(many).signingKey, null)
  const long = { ...GOOD_METHOD, publicKeyMultibase: `z${'Q'.repeat(250_000)}` }
  assert.equal(read(withKey(long)).signingKey, null)
  const deep = utf8(`{"id":"${DID}","service":${'['.repeat(1e5)}${']'.repeat(1e5)}}`)
  assert.ok(parseDidDocument(DID, deep).ok)
  assert.ok(performance.now() - started < 2_000)
})

test('every cut and every flipped bit gives a document or a refusal', () => {
  const whole = utf8(JSON.stringify(didDocument(DID)))
  for (let length = 0; length < whole.length; length++) {
    assert.ok(!parseDidDocument(DID, whole.subarray(0, length)).ok)
  }
  let refused = 0
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = Uint8Array.from(whole)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    if (!parseDidDocument(DID, flipped).ok) refused++
  }
  assert.ok(refused > 500)
})
