/** Known answers that a signature backend must give before it is used. */
import { must } from '../lib/assert.ts'
import { fromHex, utf8 } from '../lib/bytes.ts'
import type { SignatureBackend } from './backend.ts'
import type { Curve } from './curve.ts'
import { publicKeyFromPoint } from './public-key.ts'

interface KnownSignature {
  readonly point: string
  readonly message: string
  readonly signature: string
}

/**
 * k256: private key 1, so the point is the generator (SEC 2, 2.4.1), with the deterministic
 * signature that Bitcoin libraries share as a test case. p256: RFC 6979, A.2.5, SHA-256, message
 * "test".
 */
const KNOWN_SIGNATURES: Readonly<Record<Curve, KnownSignature>> = {
  k256: {
    point: '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
    message: 'Satoshi Nakamoto',
    signature:
      '934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8' +
      '2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5',
  },
  p256: {
    point: '0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6',
    message: 'test',
    signature:
      'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367' +
      '019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
  },
}

/** True when `backend` accepts a known signature and refuses it for another message. May throw. */
export function passesSelfTest(backend: SignatureBackend): boolean {
  const known = KNOWN_SIGNATURES[backend.curve]
  const point = must(fromHex(known.point), 'known point')
  const signature = must(fromHex(known.signature), 'known signature')
  const key = must(publicKeyFromPoint(backend.curve, point), 'known key')
  return (
    backend.verify(key, utf8(known.message), signature) &&
    !backend.verify(key, utf8(`${known.message}.`), signature)
  )
}
