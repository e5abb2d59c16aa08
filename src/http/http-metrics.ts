/** The metrics that every public server keeps, whatever its role. */

import type { RelayMetrics } from '../ops/relay-metrics.ts'

/** A subset of each role's metrics. */
export type HttpMetrics = Pick<
  RelayMetrics,
  'httpRequests' | 'httpSeconds' | 'httpLimited' | 'subscribersRefused'
>
