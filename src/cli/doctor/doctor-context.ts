/** What the steps of `skein doctor` work with. */

import type { SyncClient } from '../../client/calls/sync-client.ts'
import type { SignatureVerifier } from '../../crypto/verifier.ts'
import type { ResolveAddresses } from '../../identity/address-lookup.ts'
import { checkedConnectOptions } from '../../identity/address-policy.ts'
import type { HostAddress } from '../../identity/hostname.ts'
import type { IdentityResolver } from '../../identity/identity-resolver.ts'
import type { SafeFetch } from '../../identity/safe-fetch.ts'
import type { Clock } from '../../lib/clock.ts'
import { SkeinError } from '../../lib/errors.ts'
import { PRODUCT } from '../../ops/build-info.ts'
import type { Transport } from '../../stream/transport.ts'
import { WsTransport } from '../../stream/ws-transport.ts'
import type { HandleOutcome } from '../shared/handle-resolver.ts'

export interface DoctorContext {
  readonly clock: Clock
  readonly allowPrivateNetwork: boolean
  /** Requests under the rules that relays follow: public addresses, no redirects. */
  readonly http: SafeFetch
  /** Streams under the same rules. */
  readonly transport: Transport
  readonly resolveAddresses: ResolveAddresses
  readonly identities: IdentityResolver
  readonly verifier: SignatureVerifier
  readonly resolveHandle: (handle: string) => Promise<HandleOutcome>
  /** A client of a host that a DID document names. */
  readonly hostClient: (endpoint: string) => SyncClient
  readonly relays: readonly SyncClient[]
  /** For one connection or answer. */
  readonly timeoutMs: number
  /** How long a stream may be silent before it counts as quiet. */
  readonly quietMs: number
  readonly signal: AbortSignal
}

/** A host as the steps about it know it. */
export interface CheckedHost {
  readonly address: HostAddress
  readonly isPlain: boolean
}

/** WebSockets that keep to the policy on addresses of `http`. */
export function checkedTransport(http: SafeFetch, clock: Clock, timeoutMs: number): Transport {
  return new WsTransport({
    clock,
    userAgent: PRODUCT,
    handshakeTimeoutMs: timeoutMs,
    connectOptions(url) {
      const checked = checkedConnectOptions(url, http.policy)
      if (checked.ok) return checked.value.options
      throw new SkeinError('REQUEST_BLOCKED', `connect: ${checked.detail}`)
    },
  })
}
