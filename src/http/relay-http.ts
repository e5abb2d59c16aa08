/** The relay's public server. */

import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { RelayView } from '../relay/relay-view.ts'
import {
  type PublicHttp,
  type PublicHttpOptions,
  type PublicHttpParts,
  startPublicHttp,
} from './public-http.ts'
import { createRelayApp } from './relay-app.ts'

export interface RelayHttpParts extends PublicHttpParts {
  readonly view: RelayView
  readonly metrics: RelayMetrics
}

/**
 * Starts the public server.
 *
 * @throws SkeinError `ADDRESS_UNAVAILABLE`.
 */
export function startRelayHttp(
  options: PublicHttpOptions,
  parts: RelayHttpParts,
): Promise<PublicHttp> {
  const { view, metrics } = parts
  return startPublicHttp(options, parts, (shared) => createRelayApp({ ...shared, view, metrics }))
}
