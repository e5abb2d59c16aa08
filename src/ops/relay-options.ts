/** The options of `skein relay`: the table, the parsed type, and the rules that join several. */

import { SkeinError } from '../lib/errors.ts'
import { parseOptions, type OptionSources } from './options.ts'
import type { OptionValues } from './option-table.ts'

/**
 * Every option of the relay. A check that can be loosened by `--check` is named by its reason
 * (lib/reasons.ts); the names are those of repo/checks.ts, which test/generated-docs.test.ts
 * compares. Left out on purpose: what makes a frame unreadable, and what says whose event it is
 * (signature, DID, host, order of revs); without those nothing can be emitted honestly.
 */
export const RELAY_OPTIONS = {
  bind: {
    kind: 'address',
    off: false,
    default: '127.0.0.1:2470',
    group: 'Listening',
    help: 'Address of the public HTTP and WebSocket server.',
    why: 'Loopback, so that nothing is public before somebody says so: put a TLS proxy in front.',
  },
  metricsBind: {
    kind: 'address',
    off: true,
    default: '127.0.0.1:2471',
    group: 'Listening',
    help: 'Address of the Prometheus metrics, or off. They name hosts: keep it private.',
  },
  trustedProxies: {
    kind: 'list',
    item: 'network',
    default: '',
    flag: 'trusted-proxy',
    group: 'Listening',
    help: 'Network whose X-Forwarded-For header is believed when limits are counted per address.',
    why: 'None: anybody can write that header.',
  },
  requestsPerMinute: {
    kind: 'integer',
    min: 1,
    max: 1_000_000,
    default: '600',
    group: 'Listening',
    help: 'Most HTTP requests a minute from one address (IPv6: from one /64).',
    why: 'The same as the reference PDS: 3,000 in 5 minutes.',
  },
  subscribersMax: {
    kind: 'integer',
    min: 1,
    max: 100_000,
    default: '1000',
    group: 'Listening',
    help: 'Most connected subscribers.',
    why: 'A subscriber of the whole network takes some 30 Mbit/s; an uplink ends before this.',
  },
  subscribersPerAddressMax: {
    kind: 'integer',
    min: 1,
    max: 100_000,
    default: '50',
    group: 'Listening',
    help: 'Most connected subscribers of one address (IPv6: of one /64).',
    why: 'Room for an office or a cloud gateway, but not for one client that leaks connections.',
  },
  data: {
    kind: 'string',
    placeholder: 'path',
    default: './data',
    group: 'Storage',
    help: 'Data directory. It is created when missing and used by one process at a time.',
  },
  replayWindow: {
    kind: 'duration',
    min: '1m',
    max: '3650d',
    default: '72h',
    group: 'Storage',
    help: 'How long events can be replayed.',
    why: 'What the known relays keep; consumers are built for it.',
  },
  replayBytes: {
    kind: 'bytes',
    min: '0',
    max: '1000TiB',
    default: '256GiB',
    group: 'Storage',
    help: 'Most bytes kept for replay, even inside the window; 0 for no limit.',
    why: 'About 72 hours of the whole network; a flood then costs replay, not the disk.',
  },
  hosts: {
    kind: 'list',
    item: 'host',
    default: '',
    flag: 'host',
    group: 'Hosts',
    help: 'Host to subscribe to at start (added to those already known).',
  },
  newHostsFrom: {
    kind: 'choice',
    values: ['oldest', 'live'],
    default: 'oldest',
    group: 'Hosts',
    help: 'Where the stream of a new host is joined: at its oldest available event, or live.',
    why: 'From the oldest, so that what a host sent before it was added is not missing for ever.',
  },
  requestCrawl: {
    kind: 'boolean',
    default: 'true',
    group: 'Hosts',
    help: 'Whether anybody may add a host with com.atproto.sync.requestCrawl.',
  },
  newHostsPerDay: {
    kind: 'integer',
    min: 0,
    max: 1_000_000,
    default: '50',
    group: 'Hosts',
    help: 'Most hosts added in 24 hours by requestCrawl. Those given by --host are not counted.',
    why: 'What the Go relay allows.',
  },
  hostAccountLimit: {
    kind: 'integer',
    min: 1,
    max: 1_000_000_000,
    default: '1000',
    group: 'Hosts',
    help: 'Most active accounts of a host that came by requestCrawl; hosts given by --host have none.',
    why: 'Ten times the Go relay, whose 100 is what operators of small hosts run into most.',
  },
  hostEventsPerSecond: {
    kind: 'integer',
    min: 1,
    max: 1_000_000,
    default: '200',
    group: 'Hosts',
    help: 'Most events a second taken from one host, on average.',
    why: 'Four times the Go relay, so that a host can catch up after a pause in useful time.',
  },
  allowPrivateNetwork: {
    kind: 'boolean',
    default: 'false',
    group: 'Hosts',
    help: 'Allow hosts and directories on loopback and private addresses, without TLS.',
    why: 'For development only: it lifts the protection against requests into your own network.',
  },
  plc: {
    kind: 'list',
    item: 'url',
    default: 'https://plc.directory',
    group: 'Identity',
    help: 'PLC directory. Several are asked in the order given.',
  },
  identityCacheBytes: {
    kind: 'bytes',
    min: '1MiB',
    max: '1TiB',
    default: '64MiB',
    group: 'Identity',
    help: 'Most memory for resolved identities; the rest is read from disk.',
    why: 'Keeps an idle relay small; the accounts that post in an hour fit.',
  },
  accountCacheBytes: {
    kind: 'bytes',
    min: '1MiB',
    max: '1TiB',
    default: '64MiB',
    group: 'Storage',
    help: 'Most memory for accounts and their heads; the rest is read from disk.',
    why: 'Holds the 140,000 accounts used last; another is read in some 20 µs.',
  },
  checks: {
    kind: 'settings',
    flag: 'check',
    names: [
      'rev-future',
      'commit-cid-mismatch',
      'op-path-invalid',
      'op-prev-missing',
      'op-record-missing',
      'op-record-too-large',
      'op-record-malformed',
      'prev-data-missing',
      'inversion-mismatch',
      'op-not-in-tree',
      'mst-block-missing',
    ],
    values: ['enforce', 'warn', 'off'],
    default: '',
    group: 'Checks',
    help: 'Loosen one check by its reason: enforce, warn (count and pass) or off.',
    why: 'Every check is enforced unless it is named here.',
  },
  verifierThreads: {
    kind: 'threads',
    max: 64,
    default: 'auto',
    group: 'Running',
    help: 'Threads that verify events, or auto: as many as there are cores, up to 8.',
    why: 'Verification is most of the work. 0 does it in the thread that does everything else: for tests.',
  },
  drainTimeout: {
    kind: 'duration',
    min: '0',
    max: '10m',
    default: '10s',
    group: 'Running',
    help: 'How long a stop waits for requests and subscribers before it closes them.',
  },
  logLevel: {
    kind: 'choice',
    values: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    default: 'info',
    group: 'Running',
    help: 'Least severe log lines shown. What strangers send wrongly is logged at debug.',
  },
  logFormat: {
    kind: 'choice',
    values: ['auto', 'json', 'text'],
    default: 'auto',
    group: 'Running',
    help: 'Form of log lines on standard output; auto is text on a terminal and else JSON.',
  },
  debug: {
    kind: 'boolean',
    default: 'false',
    group: 'Running',
    help: 'Show the stack of an error that ends the process.',
  },
} as const

type RelayOptionValues = OptionValues<typeof RELAY_OPTIONS>

/** Parsed options of the relay: sizes in bytes, durations in milliseconds. */
export interface RelayOptions extends RelayOptionValues {}

/** A check that `--check` can loosen, named by its reason. */
export type LooseCheck = keyof RelayOptions['checks']
/** What a check does on failure: drop the event, count and pass it, or not even look. */
export type CheckMode = 'enforce' | 'warn' | 'off'

/**
 * Parses the relay's options and checks the rules between them.
 *
 * @throws SkeinError `OPTION_INVALID` or `OPTION_UNKNOWN`.
 */
export function parseRelayOptions(sources: OptionSources = {}): RelayOptions {
  return checkRelayOptions(parseOptions(RELAY_OPTIONS, sources))
}

/**
 * The defaults with `overrides` in place, for callers that start a relay from code.
 *
 * @example
 * const options = relayOptions({ hosts: ['http://localhost:2583'], allowPrivateNetwork: true })
 */
export function relayOptions(overrides: Partial<RelayOptions> = {}): RelayOptions {
  return checkRelayOptions({ ...parseOptions(RELAY_OPTIONS), ...overrides })
}

function checkRelayOptions(options: RelayOptions): RelayOptions {
  if (options.plc.length === 0) {
    throw new SkeinError('OPTION_INVALID', 'options: --plc names no directory')
  }
  const insecure = [...options.hosts, ...options.plc].find((url) => /^(?:http|ws):/.test(url))
  if (insecure !== undefined && !options.allowPrivateNetwork) {
    throw new SkeinError(
      'OPTION_INVALID',
      'options: a host or directory without TLS needs --allow-private-network',
      { value: insecure },
    )
  }
  const { bind, metricsBind } = options
  if (bind.port !== 0 && bind.port === metricsBind?.port && bind.host === metricsBind.host) {
    throw new SkeinError('OPTION_INVALID', 'options: --bind and --metrics-bind are the same', {
      port: bind.port,
    })
  }
  return options
}
