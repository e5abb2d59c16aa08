/** The words that the parts of this folder and its users share. Types only. */

import type { Curve } from '../crypto/curve.ts'
import type { DidDocument } from './did-document.ts'

/** What a DID document said when it was fetched. Do not modify: it is shared by all who ask. */
export interface Identity extends DidDocument {
  /** Clock time of the answer, ms. */
  readonly fetchedAtMs: number
}

/**
 * The outcome of a look-up. Never confuse the failures with success: without a key nothing can be
 * verified, so nothing passes.
 */
export type Resolution =
  | {
      readonly ok: true
      readonly identity: Identity
      /**
       * The directory did not answer, and this is an older answer (up to 7 days). It may be used to
       * verify: a signature by a key that was current days ago is still the account's.
       */
      readonly stale: boolean
      /** Set by `refresh` when the DID was refreshed too recently, and this is what was known. */
      readonly refreshLimited?: true
    }
  | {
      readonly ok: false
      /** `identity-missing` is the directory's final word, the other means that it gave none. */
      readonly reason: 'identity-unresolved' | 'identity-missing'
      readonly detail: string
      /** Asking earlier gives the same answer without anybody being asked, ms. */
      readonly retryAfterMs: number
    }

/** An identity as it is kept on disk. */
export interface StoredIdentity {
  readonly did: string
  /** Curve and 33 compressed bytes. */
  readonly key: { readonly curve: Curve; readonly bytes: Uint8Array } | null
  readonly pdsEndpoint: string | null
  readonly handle: string | null
  /** Time of the answer; moved back when the row is only to be used in need. */
  readonly fetchedAtMs: number
}

/** Where identities outlive the process. Keyed by DID; `put` replaces. Its errors pass through. */
export interface IdentityStore {
  get(did: string): StoredIdentity | undefined
  put(row: StoredIdentity): void
  delete(did: string): void
}

/** What a DID method's resolver found. It has no memory of DIDs; that is the cache's business. */
export type DocumentOutcome =
  | { readonly kind: 'found'; readonly document: DidDocument }
  /** The authority says that there is no such DID (404), or none any more (410). */
  | { readonly kind: 'missing'; readonly detail: string }
  | {
      readonly kind: 'unresolved'
      readonly detail: string
      /**
       * A number when it is not for this DID that there was no answer (the directory asks for
       * patience, a limit of ours is reached): try again then. Null when the DID may be to blame.
       */
      readonly retryAfterMs: number | null
    }

/** One DID method. Never rejects. */
export interface DidResolver {
  resolve(did: string, signal: AbortSignal): Promise<DocumentOutcome>
}

export type LookupSource = 'memory' | 'disk' | 'network'
export type LookupOutcome = 'fresh' | 'stale' | 'missing' | 'unresolved'

/** For metrics. Called synchronously; must not throw. */
export interface IdentityHooks {
  /** For every answer from memory or disk, and once for every look-up that asked the network. */
  onLookup?(source: LookupSource, outcome: LookupOutcome): void
  /** A bound was reached: the look-up was refused without being tried. */
  onOverflow?(limit: 'plc-queue' | 'web-queue' | 'refresh'): void
}
