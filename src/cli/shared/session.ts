/** The network of one command: services, identities and handles, as its options want them. */

import { createSafeFetch, type SafeFetch } from '../../identity/safe-fetch.ts'
import { createIdentityResolver } from '../../identity/create-identity-resolver.ts'
import type { IdentityResolver } from '../../identity/identity-resolver.ts'
import { type ClientLimits, type SyncClientOptions } from '../../client/calls/client-options.ts'
import { SyncClient } from '../../client/calls/sync-client.ts'
import { PRODUCT } from '../../ops/build-info.ts'
import { type HandleOutcome, HandleResolver, type LookUpTxt } from './handle-resolver.ts'

export interface SessionOptions {
  /** Base URLs of PLC directories. */
  readonly plc: readonly string[]
  readonly allowPrivateNetwork: boolean
  /** Longest silence of a service, ms. */
  readonly timeout: number
  /** Ends everything. */
  readonly signal: AbortSignal
  readonly lookUpTxt?: LookUpTxt | undefined
}

/** Opens what is asked for when it is first asked for; owns all of it. */
export class Session implements AsyncDisposable {
  readonly options: SessionOptions
  #http: SafeFetch | null = null
  #identities: IdentityResolver | null = null

  constructor(options: SessionOptions) {
    this.options = options
  }

  get signal(): AbortSignal {
    return this.options.signal
  }

  get timeoutMs(): number {
    return this.options.timeout
  }

  /** Requests to addresses that nobody has vouched for. */
  get http(): SafeFetch {
    const { allowPrivateNetwork } = this.options
    this.#http ??= createSafeFetch({ userAgent: PRODUCT, allowPrivateNetwork })
    return this.#http
  }

  get identities(): IdentityResolver {
    const { plc, allowPrivateNetwork } = this.options
    this.#identities ??= createIdentityResolver({
      userAgent: PRODUCT,
      plcDirectories: plc,
      allowPrivateNetwork,
    })
    return this.#identities
  }

  /** What every client of this command is made with. */
  get clientOptions(): SyncClientOptions {
    const { allowPrivateNetwork, timeout, signal } = this.options
    const limits: Partial<ClientLimits> = {
      responseTimeoutMs: timeout,
      idleTimeoutMs: timeout,
      answerTimeoutMs: timeout,
    }
    return { allowPrivateNetwork, signal, identities: this.identities, limits }
  }

  /**
   * A client of `service`. One that the person has named may be private; one that a stranger named,
   * such as a DID document, only with --allow-private-network.
   *
   * @throws SkeinError OPTION_INVALID when it is no service.
   */
  client(service: string, namedBy: 'user' | 'stranger'): SyncClient {
    return new SyncClient(service, { ...this.clientOptions, namedBy })
  }

  /** The DID that a handle's own domain names. */
  resolveHandle(handle: string): Promise<HandleOutcome> {
    const { lookUpTxt, signal, timeout } = this.options
    const resolver = new HandleResolver({ http: this.http, lookUpTxt, timeoutMs: timeout, signal })
    return resolver.resolve(handle)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#http?.close(), this.#identities?.close()])
  }
}
