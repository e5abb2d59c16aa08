/** The network behind the default condition. Nothing reachable from here imports from `node:`. */

import type { NetworkRuntime } from './network.ts'
import { createWebIdentityResolver, openWebNetwork } from './web-network.ts'

export const networkRuntime: NetworkRuntime = {
  openNetwork: openWebNetwork,
  createIdentities: createWebIdentityResolver,
}
