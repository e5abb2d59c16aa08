/** A repository host's metrics. docs/generated/metrics.md is made from this table. */

import { type MetricHandles, MetricsRegistry } from './metrics.ts'
import { RELAY_METRICS } from './relay-metrics.ts'

const OWN_METRICS = {
  writes: {
    kind: 'counter',
    name: 'skein_writes_total',
    help: 'Calls that write records: committed, unchanged (no commit), failed, or the refusal.',
    labels: ['outcome'],
  },
  writeQueue: {
    kind: 'gauge',
    name: 'skein_write_queue_calls',
    help: 'Calls waiting to be written.',
  },
  imports: {
    kind: 'counter',
    name: 'skein_imports_total',
    help: 'Imports of repositories: imported, failed, or the refusal.',
    labels: ['outcome'],
  },
  uploads: {
    kind: 'counter',
    name: 'skein_uploads_total',
    help: 'Uploads of blobs: stored, failed (the uploader going included), or the refusal.',
    labels: ['outcome'],
  },
  uploadedBytes: {
    kind: 'counter',
    name: 'skein_uploaded_bytes_total',
    help: 'Bytes of uploads that were stored.',
  },
  garbageRemoved: {
    kind: 'counter',
    name: 'skein_garbage_removed_total',
    help: 'Removed because nothing refers to it: blob, row (of an old repository), file (of a blob).',
    labels: ['kind'],
  },
  exports: {
    kind: 'gauge',
    name: 'skein_exports',
    help: 'Exports of repositories that are being read.',
  },
  exportsRefused: {
    kind: 'counter',
    name: 'skein_exports_refused_total',
    help: 'Exports refused because as many were being read as may, by whom: host or address.',
    labels: ['limit'],
  },
  bodiesEnded: {
    kind: 'counter',
    name: 'skein_bodies_ended_total',
    help: 'How bodies of exports and blobs ended: complete, left (the client), slow, failed (we).',
    labels: ['endpoint', 'end'],
  },
  bodyBytes: {
    kind: 'counter',
    name: 'skein_body_bytes_total',
    help: 'Bytes of exports and blobs that were given out.',
    labels: ['endpoint'],
  },
} as const

/** Those that a relay has too; they mean the same. */
const SHARED = [
  'subscribers',
  'subscribersClosed',
  'subscribersRefused',
  'subscriberLag',
  'subscriberBacklog',
  'subscriberSeriesOmitted',
  'framesSent',
  'bytesSent',
  'logFirstSeq',
  'logLastSeq',
  'logBytes',
  'logSegments',
  'httpRequests',
  'httpSeconds',
  'httpLimited',
  'build',
] as const

type HostMetricTable = typeof OWN_METRICS & Pick<typeof RELAY_METRICS, (typeof SHARED)[number]>

/**
 * Every metric of a repository host. Labels: `endpoint` is an NSID that this server implements, or
 * `other`; `outcome` is what a call came to, a refusal of repo-host/outcomes.ts, or `failed` when
 * it was rejected.
 */
export const HOST_METRICS: HostMetricTable = {
  ...OWN_METRICS,
  ...picked(RELAY_METRICS, SHARED),
}

function picked<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- just these keys are in it
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>
}

type HostMetricHandles = MetricHandles<typeof HOST_METRICS>

/** The handles of a host's metrics. */
export interface HostMetrics extends HostMetricHandles {}

/** Registers a host's metrics. Counters of limits and of failures exist from the start, at zero. */
export function createHostMetrics(registry: MetricsRegistry): HostMetrics {
  const metrics = registry.register(HOST_METRICS)
  for (const outcome of ['committed', 'failed']) metrics.writes.add(0, { outcome })
  for (const outcome of ['stored', 'failed']) metrics.uploads.add(0, { outcome })
  for (const limit of ['host', 'address']) metrics.exportsRefused.add(0, { limit })
  for (const kind of ['blob', 'row', 'file']) metrics.garbageRemoved.add(0, { kind })
  return metrics
}
