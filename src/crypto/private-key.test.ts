import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'

import {
  P256PrivateKey,
  P256PublicKey,
  Secp256k1PrivateKey,
  Secp256k1PublicKey,
} from '@atcute/crypto'

import { must } from '../lib/assert.ts'
import { fromHex, toHex, utf8 } from '../lib/bytes.ts'
import { SkeinError } from '../lib/errors.ts'
import { ARITHMETIC, CURVES, type Curve, ORDER_BOUNDS } from './curve.ts'
import { PrivateKey } from './private-key.ts'
import { runtime as nodeRuntime } from './runtime.node.ts'
import { sha256 } from './sha256.ts'
import { loadVerifier } from './verifier.ts'

interface KnownSignature {
  readonly curve: Curve
  readonly secret: string
  readonly message: string
  readonly signature: string
}

/**
 * p256: RFC 6979, A.2.5, SHA-256; "sample" has a high S there, so n - S stands here. k256: test
 * cases that Bitcoin libraries share.
 */
const KNOWN_SIGNATURES: readonly KnownSignature[] = [
  {
    curve: 'p256',
    secret: 'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721',
    message: 'test',
    signature:
      'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367' +
      '019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
  },
  {
    curve: 'p256',
    secret: 'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721',
    message: 'sample',
    signature:
      'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
      '0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9',
  },
  {
    curve: 'k256',
    secret: '0000000000000000000000000000000000000000000000000000000000000001',
    message: 'Satoshi Nakamoto',
    signature:
      '934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8' +
      '2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5',
  },
  {
    curve: 'k256',
    secret: '0000000000000000000000000000000000000000000000000000000000000001',
    message: 'All those moments will be lost in time, like tears in rain. Time to die...',
    signature:
      '8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b' +
      '547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21',
  },
]

function keyOf(curve: Curve, secret: string): PrivateKey {
  return PrivateKey.import(curve, must(fromHex(secret), 'secret'))
}

test('signatures are those of the published test cases', () => {
  for (const { curve, secret, message, signature } of KNOWN_SIGNATURES) {
    assert.equal(toHex(keyOf(curve, secret).sign(utf8(message))), signature)
  }
})

test('the fast k256 signer and the portable one give the same bytes', (t) => {
  const signer = nodeRuntime.createK256Signer()
  if (signer === null) return t.skip('the secp256k1 addon does not load here')
  for (let i = 0; i < 20; i++) {
    const secret = PrivateKey.generate('k256').export()
    const digest = sha256(secret)
    const portable = ARITHMETIC.k256.sign(digest, secret, { prehash: false, lowS: true })
    assert.equal(toHex(signer(digest, secret)), toHex(portable))
  }
})

for (const curve of CURVES) {
  test(`${curve}: another library verifies what is signed here, and the reverse`, async () => {
    const verifier = await loadVerifier()
    const [TheirPrivate, TheirPublic] =
      curve === 'k256' ? [Secp256k1PrivateKey, Secp256k1PublicKey] : [P256PrivateKey, P256PublicKey]
    for (let i = 0; i < 10; i++) {
      const key = PrivateKey.generate(curve)
      const message = new Uint8Array(i * 37).fill(i)
      const theirPublic = await TheirPublic.importRaw(new Uint8Array(key.publicKey.bytes))
      const signature = new Uint8Array(key.sign(message))
      assert.equal(signature.length, 64)
      assert.equal(await theirPublic.verify(signature, message), true)
      const theirPrivate = await TheirPrivate.importRaw(new Uint8Array(key.export()))
      const theirs = await theirPrivate.sign(message)
      assert.equal(verifier.verify(key.publicKey, message, theirs), 'ok')
    }
  })

  test(`${curve}: export and import give the same key, and copies`, () => {
    const key = PrivateKey.generate(curve)
    const secret = key.export()
    const again = PrivateKey.import(curve, secret)
    secret.fill(0)
    assert.deepEqual(again.publicKey, key.publicKey)
    assert.equal(toHex(again.sign(utf8('a'))), toHex(key.sign(utf8('a'))))
    assert.notEqual(toHex(key.export()), '00'.repeat(32))
  })

  test(`${curve}: scalars out of range and other sizes are refused without showing them`, () => {
    const { order } = ORDER_BOUNDS[curve]
    const tooShort = new Uint8Array(31).fill(0xab)
    const bad = [new Uint8Array(32), order, new Uint8Array(32).fill(0xff), tooShort]
    for (const secret of [...bad, new Uint8Array(33).fill(1), new Uint8Array(0)]) {
      assert.throws(
        () => PrivateKey.import(curve, secret),
        (thrown) =>
          thrown instanceof SkeinError &&
          thrown.code === 'KEY_INVALID' &&
          !/abab|255|171/.test(inspect(thrown, { depth: 5 })),
      )
    }
  })

  test(`${curve}: no way of printing a private key shows the secret`, () => {
    const key = PrivateKey.generate(curve)
    const secret = key.export()
    const shown = [
      String(key),
      key.toString(),
      JSON.stringify({ key }),
      inspect(key, { showHidden: true, depth: null, getters: true }),
      inspect(structuredClone({ key: Object.entries(key) }), { depth: null }),
      Object.values(key).join(),
    ].join('\n')
    assert.ok(shown.includes('did:key:'))
    assert.ok(!shown.includes(toHex(secret)))
    assert.ok(!shown.includes(Buffer.from(secret).toString('base64').slice(0, 20)))
    assert.ok(!shown.replaceAll(/\s/g, '').includes(secret.slice(0, 8).join(',')))
    assert.ok(!shown.includes(BigInt(`0x${toHex(secret)}`).toString()))
  })
}
