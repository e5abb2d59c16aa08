/** The interoperability vectors of atproto for keys and signatures, on every backend that loads. */
import { readFile } from 'node:fs/promises'

import { fromBase58Btc } from '@atcute/multibase'

import { runtime as nodeRuntime } from '../../src/crypto/runtime.node.ts'
import { runtime as webRuntime } from '../../src/crypto/runtime.web.ts'
import { loadBackend } from '../../src/crypto/backend.ts'
import { type Curve, CURVES } from '../../src/crypto/curve.ts'
import { PrivateKey } from '../../src/crypto/private-key.ts'
import {
  formatDidKey,
  parseDidKey,
  parseLegacyKey,
  publicKeysEqual,
} from '../../src/crypto/public-key.ts'
import type { Runtime } from '../../src/crypto/runtime.ts'
import type { SignatureVerdict } from '../../src/crypto/signature-form.ts'
import { loadVerifier, type SignatureVerifier } from '../../src/crypto/verifier.ts'
import { fromHex } from '../../src/lib/bytes.ts'
import { runCases, type SuiteResult } from './suite-result.ts'

interface SignatureFixture {
  readonly comment: string
  readonly messageBase64: string
  readonly algorithm: string
  readonly didDocSuite: string
  readonly publicKeyDid: string
  readonly publicKeyMultibase: string
  readonly signatureBase64: string
  readonly validSignature: boolean
  readonly tags: readonly string[]
}

interface DidKeyFixture {
  readonly privateKeyBytesHex?: string
  readonly privateKeyBytesBase58?: string
  readonly publicDidKey: string
}

/** A verifier of one curve by one named implementation. */
export interface NamedVerifier {
  readonly name: string
  readonly curve: Curve
  readonly verifier: SignatureVerifier
}

/**
 * One verifier for each implementation, of Node's runtime and of the default one, that loads here.
 */
export async function loadEveryVerifier(): Promise<readonly NamedVerifier[]> {
  const verifiers: NamedVerifier[] = []
  for (const runtime of [nodeRuntime, webRuntime]) {
    for (const curve of CURVES) verifiers.push(...(await verifiersOf(runtime, curve)))
  }
  return verifiers
}

async function verifiersOf(runtime: Runtime, curve: Curve): Promise<readonly NamedVerifier[]> {
  const verifiers: NamedVerifier[] = []
  for (const loader of runtime.backends[curve]) {
    const loads = await loadBackend(loader).then(
      () => true,
      () => false,
    )
    if (!loads) continue
    const verifier = await loadVerifier({ runtime, prefer: { [curve]: loader.name } })
    verifiers.push({ name: `${runtime.name} ${curve} ${loader.name}`, curve, verifier })
  }
  return verifiers
}

/** Runs all of them. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/interop/crypto`
  const signatures: readonly SignatureFixture[] = JSON.parse(
    await readFile(`${directory}/signature-fixtures.json`, 'utf8'),
  )
  const didKeys: DidKeyFixture[] = []
  for (const curve of ['K256', 'P256']) {
    const file = `${directory}/w3c_didkey_${curve}.json`
    const fixtures: readonly DidKeyFixture[] = JSON.parse(await readFile(file, 'utf8'))
    didKeys.push(...fixtures)
  }
  const results = [
    runCases('crypto: did:key of a private key', didKeys, checkDidKey),
    runCases('crypto: keys of DID documents', signatures, checkKeyForms),
  ]
  for (const { name, curve, verifier } of await loadEveryVerifier()) {
    const cases = signatures.filter((fixture) => curveOf(fixture) === curve)
    const asyncVerdicts = new Map<SignatureFixture, SignatureVerdict>()
    for (const fixture of cases) asyncVerdicts.set(fixture, await verifyLater(verifier, fixture))
    results.push(
      runCases(`crypto: signatures (${name})`, cases, (fixture) =>
        checkSignature(verifier, fixture, asyncVerdicts.get(fixture)),
      ),
    )
  }
  return results
}

function checkDidKey(fixture: DidKeyFixture): string | null {
  const secret =
    fixture.privateKeyBytesHex === undefined
      ? fromBase58Btc(fixture.privateKeyBytesBase58 ?? '')
      : fromHex(fixture.privateKeyBytesHex)
  const parsed = parseDidKey(fixture.publicDidKey)
  if (parsed === null || secret === null) return `unreadable: ${fixture.publicDidKey}`
  const key = PrivateKey.import(parsed.curve, secret)
  const found = formatDidKey(key.publicKey)
  return found === fixture.publicDidKey ? null : `${found} is not ${fixture.publicDidKey}`
}

function checkKeyForms(fixture: SignatureFixture): string | null {
  const key = parseDidKey(fixture.publicKeyDid)
  const legacy = parseLegacyKey(fixture.didDocSuite, fixture.publicKeyMultibase)
  if (key === null || legacy === null) return `unreadable: ${fixture.comment}`
  if (!publicKeysEqual(key, legacy)) return `two keys: ${fixture.comment}`
  return formatDidKey(legacy) === fixture.publicKeyDid ? null : `format: ${fixture.comment}`
}

function checkSignature(
  verifier: SignatureVerifier,
  fixture: SignatureFixture,
  asyncVerdict: SignatureVerdict | undefined,
): string | null {
  const key = parseDidKey(fixture.publicKeyDid)
  if (key === null) return `unreadable: ${fixture.publicKeyDid}`
  const { message, signature } = bytesOf(fixture)
  const verdict = verifier.verify(key, message, signature)
  const expected = verdictOf(fixture)
  if (asyncVerdict !== verdict) return `${fixture.comment}: async ${String(asyncVerdict)}`
  return verdict === expected ? null : `${fixture.comment}: ${verdict}, expected ${expected}`
}

async function verifyLater(
  verifier: SignatureVerifier,
  fixture: SignatureFixture,
): Promise<SignatureVerdict> {
  const key = parseDidKey(fixture.publicKeyDid)
  if (key === null) return 'signature-invalid'
  const { message, signature } = bytesOf(fixture)
  return verifier.verifyAsync(key, message, signature)
}

function bytesOf(fixture: SignatureFixture): { message: Uint8Array; signature: Uint8Array } {
  return {
    message: new Uint8Array(Buffer.from(fixture.messageBase64, 'base64')),
    signature: new Uint8Array(Buffer.from(fixture.signatureBase64, 'base64')),
  }
}

function verdictOf(fixture: SignatureFixture): SignatureVerdict {
  if (fixture.validSignature) return 'ok'
  if (fixture.tags.includes('high-s')) return 'signature-high-s'
  return fixture.tags.includes('der-encoded') ? 'signature-malformed' : 'signature-invalid'
}

function curveOf(fixture: SignatureFixture): Curve {
  return fixture.algorithm === 'ES256' ? 'p256' : 'k256'
}
