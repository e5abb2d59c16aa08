import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

import {
  getPublicKeyFromDidController,
  parseDidKey as theirParseDidKey,
  parsePublicMultikey,
} from '@atcute/crypto'
import { toBase58Btc } from '@atcute/multibase'

import { findSharedDirectory } from '../../test/vectors/suite-result.ts'
import { must } from '../lib/assert.ts'
import { fromHex, toHex } from '../lib/bytes.ts'
import { ARITHMETIC, CURVES } from './curve.ts'
import { PrivateKey } from './private-key.ts'
import {
  formatDidKey,
  formatMultikey,
  parseDidKey,
  parseLegacyKey,
  parseMultikey,
  parseVerificationMethodKey,
  type PublicKey,
  publicKeyFromKept,
  publicKeyFromPoint,
  publicKeysEqual,
} from './public-key.ts'

const LEGACY_TYPE = {
  k256: 'EcdsaSecp256k1VerificationKey2019',
  p256: 'EcdsaSecp256r1VerificationKey2019',
} as const
const THEIR_TYPE = { k256: 'secp256k1', p256: 'p256' } as const
const CODEC = { k256: 'e701', p256: '8024' } as const

function uncompressed(key: PublicKey): Uint8Array {
  return ARITHMETIC[key.curve].Point.fromBytes(key.bytes).toBytes(false)
}

function multibase(hex: string): string {
  return `z${toBase58Btc(must(fromHex(hex), 'hex'))}`
}

for (const curve of CURVES) {
  test(`${curve}: every text form gives back the key, and another library reads the same`, () => {
    for (let i = 0; i < 8; i++) {
      const key = PrivateKey.generate(curve).publicKey
      const multikey = formatMultikey(key)
      assert.match(multikey, curve === 'k256' ? /^zQ3s/ : /^zDna/)
      const theirs = parsePublicMultikey(multikey)
      assert.equal(theirs.type, THEIR_TYPE[curve])
      assert.equal(toHex(theirs.publicKeyBytes), toHex(key.bytes))
      assert.equal(toHex(theirParseDidKey(formatDidKey(key)).publicKeyBytes), toHex(key.bytes))
      const forms = [
        parseMultikey(multikey),
        parseDidKey(`did:key:${multikey}`),
        parseLegacyKey(LEGACY_TYPE[curve], multibase(toHex(key.bytes))),
        parseLegacyKey(LEGACY_TYPE[curve], multibase(toHex(uncompressed(key)))),
        parseVerificationMethodKey('Multikey', multikey),
        parseVerificationMethodKey(LEGACY_TYPE[curve], multibase(toHex(uncompressed(key)))),
        publicKeyFromPoint(curve, key.bytes),
      ]
      for (const form of forms) assert.ok(form !== null && publicKeysEqual(form, key))
    }
  })

  test(`${curve}: text cut anywhere or with any character changed is never a crash`, () => {
    const key = PrivateKey.generate(curve).publicKey
    const multikey = formatMultikey(key)
    for (let length = 0; length < multikey.length; length++) {
      assert.equal(parseMultikey(multikey.slice(0, length)), null, `length=${length}`)
    }
    let keys = 0
    for (let i = 0; i < multikey.length; i++) {
      for (const other of ['1', 'z', '0', 'O', 'é', '\0']) {
        if (multikey[i] === other) continue
        const found = parseMultikey(multikey.slice(0, i) + other + multikey.slice(i + 1))
        if (found === null) continue
        keys++
        assert.ok(!publicKeysEqual(found, key))
        assert.ok(ARITHMETIC[curve].utils.isValidPublicKey(found.bytes, true))
      }
    }
    assert.ok(keys > 0, 'half of all x coordinates are on the curve')
  })

  test(`${curve}: points that are not on the curve, of the other curve, or of no form`, () => {
    const key = PrivateKey.generate(curve).publicKey
    const point = uncompressed(key)
    const shifted = new Uint8Array(point)
    shifted[64] = (shifted[64] ?? 0) ^ 1
    assert.equal(publicKeyFromPoint(curve, shifted), null)
    assert.equal(publicKeyFromPoint(curve, new Uint8Array(33)), null)
    assert.equal(publicKeyFromPoint(curve, new Uint8Array(65)), null)
    assert.equal(publicKeyFromPoint(curve, new Uint8Array([0])), null, 'infinity')
    for (const first of [0, 1, 4, 5, 6, 7, 255]) {
      assert.equal(publicKeyFromPoint(curve, Uint8Array.of(first, ...key.bytes.slice(1))), null)
    }
    for (const first of [0, 2, 3, 5, 6, 7]) {
      assert.equal(publicKeyFromPoint(curve, Uint8Array.of(first, ...point.slice(1))), null)
    }
    const other = curve === 'k256' ? 'p256' : 'k256'
    assert.equal(publicKeyFromPoint(other, point), null)
    assert.equal(parseLegacyKey(LEGACY_TYPE[other], multibase(toHex(point))), null)
  })

  test(`${curve}: a kept key is the same key, and what has not its form is none`, () => {
    const key = PrivateKey.generate(curve).publicKey
    const kept = publicKeyFromKept(curve, key.bytes)
    assert.deepEqual(kept, key)
    assert.notEqual(kept?.bytes, key.bytes, 'a copy')
    assert.equal(publicKeyFromKept(curve, uncompressed(key)), null)
    assert.equal(publicKeyFromKept(curve, key.bytes.subarray(0, 32)), null)
    for (const first of [0, 1, 4, 255]) {
      assert.equal(publicKeyFromKept(curve, Uint8Array.of(first, ...key.bytes.slice(1))), null)
    }
  })

  test(`${curve}: what has another prefix, size or codec is not a multikey`, () => {
    const hex = toHex(PrivateKey.generate(curve).publicKey.bytes)
    assert.ok(parseMultikey(multibase(CODEC[curve] + hex)) !== null)
    assert.equal(parseMultikey(multibase(hex)), null)
    assert.equal(parseMultikey(multibase(`ed01${hex}`)), null)
    assert.equal(parseMultikey(multibase(`${CODEC[curve].slice(0, 2)}02${hex}`)), null)
    assert.equal(parseMultikey(multibase(`${CODEC[curve]}${hex}00`)), null)
    assert.equal(parseMultikey(multibase(`00${CODEC[curve]}${hex}`)), null)
    assert.equal(parseMultikey(multibase(CODEC[curve] + hex).slice(1)), null)
    assert.equal(parseMultikey(`f${CODEC[curve]}${hex}`), null)
    assert.equal(parseMultikey(`z${'1'.repeat(1_000_000)}`), null)
    assert.equal(parseDidKey(multibase(CODEC[curve] + hex)), null)
    assert.equal(parseDidKey(`did:key:did:key:${multibase(CODEC[curve] + hex)}`), null)
    assert.equal(parseLegacyKey(LEGACY_TYPE[curve], multibase(CODEC[curve] + hex)), null)
    assert.equal(parseLegacyKey('Multikey', multibase(hex)), null)
    assert.equal(parseLegacyKey('toString', multibase(hex)), null)
    assert.equal(parseLegacyKey('__proto__', multibase(hex)), null)
  })
}

test('a key keeps a copy of the bytes that it was made from', () => {
  const bytes = new Uint8Array(PrivateKey.generate('k256').publicKey.bytes)
  const key = must(publicKeyFromPoint('k256', bytes), 'key')
  bytes.fill(0)
  assert.notEqual(key.bytes[0], 0)
  assert.ok(Object.isFrozen(key))
})

interface DidDocument {
  readonly verificationMethod: readonly {
    readonly type: string
    readonly publicKeyMultibase: string
  }[]
}

test('keys of recorded DID documents, legacy and Multikey, as another library reads them', (t) => {
  const directory = findSharedDirectory()
  if (directory === null) return t.skip('../shared is absent')
  let methods = 0
  for (const file of ['pds-capture/diddocs.json', 'relay-frames/did-docs.json']) {
    const path = `${directory}/vectors/${file}`
    if (!existsSync(path)) continue
    const documents: Record<string, DidDocument> = JSON.parse(readFileSync(path, 'utf8'))
    for (const document of Object.values(documents)) {
      for (const method of document.verificationMethod ?? []) {
        const theirs = getPublicKeyFromDidController(method)
        const ours = parseVerificationMethodKey(method.type, method.publicKeyMultibase)
        assert.ok(ours !== null, method.publicKeyMultibase)
        assert.equal(THEIR_TYPE[ours.curve], theirs.type)
        const compressed = ARITHMETIC[ours.curve].Point.fromBytes(theirs.publicKeyBytes)
        assert.equal(toHex(ours.bytes), toHex(compressed.toBytes(true)))
        methods++
      }
    }
  }
  assert.ok(methods > 0)
})
