import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { loadEveryVerifier } from '../../test/vectors/suite-crypto.ts'
import { must } from '../lib/assert.ts'
import { fromHex, toHex } from '../lib/bytes.ts'
import { SkeinError } from '../lib/errors.ts'
import { seededRandom } from '../lib/random.ts'
import type { BackendLoader } from './backend.ts'
import { type Curve, CURVES, ORDER_BOUNDS, SCALAR_BYTES } from './curve.ts'
import { PrivateKey } from './private-key.ts'
import { publicKeyFromKept, publicKeyFromPoint } from './public-key.ts'
import { runtime as nodeRuntime } from './runtime.node.ts'
import type { Runtime } from './runtime.ts'
import { runtime as webRuntime } from './runtime.web.ts'
import type { SignatureVerdict } from './signature-form.ts'
import { backendLoaders, loadVerifier, type SignatureVerifier } from './verifier.ts'

/** The same signature with n - S for S: good for the mathematics, refused by the specification. */
function withHighS(curve: Curve, signature: Uint8Array): Uint8Array {
  const order = BigInt(`0x${toHex(ORDER_BOUNDS[curve].order)}`)
  const s = BigInt(`0x${toHex(signature.subarray(SCALAR_BYTES))}`)
  const flipped = (order - s).toString(16).padStart(64, '0')
  const out = new Uint8Array(signature)
  out.set(must(fromHex(flipped), 'scalar'), SCALAR_BYTES)
  return out
}

async function verdict(
  verifier: SignatureVerifier,
  ...[key, message, signature]: Parameters<SignatureVerifier['verify']>
): Promise<SignatureVerdict> {
  const now = verifier.verify(key, message, signature)
  assert.equal(await verifier.verifyAsync(key, message, signature), now, 'async agrees')
  return now
}

for (const { name, curve, verifier } of await loadEveryVerifier()) {
  const key = PrivateKey.generate(curve)
  const message = new Uint8Array(300).fill(7)
  const signature = key.sign(message)

  test(`${name}: accepts good signatures over messages of many sizes`, async () => {
    for (const length of [0, 1, 31, 32, 33, 64, 1_000]) {
      const text = new Uint8Array(length).fill(length)
      assert.equal(await verdict(verifier, key.publicKey, text, key.sign(text)), 'ok')
    }
    const inLarger = Uint8Array.of(1, ...signature, 2).subarray(1, 65)
    assert.equal(await verdict(verifier, key.publicKey, message, inLarger), 'ok')
  })

  test(`${name}: refuses a high S that the mathematics accepts`, async () => {
    const high = withHighS(curve, signature)
    assert.equal(await verdict(verifier, key.publicKey, message, high), 'signature-high-s')
  })

  test(`${name}: under a kept key that is no point any more, nothing is valid`, async () => {
    const kept = must(publicKeyFromKept(curve, key.publicKey.bytes), 'kept key')
    assert.equal(await verdict(verifier, kept, message, signature), 'ok')
    let off = 0
    for (let change = 1; change < 40; change++) {
      const bytes = new Uint8Array(kept.bytes)
      bytes[32] = (bytes[32] ?? 0) ^ change
      const damaged = must(publicKeyFromKept(curve, bytes), 'key of the right form')
      if (publicKeyFromPoint(curve, bytes) === null) off++
      assert.equal(await verdict(verifier, damaged, message, signature), 'signature-invalid')
    }
    assert.ok(off > 0, 'some of them are not on the curve')
  })

  test(`${name}: refuses other messages, keys and curves`, async () => {
    const other = new Uint8Array(message)
    other[299] = 8
    assert.equal(await verdict(verifier, key.publicKey, other, signature), 'signature-invalid')
    const stranger = PrivateKey.generate(curve).publicKey
    assert.equal(await verdict(verifier, stranger, message, signature), 'signature-invalid')
    const otherCurve = PrivateKey.generate(curve === 'k256' ? 'p256' : 'k256')
    const wrongCurve = await verdict(verifier, otherCurve.publicKey, message, signature)
    assert.notEqual(wrongCurve, 'ok')
    const wrongSignature = await verdict(verifier, key.publicKey, message, otherCurve.sign(message))
    assert.notEqual(wrongSignature, 'ok')
  })

  test(`${name}: refuses every size, zero and order, without throwing`, async () => {
    const { order } = ORDER_BOUNDS[curve]
    const parts = { r: signature.subarray(0, 32), s: signature.subarray(32) }
    const zero = new Uint8Array(32)
    const bad = [
      [...zero, ...parts.s],
      [...parts.r, ...zero],
      [...order, ...parts.s],
      [...parts.r, ...order],
      Array.from({ length: 64 }, () => 0xff),
      Array.from({ length: 64 }, () => 0),
    ]
    for (let length = 0; length < 64; length++) bad.push([...signature.subarray(0, length)])
    bad.push([...signature, 0], [...signature, ...signature])
    for (const bytes of bad) {
      const found = await verdict(verifier, key.publicKey, message, Uint8Array.from(bytes))
      assert.equal(found, 'signature-malformed')
    }
  })

  test(`${name}: no single flipped bit of a signature is accepted`, async () => {
    const random = seededRandom(11)
    const flips = name.endsWith('noble') ? 24 : 512
    for (let i = 0; i < flips; i++) {
      const bit = flips === 512 ? i : Math.floor(random.next() * 512)
      const flipped = new Uint8Array(signature)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.notEqual(verifier.verify(key.publicKey, message, flipped), 'ok', `bit=${bit}`)
    }
    assert.equal(verifier.verify(key.publicKey, message, signature), 'ok', 'the original is good')
  })
}

test('the default takes the first that loads and says what it skipped', async () => {
  const verifier = await loadVerifier()
  for (const curve of CURVES) {
    const names = backendLoaders(curve).map((loader) => loader.name)
    const skipped = verifier.skipped.filter((entry) => entry.curve === curve)
    assert.equal(names.indexOf(verifier.backends[curve]), skipped.length)
  }
  const web = await loadVerifier({ runtime: webRuntime })
  assert.deepEqual(web.backends, { k256: 'noble', p256: 'noble' })
})

test('a preferred implementation is used or refused, never replaced', async () => {
  const verifier = await loadVerifier({ prefer: { k256: 'node-crypto', p256: 'noble' } })
  assert.deepEqual(verifier.backends, { k256: 'node-crypto', p256: 'noble' })
  await assert.rejects(loadVerifier({ prefer: { k256: 'elliptic' } }), { code: 'OPTION_INVALID' })
  const runtime = withLoaders(nodeRuntime, [failing('absent', 'load')])
  await assert.rejects(loadVerifier({ runtime, prefer: { k256: 'absent' } }), {
    code: 'CRYPTO_UNAVAILABLE',
  })
})

/** A k256 implementation with a fault. `calls` proves that the fault was met. */
function failing(
  name: string,
  fault: 'load' | 'accept-all' | 'refuse-all' | 'throw',
): BackendLoader & { calls: number } {
  const loader: BackendLoader & { calls: number } = {
    name,
    curve: 'k256',
    calls: 0,
    load() {
      if (fault === 'load') {
        loader.calls++
        throw new Error('no binary')
      }
      return {
        name,
        curve: 'k256',
        verify() {
          loader.calls++
          if (fault === 'throw') throw new Error('broken')
          return fault === 'accept-all'
        },
      }
    },
  }
  return loader
}

function withLoaders(runtime: Runtime, k256: readonly BackendLoader[]): Runtime {
  return { ...runtime, backends: { ...runtime.backends, k256 } }
}

test('implementations that fail to load or to prove themselves are skipped, with the reason', async () => {
  const faults = [
    failing('absent', 'load'),
    failing('credulous', 'accept-all'),
    failing('suspicious', 'refuse-all'),
    failing('broken', 'throw'),
  ]
  const runtime = withLoaders(nodeRuntime, [...faults, ...webRuntime.backends.k256])
  const verifier = await loadVerifier({ runtime })
  assert.equal(verifier.backends.k256, 'noble')
  assert.deepEqual(
    verifier.skipped.map((entry) => entry.name),
    ['absent', 'credulous', 'suspicious', 'broken'],
  )
  assert.match(verifier.skipped[0]?.why ?? '', /no binary/)
  assert.match(verifier.skipped[1]?.why ?? '', /wrong verdict/)
  assert.match(verifier.skipped[3]?.why ?? '', /threw broken/)
  for (const fault of faults) assert.ok(fault.calls > 0, fault.name)
})

test('when nothing loads, that is an error', async () => {
  const runtime = withLoaders(nodeRuntime, [failing('absent', 'load')])
  await assert.rejects(
    loadVerifier({ runtime }),
    (thrown) => thrown instanceof SkeinError && thrown.code === 'CRYPTO_UNAVAILABLE',
  )
})

test('an implementation that throws after its self-test refuses the signature', async () => {
  const good = must(webRuntime.backends.k256[0], 'noble')
  let faults = 0
  const tricky: BackendLoader = {
    name: 'tricky',
    curve: 'k256',
    async load() {
      const backend = await good.load()
      return {
        ...backend,
        verify(key, message, signature) {
          if (message.length < 100) return backend.verify(key, message, signature)
          faults++
          throw new Error('out of memory')
        },
      }
    },
  }
  const verifier = await loadVerifier({ runtime: withLoaders(nodeRuntime, [tricky]) })
  const key = PrivateKey.generate('k256')
  const message = new Uint8Array(100)
  assert.equal(verifier.verify(key.publicKey, message, key.sign(message)), 'signature-invalid')
  assert.equal(faults, 1)
})

test('two worker threads load the same implementations as this one', async () => {
  const here = await loadVerifier()
  const url = new URL('verifier.ts', import.meta.url).href
  const source = `
    const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(url)})
      .then((module) => module.loadVerifier())
      .then((verifier) => parentPort.postMessage(verifier.backends))`
  const answers = [1, 2].map(
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(source, { eval: true })
        worker.once('message', resolve).once('error', reject)
      }),
  )
  for (const backends of await Promise.all(answers)) assert.deepEqual(backends, here.backends)
})
