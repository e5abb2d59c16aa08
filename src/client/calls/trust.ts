/** Whose signature counts: the key of an account's DID document, asked for anew when it fails. */
import { networkRuntime } from '#network'

import { type PublicKey, publicKeysEqual } from '../../crypto/public-key.ts'
import { loadVerifier, type SignatureVerifier } from '../../crypto/verifier.ts'
import type { IdentityResolver } from '../../identity/identity-resolver.ts'
import type { IdentitiesSetup } from '../../identity/network.ts'
import { createWebIdentityResolver } from '../../identity/web-network.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { REV_AHEAD_MS_MAX } from '../../lib/limits.ts'
import type { InvalidReason, UnverifiableReason } from '../../lib/reasons.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { tidMicros, toTid } from '../../syntax/tid.ts'
import type { Identities, SyncClientOptions } from './client-options.ts'

type Refusal = InvalidReason | UnverifiableReason

/** Reasons that another key may lift. */
const REASONS_OF_KEY: ReadonlySet<string> = new Set(['signature-invalid'])

let sharedVerifier: Promise<SignatureVerifier> | null = null
/** Resolvers of clients that are not given one, by whether private networks are allowed. */
const sharedIdentities = new Map<boolean, Identities>()

/**
 * A resolver of the runtime's: on Node with connections of its own that refuse private addresses,
 * elsewhere on `fetch`. Share one among clients, and close it in the end.
 *
 * @throws SkeinError OPTION_INVALID when a directory's URL is not one.
 */
export function createIdentities(setup: IdentitiesSetup = {}): IdentityResolver {
  return networkRuntime.createIdentities(setup)
}

function identitiesOf(options: SyncClientOptions): Identities {
  const { fetch, allowPrivateNetwork = false } = options
  if (fetch !== undefined) return createWebIdentityResolver({ fetch, allowPrivateNetwork })
  let shared = sharedIdentities.get(allowPrivateNetwork)
  if (shared === undefined) {
    shared = networkRuntime.createIdentities({ allowPrivateNetwork })
    sharedIdentities.set(allowPrivateNetwork, shared)
  }
  return shared
}

/** Resolves keys and judges what is signed with them. */
export class Trust {
  readonly #options: SyncClientOptions
  readonly #clock: Clock
  #identities: Identities | null = null

  constructor(options: SyncClientOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /**
   * What `check` says of the account's current key. When the signature fails, the identity is asked
   * for once more, and `check` too if the key has changed.
   *
   * @param scope On whose word the identity is doubted: the service.
   */
  async withKey<T>(
    did: string,
    scope: string,
    signal: AbortSignal | undefined,
    check: (key: PublicKey, verifier: SignatureVerifier) => Promise<Result<T, Refusal>>,
  ): Promise<Result<T, Refusal>> {
    this.#identities ??= this.#options.identities ?? identitiesOf(this.#options)
    const verifier = await this.#verifier()
    const abort = signal === undefined ? {} : { signal }
    const first = await this.#identities.resolve(did, abort)
    if (!first.ok) return fail(first.reason, first.detail)
    const { signingKey } = first.identity
    const verdict = signingKey === null ? noKey(did) : await check(signingKey, verifier)
    const mayBeStale = signingKey === null || (!verdict.ok && REASONS_OF_KEY.has(verdict.reason))
    if (!mayBeStale) return verdict
    const second = await this.#identities.refresh(did, { scope, ...abort })
    const newKey = second.ok ? second.identity.signingKey : null
    if (newKey === null || (signingKey !== null && publicKeysEqual(newKey, signingKey)))
      return verdict
    return check(newKey, verifier)
  }

  /** A rev that lies in the future would stand above every honest one. */
  checkRev(rev: string): Result<void, Refusal> {
    const aheadMs = tidMicros(toTid(rev)) / 1_000 - this.#clock.nowMs()
    if (aheadMs <= REV_AHEAD_MS_MAX) return ok(undefined)
    return fail('rev-future', `rev ${rev} is ahead of the clock`)
  }

  #verifier(): Promise<SignatureVerifier> {
    const { verifier } = this.#options
    if (verifier !== undefined) return Promise.resolve(verifier)
    sharedVerifier ??= loadVerifier()
    return sharedVerifier
  }
}

function noKey(did: string): Result<never, Refusal> {
  return fail('identity-no-key', `${did} has no usable signing key`)
}
