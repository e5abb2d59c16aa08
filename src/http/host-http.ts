/** The public server of a repository host. */

import { createHostApp, type HostAppParts } from './host-app.ts'
import {
  type PublicHttp,
  type PublicHttpOptions,
  type PublicHttpParts,
  startPublicHttp,
} from './public-http.ts'

export interface HostHttpParts extends PublicHttpParts, HostAppParts {}

/**
 * Starts the public server. `accept` hands subscribers to a Broadcaster over the view's log.
 *
 * @throws SkeinError `ADDRESS_UNAVAILABLE`.
 */
export function startHostHttp(
  options: PublicHttpOptions,
  parts: HostHttpParts,
): Promise<PublicHttp> {
  return startPublicHttp(options, parts, (shared) => createHostApp({ ...parts, ...shared }))
}
