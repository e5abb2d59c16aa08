/**
 * Cryptography of the AT Protocol: SHA-256, keys and ECDSA signatures on secp256k1 and P-256.
 *
 * | file | holds |
 * |---|---|
 * | curve.ts | the two curves, their orders and sizes |
 * | public-key.ts | `PublicKey`; multikey, did:key and legacy DID document forms |
 * | signature-form.ts | size, range and low-S, checked before any implementation |
 * | verifier.ts | `loadVerifier`: the choice of implementations, and verdicts |
 * | backend.ts, self-test.ts | what an implementation is, and what it must prove before use |
 * | backend-native.ts, -wasm, -node, -noble, -web | the implementations |
 * | private-key.ts | `PrivateKey`: deterministic low-S signing |
 * | sha256.ts, sha256.node.ts, sha256.web.ts | SHA-256 |
 * | runtime.ts, runtime.node.ts, runtime.web.ts | what `#runtime` picks by package condition |
 * | key-cache.ts | the bound of every cache of keys |
 *
 * A `PublicKey` owns its bytes; a verifier owns its caches, which are bounded and keyed by the
 * `PublicKey` object. A `PrivateKey` owns its secret.
 *
 * It refuses to fall back in silence (the names in use and those skipped are reported), to take a
 * high S or DER, to read keys that are not on their curve, and to print secrets. It does no I/O, no
 * key storage, no other algorithms, and promises no constant time where the implementation gives
 * none.
 *
 * @module
 */
export type { SkippedBackend, SignatureVerifier, VerifierOptions } from './verifier.ts'
export { backendLoaders, loadVerifier } from './verifier.ts'
export type { BackendLoader, SignatureBackend } from './backend.ts'
export { loadBackend } from './backend.ts'
export type { Curve } from './curve.ts'
export { CURVES } from './curve.ts'
export type { PublicKey } from './public-key.ts'
export {
  formatDidKey,
  formatMultikey,
  parseDidKey,
  parseLegacyKey,
  parseMultikey,
  parseVerificationMethodKey,
  publicKeyFromPoint,
  publicKeysEqual,
} from './public-key.ts'
export { PrivateKey } from './private-key.ts'
export type { Sha256 } from './runtime.ts'
export { createSha256, sha256, sha256Latin1 } from './sha256.ts'
export type { SignatureVerdict } from './signature-form.ts'
export { checkSignatureForm } from './signature-form.ts'
