/** Resolves did:web in the form that atproto allows: a host name, nothing after it. */

import type { Clock } from '../lib/clock.ts'
import { isAtprotoWebDid } from '../syntax/did.ts'
import { fetchDocument } from './fetch-document.ts'
import { parseHostname } from './hostname.ts'
import type { HostAddress } from './hostname.ts'
import type { DidResolver, DocumentOutcome } from './identity.ts'
import type { HttpClient } from './http-client.ts'

export interface DidWebResolverOptions {
  /** The hosts are strangers' choice: this must be a client that refuses private addresses. */
  readonly http: HttpClient
  readonly clock: Clock
  /** Permits `did:web:localhost%3A8080`, over plain HTTP. */
  readonly allowPrivateNetwork?: boolean
  readonly timeoutMs?: number
}

/** Web servers of single accounts are slower than directories, but one must not hold the queue. */
const TIMEOUT_MS = 5_000

/** Fetches `https://<host>/.well-known/did.json`. A redirect is a failure (did:web allows none). */
export class DidWebResolver implements DidResolver {
  readonly #options: DidWebResolverOptions

  constructor(options: DidWebResolverOptions) {
    this.#options = options
  }

  async resolve(did: string, signal: AbortSignal): Promise<DocumentOutcome> {
    const { http, clock, timeoutMs = TIMEOUT_MS } = this.#options
    const host = parseWebDid(did, this.#options)
    if (host === null) return { kind: 'missing', detail: 'not a did:web of a host name' }
    const answer = await fetchDocument({
      http,
      url: `${host.endpoint}/.well-known/did.json`,
      did,
      timeoutMs,
      signal,
      nowMs: clock.nowMs(),
    })
    if (answer.kind !== 'failed') return answer
    // Only a limit of our own says nothing about this host.
    const retryAfterMs = answer.fault === 'limited' ? answer.retryAfterMs : null
    return { kind: 'unresolved', detail: `${host.hostname}: ${answer.detail}`, retryAfterMs }
  }
}

/**
 * The host of a did:web in the form that atproto allows; null for anything else, and for
 * `localhost` unless private networks are allowed.
 */
export function parseWebDid(
  did: string,
  options: { readonly allowPrivateNetwork?: boolean },
): HostAddress | null {
  if (!isAtprotoWebDid(did)) return null
  const parsed = parseHostname(did.slice('did:web:'.length).replace('%3A', ':'), options)
  return parsed.ok ? parsed.value : null
}
