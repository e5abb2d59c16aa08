/** What a {@link SyncClient} may be told, and what holds when it is not. */
import type { SignatureVerifier } from '../../crypto/verifier.ts'
import type { IdentityResolver } from '../../identity/identity-resolver.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { Transport } from '../../stream/transport.ts'
import type { Governor } from './governor.ts'
import type { RetryPolicy } from './retry.ts'

/** Bounds of answers and waits. Bytes count as they arrive, after any decompression. */
export interface ClientLimits {
  /** From the request to the status and headers of the answer, ms. */
  readonly responseTimeoutMs: number
  /** Between two pieces of a body, ms. */
  readonly idleTimeoutMs: number
  /** A whole answer in JSON, or a proof, ms. */
  readonly answerTimeoutMs: number
  /** Largest answer in JSON, bytes. */
  readonly jsonBytesMax: number
  /** Largest answer of getRecord, bytes. */
  readonly proofBytesMax: number
  /** Largest answer of getRepo, getCheckout and getBlocks, bytes. */
  readonly repoBytesMax: number
  /** Largest blob, bytes. */
  readonly blobBytesMax: number
  /** Blocks of a repository that are held because they came before their place, bytes. */
  readonly heldBytesMax: number
  /** Pages of one listing. */
  readonly pagesMax: number
  /** Pages without an entry, one after another. */
  readonly emptyPagesMax: number
}

export const CLIENT_LIMITS: ClientLimits = {
  // Hosts begin an export only after they have opened the repository.
  responseTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  answerTimeoutMs: 30_000,
  // 2,000 repositories of a page take half a megabyte.
  jsonBytesMax: 4 * 1_024 * 1_024,
  // A commit, some dozen nodes and a record of 1 MB; the reference sends no more.
  proofBytesMax: 4 * 1_024 * 1_024,
  // The largest repositories known have some hundred megabytes.
  repoBytesMax: 4 * 1_024 * 1_024 * 1_024,
  // The reference takes videos of 100 MB.
  blobBytesMax: 512 * 1_024 * 1_024,
  heldBytesMax: 256 * 1_024 * 1_024,
  // 1,000 a page: ten times the accounts that there are.
  pagesMax: 500_000,
  emptyPagesMax: 100,
}

/** The look-ups that verification needs; an `IdentityResolver` is one. */
export type Identities = Pick<IdentityResolver, 'resolve' | 'refresh'>

export interface SyncClientOptions {
  /**
   * Sends the requests in place of what the runtime offers. On Node the default refuses redirects
   * to private addresses after looking names up; a `fetch` can only be kept from those that show
   * in the URL.
   */
  readonly fetch?: typeof fetch
  /** Ends every call of the client. */
  readonly signal?: AbortSignal
  /** Sent with every request to the service; not shown to others when it redirects. */
  readonly headers?: Readonly<Record<string, string>>
  readonly retry?: Partial<RetryPolicy> | 'never'
  /** Paces requests by origin; default one that all clients of the process share. */
  readonly governor?: Governor
  /** Lets redirects, and hosts that DID documents name, be private: for closed networks. */
  readonly allowPrivateNetwork?: boolean
  /**
   * Who has named the service: `stranger` when its address comes out of a DID document or a
   * redirect, so that it must not be private. Default `user`.
   */
  readonly namedBy?: 'user' | 'stranger'
  /** Who signs for an account; default the public directory and did:web. */
  readonly identities?: Identities
  /** Default the best that the runtime has. */
  readonly verifier?: SignatureVerifier
  /** WebSockets of `subscribeRepos`; default the runtime's. */
  readonly transport?: Transport
  readonly limits?: Partial<ClientLimits>
  readonly clock?: Clock
  readonly random?: Random
}

/** Options of one call. */
export interface CallOptions {
  /** Ends this call, its body included. */
  readonly signal?: AbortSignal
}
