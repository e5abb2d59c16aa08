/**
 * What differs between Node and everything else. `#runtime` (src/package.json) names one of
 * runtime.node.ts and runtime.web.ts by package condition: `node` (Node, Bun, Deno) or the default
 * (browsers, edge workers).
 */
import type { AsyncBackend } from './backend-web.ts'
import type { BackendLoader } from './backend.ts'
import type { Curve } from './curve.ts'

/** SHA-256 of what comes in pieces. */
export interface Sha256 {
  /** Keeps nothing of `bytes`. */
  update(bytes: Uint8Array): void
  /** The 32 bytes; to be called once, and last. */
  digest(): Uint8Array
}

export interface Runtime {
  readonly name: 'node' | 'web'
  readonly sha256: (bytes: Uint8Array) => Uint8Array
  readonly sha256Latin1: (bytes: Uint8Array) => string
  readonly createSha256: () => Sha256
  /** The text of bytes below 0x80 from `start` to `end`, which the caller has checked. */
  readonly asciiText: (bytes: Uint8Array, start: number, end: number) => string
  /** The text of valid UTF-8 from `start` to `end`, byte order marks included. */
  readonly utf8Text: (bytes: Uint8Array, start: number, end: number) => string
  /** The implementations worth trying, best first. The last one always loads. */
  readonly backends: Readonly<Record<Curve, readonly BackendLoader[]>>
  /** A faster P-256 that answers later, where the synchronous one is slow. */
  createAsyncP256(): AsyncBackend | null
  /** A fast deterministic low-S k256 signer over digests, or null to use @noble/curves. */
  createK256Signer(): ((digest: Uint8Array, secret: Uint8Array) => Uint8Array) | null
}
