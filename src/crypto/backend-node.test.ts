import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { test } from 'node:test'

import { nodeK256, nodeP256 } from './backend-node.ts'
import { loadBackend, type BackendLoader } from './backend.ts'
import { publicKeyFromPoint } from './public-key.ts'

const SIGNATURES = 2_000
const CURVES = [
  [nodeP256, 'P-256'],
  [nodeK256, 'secp256k1'],
] as const

/** The compressed point of a key. */
function pointOf({ x = '', y = '' }: { readonly x?: string; readonly y?: string }): Uint8Array {
  const bytes = Buffer.from(y, 'base64url')
  const isOdd = ((bytes.at(-1) ?? 0) & 1) === 1
  return new Uint8Array([isOdd ? 3 : 2, ...Buffer.from(x, 'base64url')])
}

function samples(namedCurve: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve })
  const dsaEncoding = 'ieee-p1363'
  return {
    point: pointOf(publicKey.export({ format: 'jwk' })),
    signed: (message: Uint8Array) =>
      new Uint8Array(sign('sha256', message, { key: privateKey, dsaEncoding })),
    judge: (message: Uint8Array, signature: Uint8Array) =>
      verify('sha256', message, { key: publicKey, dsaEncoding }, signature),
  }
}

async function compare(loader: BackendLoader, namedCurve: string): Promise<void> {
  const backend = await loadBackend(loader)
  const { point, signed, judge } = samples(namedCurve)
  const key = publicKeyFromPoint(loader.curve, point)
  assert(key !== null)
  let [zeros, highs] = [0, 0]
  for (let i = 0; i < SIGNATURES; i++) {
    const message = new Uint8Array([i, i >> 8])
    const signature = signed(message)
    if (signature[0] === 0 || signature[32] === 0) zeros++
    if ((signature[0] ?? 0) >= 0x80) highs++
    assert(backend.verify(key, message, signature), Buffer.from(signature).toString('hex'))
    const bent = signature.with(i % 64, (signature[i % 64] ?? 0) ^ (1 << (i % 8)))
    assert.equal(backend.verify(key, message, bent), judge(message, bent))
  }
  assert(zeros > 0 && highs > 0 && highs < SIGNATURES, `${zeros} short, ${highs} padded`)
  for (const fill of [0, 1, 0x7f, 0x80, 0xff]) {
    const odd = new Uint8Array(64).fill(fill)
    assert.equal(backend.verify(key, point, odd), judge(point, odd), `all ${fill}`)
    odd.fill(0, 0, 32)
    assert.equal(backend.verify(key, point, odd), judge(point, odd), `R is 0, S of ${fill}`)
  }
}

for (const [loader, namedCurve] of CURVES) {
  test(`${namedCurve}: verdicts are those of node:crypto on R || S, whatever its integers`, () =>
    compare(loader, namedCurve))
}
