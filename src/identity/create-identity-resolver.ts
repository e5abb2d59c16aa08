/** The usual composition: PLC directories, did:web, limits that fit them, one resolver. */

import { systemClock } from '../lib/clock.ts'
import type { Clock } from '../lib/clock.ts'
import type { ResolveAddresses } from './address-lookup.ts'
import { DidWebResolver } from './did-web-resolver.ts'
import { IdentityResolver } from './identity-resolver.ts'
import type { IdentityLimits } from './identity-resolver.ts'
import type { IdentityHooks, IdentityStore } from './identity.ts'
import { PLC_DIRECTORY, PlcResolver } from './plc-resolver.ts'
import { createSafeFetch } from './safe-fetch.ts'
import type { SafeFetchLimits } from './safe-fetch.ts'

/** Directories are few and named by the operator; ./plc-resolver.ts paces the requests to each. */
const DIRECTORY_FETCH_LIMITS: Partial<SafeFetchLimits> = {
  inFlightPerHostMax: 64,
  perHostPerSecond: 1_000,
  perHostBurst: 1_000,
}

/** Hosts of did:web are as many as strangers like, and each is asked for one document a day. */
const WEB_FETCH_LIMITS: Partial<SafeFetchLimits> = {
  inFlightMax: 64,
  inFlightPerHostMax: 2,
  perHostPerSecond: 1,
  perHostBurst: 10,
}

export interface IdentityResolverSetup {
  readonly userAgent: string
  /** In order of preference; may lie on private networks, since the operator names them. */
  readonly plcDirectories?: readonly string[]
  /** Requests to each directory per second. */
  readonly plcPerSecond?: number
  /** Permits did:web on private networks. */
  readonly allowPrivateNetwork?: boolean
  /** Looks up the names of directories and of did:web; see ./address-policy.ts for the default. */
  readonly resolveAddresses?: ResolveAddresses
  readonly store?: IdentityStore
  readonly hooks?: IdentityHooks
  readonly limits?: Partial<IdentityLimits>
  readonly clock?: Clock
}

/**
 * A resolver with sockets of its own, which its `close` also closes. Throws OPTION_INVALID when a
 * directory's URL is not one.
 *
 * ```ts
 * const identities = createIdentityResolver({ userAgent: 'skein/0.1.0 (+https://relay.example)' })
 * const resolution = await identities.resolve('did:plc:ewvi7nxzyoun6zhxrhs64oiz')
 * if (resolution.ok) console.log(resolution.identity.pdsHostname)
 * await identities.close()
 * ```
 */
export function createIdentityResolver(setup: IdentityResolverSetup): IdentityResolver {
  const { userAgent, store, hooks, limits, clock = systemClock } = setup
  const { plcDirectories = [PLC_DIRECTORY], plcPerSecond, allowPrivateNetwork = false } = setup
  const { resolveAddresses } = setup
  const shared = {
    userAgent,
    clock,
    ...(resolveAddresses === undefined ? {} : { resolveAddresses }),
  }
  const directoryFetch = createSafeFetch({
    ...shared,
    allowPrivateNetwork: true,
    limits: DIRECTORY_FETCH_LIMITS,
  })
  const webFetch = createSafeFetch({
    ...shared,
    allowPrivateNetwork,
    limits: WEB_FETCH_LIMITS,
  })
  return new IdentityResolver({
    plc: new PlcResolver({
      directories: plcDirectories,
      http: directoryFetch,
      clock,
      ...(plcPerSecond === undefined ? {} : { perSecond: plcPerSecond }),
    }),
    web: new DidWebResolver({ http: webFetch, clock, allowPrivateNetwork }),
    clock,
    ...(store === undefined ? {} : { store }),
    ...(hooks === undefined ? {} : { hooks }),
    ...(limits === undefined ? {} : { limits }),
    onClose: async () => {
      await Promise.all([directoryFetch.close(), webFetch.close()])
    },
  })
}
