/** The relay's metrics. docs/generated/metrics.md is made from this table. */

import { REASONS } from '../lib/reasons.ts'
import { type MetricHandles, MetricsRegistry } from './metrics.ts'

/**
 * Every metric of a relay. Labels: `kind` is commit, sync, identity, account, info, error or
 * unknown; `reason` is one of lib/reasons.ts; `endpoint` is an NSID that this server implements, or
 * `other`.
 */
export const RELAY_METRICS = {
  eventsReceived: {
    kind: 'counter',
    name: 'skein_events_received_total',
    help: 'Frames received from hosts.',
    labels: ['kind'],
  },
  bytesReceived: {
    kind: 'counter',
    name: 'skein_received_bytes_total',
    help: 'Bytes of frames received from hosts.',
  },
  eventsEmitted: {
    kind: 'counter',
    name: 'skein_events_emitted_total',
    help: 'Events published to subscribers.',
    labels: ['kind'],
  },
  eventsDropped: {
    kind: 'counter',
    name: 'skein_events_dropped_total',
    help: 'Events dropped, by reason.',
    labels: ['reason'],
  },
  eventsWarned: {
    kind: 'counter',
    name: 'skein_events_warned_total',
    help: 'Events passed with a remark: a loosened check, or a gap in the history of a repository.',
    labels: ['reason'],
  },
  eventsDeferred: {
    kind: 'counter',
    name: 'skein_events_deferred_total',
    help: 'Events that had to wait before they could be checked, by reason.',
    labels: ['reason'],
  },
  deferredEvents: {
    kind: 'gauge',
    name: 'skein_deferred_events',
    help: 'Events now waiting for an identity.',
  },
  deferredBytes: {
    kind: 'gauge',
    name: 'skein_deferred_bytes',
    help: 'Bytes of the events now waiting for an identity.',
  },
  eventSeconds: {
    kind: 'histogram',
    name: 'skein_event_seconds',
    help: 'Time from receiving an event to publishing it.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
  },
  verifySeconds: {
    kind: 'histogram',
    name: 'skein_verify_seconds',
    help: 'Time that the verification of one event took.',
    buckets: [0.00005, 0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.005, 0.02, 0.1],
  },
  verifierThreads: {
    kind: 'gauge',
    name: 'skein_verifier_threads',
    help: 'Threads that verify events; with 0 that is done in the main thread.',
  },
  verifierQueue: {
    kind: 'gauge',
    name: 'skein_verifier_queue_events',
    help: 'Events handed to verifier threads that have not come back.',
  },
  verifierQueueBytes: {
    kind: 'gauge',
    name: 'skein_verifier_queue_bytes',
    help: 'Bytes of those events.',
  },
  verifierEnds: {
    kind: 'counter',
    name: 'skein_verifier_ends_total',
    help: 'Verifier threads that ended by themselves or hung, and were replaced.',
  },
  signatureBackend: {
    kind: 'gauge',
    name: 'skein_signature_backend_info',
    help: 'Always 1; the labels say which implementation verifies signatures.',
    labels: ['curve', 'backend'],
  },
  hosts: {
    kind: 'gauge',
    name: 'skein_hosts',
    help: 'Known hosts by status.',
    labels: ['status'],
  },
  hostConnections: {
    kind: 'counter',
    name: 'skein_host_connections_total',
    help: 'Connections to hosts: opened, failed (never opened) and closed.',
    labels: ['outcome'],
  },
  hostLag: {
    kind: 'gauge',
    name: 'skein_host_lag_seconds',
    help: 'Age of the last event of a host when it arrived. The 1,000 greatest are shown.',
    labels: ['host'],
  },
  hostQueue: {
    kind: 'gauge',
    name: 'skein_host_queue_events',
    help: 'Events of a host received but not decided. The 1,000 greatest are shown.',
    labels: ['host'],
  },
  hostSeriesOmitted: {
    kind: 'gauge',
    name: 'skein_host_series_omitted',
    help: 'Hosts left out of the metrics by host, because there are more than 1,000.',
  },
  accounts: {
    kind: 'gauge',
    name: 'skein_accounts',
    help: 'Known accounts by state: active or inactive.',
    labels: ['state'],
  },
  accountLookups: {
    kind: 'counter',
    name: 'skein_account_lookups_total',
    help: 'Look-ups of accounts by source: memory or disk.',
    labels: ['source'],
  },
  accountCacheBytes: {
    kind: 'gauge',
    name: 'skein_account_cache_bytes',
    help: 'Estimated memory of the accounts kept at hand.',
  },
  hostsToStart: {
    kind: 'gauge',
    name: 'skein_hosts_to_start',
    help: 'Known hosts that the relay has not tried to connect to since its start.',
  },
  checkpoints: {
    kind: 'counter',
    name: 'skein_checkpoints_total',
    help: 'Passes over the write-ahead log of the state, by whether writers were held or free.',
    labels: ['writers'],
  },
  batchEvents: {
    kind: 'histogram',
    name: 'skein_sequencer_batch_events',
    help: 'Events written to the log in one batch.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  },
  sequencerQueue: {
    kind: 'gauge',
    name: 'skein_sequencer_queue_events',
    help: 'Verified events waiting for the log.',
  },
  logFlushSeconds: {
    kind: 'histogram',
    name: 'skein_log_flush_seconds',
    help: 'Time to write one batch and make it durable.',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2],
  },
  logFirstSeq: {
    kind: 'gauge',
    name: 'skein_log_first_seq',
    help: 'Oldest seq that can be replayed.',
  },
  logLastSeq: {
    kind: 'gauge',
    name: 'skein_log_last_seq',
    help: 'Newest published seq.',
  },
  logBytes: {
    kind: 'gauge',
    name: 'skein_log_bytes',
    help: 'Bytes of all segments of the event log.',
  },
  logSegments: {
    kind: 'gauge',
    name: 'skein_log_segments',
    help: 'Segments of the event log.',
  },
  subscribers: {
    kind: 'gauge',
    name: 'skein_subscribers',
    help: 'Connected subscribers.',
  },
  subscribersClosed: {
    kind: 'counter',
    name: 'skein_subscribers_closed_total',
    help: 'Subscriptions that ended, by cause.',
    labels: ['cause'],
  },
  subscribersRefused: {
    kind: 'counter',
    name: 'skein_subscribers_refused_total',
    help: 'WebSocket upgrades refused before the handshake, by HTTP status.',
    labels: ['status'],
  },
  subscriberLag: {
    kind: 'gauge',
    name: 'skein_subscriber_lag_seconds',
    help: 'How far a subscriber is behind the newest event. The 1,000 greatest are shown.',
    labels: ['subscriber'],
  },
  subscriberBacklog: {
    kind: 'gauge',
    name: 'skein_subscriber_buffered_bytes',
    help: 'Bytes in the socket of a subscriber. The 1,000 greatest are shown.',
    labels: ['subscriber'],
  },
  subscriberSeriesOmitted: {
    kind: 'gauge',
    name: 'skein_subscriber_series_omitted',
    help: 'Subscribers left out of the metrics by subscriber, because there are more than 1,000.',
  },
  framesSent: {
    kind: 'counter',
    name: 'skein_frames_sent_total',
    help: 'Frames handed to the sockets of subscribers.',
  },
  bytesSent: {
    kind: 'counter',
    name: 'skein_sent_bytes_total',
    help: 'Bytes handed to the sockets of subscribers.',
  },
  identityLookups: {
    kind: 'counter',
    name: 'skein_identity_lookups_total',
    help: 'Identity look-ups by source (memory, disk, network) and outcome.',
    labels: ['source', 'outcome'],
  },
  identityCacheBytes: {
    kind: 'gauge',
    name: 'skein_identity_cache_bytes',
    help: 'Estimated memory of the identities kept at hand.',
  },
  identityOverflows: {
    kind: 'counter',
    name: 'skein_identity_overflows_total',
    help: 'Look-ups refused without being tried, by the limit reached.',
    labels: ['limit'],
  },
  crawlRequests: {
    kind: 'counter',
    name: 'skein_crawl_requests_total',
    help: 'requestCrawl and notifyOfUpdate calls by outcome.',
    labels: ['outcome'],
  },
  httpRequests: {
    kind: 'counter',
    name: 'skein_http_requests_total',
    help: 'HTTP requests by endpoint and status.',
    labels: ['endpoint', 'status'],
  },
  httpSeconds: {
    kind: 'histogram',
    name: 'skein_http_request_seconds',
    help: 'Time to answer HTTP requests by endpoint.',
    labels: ['endpoint'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5],
  },
  httpLimited: {
    kind: 'counter',
    name: 'skein_http_limited_total',
    help: 'HTTP requests refused because an address sent too many, by limit.',
    labels: ['limit'],
  },
  build: {
    kind: 'gauge',
    name: 'skein_build_info',
    help: 'Always 1; the labels say what is running.',
    labels: ['version', 'node'],
  },
} as const

/** Most series of a gauge by host or by subscriber: a page of some hundred kilobytes. */
export const SERIES_MAX = 1_000

type RelayMetricHandles = MetricHandles<typeof RELAY_METRICS>

/** The handles of a relay's metrics. */
export interface RelayMetrics extends RelayMetricHandles {}

/** Those about subscribers, which every role with a stream has. */
export type SubscriberMetrics = Pick<
  RelayMetrics,
  | 'subscribers'
  | 'subscribersClosed'
  | 'subscriberLag'
  | 'subscriberBacklog'
  | 'subscriberSeriesOmitted'
  | 'framesSent'
  | 'bytesSent'
>

/** A host as the metrics see it at a scrape. */
export interface HostSample {
  readonly hostname: string
  readonly status: string
  /** Null when nothing has arrived yet. */
  readonly lagSeconds: number | null
  readonly queuedEvents: number
}

/** A subscriber as the metrics see it at a scrape. */
export interface SubscriberSample {
  /** Short and stable for the connection's life; not the address. */
  readonly id: string
  readonly lagSeconds: number
  readonly bufferedBytes: number
}

/** Registers the relay's metrics. Each reason's counter exists from the start, at zero. */
export function createRelayMetrics(registry: MetricsRegistry): RelayMetrics {
  const metrics = registry.register(RELAY_METRICS)
  for (const reason of Object.keys(REASONS)) metrics.eventsDropped.add(0, { reason })
  return metrics
}

/** Metrics that nobody scrapes, for tests and for parts that run without. */
export function detachedRelayMetrics(): RelayMetrics {
  return createRelayMetrics(new MetricsRegistry())
}

/** Rebuilds the metrics by host. Call it at each scrape. */
export function sampleHosts(metrics: RelayMetrics, samples: Iterable<HostSample>): void {
  const hosts = [...samples]
  const byStatus = new Map<string, number>()
  for (const host of hosts) byStatus.set(host.status, (byStatus.get(host.status) ?? 0) + 1)
  metrics.hosts.replace(
    [...byStatus].map(([status, value]) => ({ labels: { status }, value })),
    SERIES_MAX,
  )
  metrics.hostLag.replace(
    hosts.flatMap(({ hostname, lagSeconds }) =>
      lagSeconds === null ? [] : [{ labels: { host: hostname }, value: lagSeconds }],
    ),
    SERIES_MAX,
  )
  const omitted = metrics.hostQueue.replace(
    hosts.map((host) => ({ labels: { host: host.hostname }, value: host.queuedEvents })),
    SERIES_MAX,
  )
  metrics.hostSeriesOmitted.set(omitted)
}

/** Rebuilds the metrics by subscriber. Call it at each scrape. */
export function sampleSubscribers(
  metrics: SubscriberMetrics,
  samples: Iterable<SubscriberSample>,
): void {
  const subscribers = [...samples]
  metrics.subscribers.set(subscribers.length)
  metrics.subscriberLag.replace(
    subscribers.map(({ id, lagSeconds }) => ({ labels: { subscriber: id }, value: lagSeconds })),
    SERIES_MAX,
  )
  const omitted = metrics.subscriberBacklog.replace(
    subscribers.map(({ id, bufferedBytes }) => ({
      labels: { subscriber: id },
      value: bufferedBytes,
    })),
    SERIES_MAX,
  )
  metrics.subscriberSeriesOmitted.set(omitted)
}
