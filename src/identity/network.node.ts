/** The network behind the `node` condition: connections of our own, their addresses checked. */

import { PRODUCT } from '../ops/build-info.ts'
import { createIdentityResolver } from './create-identity-resolver.ts'
import type { Network, NetworkRuntime, NetworkSetup } from './network.ts'
import type { SafeFetchLimits } from './safe-fetch.ts'
import { createSafeFetch } from './safe-fetch.ts'

/** Who calls is paced by its governor; these are only what a process can bear. */
const CLIENT_FETCH_LIMITS: Partial<SafeFetchLimits> = {
  connectTimeoutMs: 10_000,
  inFlightMax: 1_024,
  inFlightPerHostMax: 64,
  perHostPerSecond: 10_000,
  perHostBurst: 10_000,
}

const open = (allowPrivateNetwork: boolean) =>
  createSafeFetch({ userAgent: PRODUCT, allowPrivateNetwork, limits: CLIENT_FETCH_LIMITS })

let named: Network['named'] | null = null
let publicStrangers: Network['strangers'] | null = null

/** Connections are shared by the process, like those of the runtime's own `fetch`. */
function openNetwork({ allowPrivateNetwork = false }: NetworkSetup): Network {
  named ??= open(true)
  if (allowPrivateNetwork) return { named, strangers: named }
  publicStrangers ??= open(false)
  return { named, strangers: publicStrangers }
}

export const networkRuntime: NetworkRuntime = {
  openNetwork,
  createIdentities: (setup) => createIdentityResolver({ userAgent: PRODUCT, ...setup }),
}
