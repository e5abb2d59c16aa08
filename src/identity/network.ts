/**
 * How a client reaches services and directories. `#network` (src/package.json) names one of
 * network.node.ts and network.web.ts by package condition.
 */

import type { Clock } from '../lib/clock.ts'
import type { StreamClient } from './http-client.ts'
import type { IdentityResolver } from './identity-resolver.ts'

/** Requests to services. Shared by all who ask for it, and never closed. */
export interface Network {
  /** To origins that the user of the program has named: they may be private. */
  readonly named: StreamClient
  /** To where a redirect, or a DID document, leads. */
  readonly strangers: StreamClient
}

export interface NetworkSetup {
  /** Lets strangers' words lead to private addresses: development, closed networks. */
  readonly allowPrivateNetwork?: boolean
}

export interface IdentitiesSetup extends NetworkSetup {
  /** Base URLs of directories in order of preference; default the public one. */
  readonly plcDirectories?: readonly string[]
  readonly clock?: Clock
}

/** What differs between Node and everything else. */
export interface NetworkRuntime {
  openNetwork(setup: NetworkSetup): Network
  /** A resolver of its own, for the caller to close. */
  createIdentities(setup: IdentitiesSetup): IdentityResolver
}
