/** What can go wrong without anybody lying: kinds, and proof that each one happened. */

/** Every fault, by where it strikes and what it is. */
export const FAULTS = {
  disconnect: 'stream: every connection of a host is cut',
  duplicate: 'stream: the last five messages are sent once more',
  'garbage-frame': 'stream: a message is no frame at all',
  'unknown-type': 'stream: a message is of a type that nobody knows',
  'oversized-frame': 'stream: a message is over 5,000,000 bytes',
  'swallowed-frame': 'stream: a commit has its seq and is never sent',
  'error-frame': 'stream: ConsumerTooSlow, and the connection is closed',
  'seq-regression': 'stream: a host is restored from a backup, seqs fall back by up to 30',
  'seq-reset': 'stream: a host has lost its events and counts from 1 again',
  silent: 'stream: nothing is sent and no ping is answered',
  'clock-jump': "clock: a host's clock is set, to between an hour late and 4 minutes early",
  'upgrade-429': 'stream: a connection is answered with 429 and no header',
  'upgrade-429-retry-after': 'stream: a connection is answered with 429 and Retry-After: 1',
  'upgrade-503': 'stream: a connection is answered with 503',
  'upgrade-redirect': 'stream: a connection is answered with 302',
  'http-429': 'HTTP: a request is answered with 429 and no header',
  'http-429-headers': 'HTTP: a request is answered with 429, Retry-After and RateLimit-Reset',
  'http-500': 'HTTP: a request is answered with 500',
  'http-503': 'HTTP: a request is answered with 503',
  'http-redirect': 'HTTP: a request is answered with 302 to the same path',
  'http-hang': 'HTTP: a request is never answered',
  'repo-slow': 'getRepo: the CAR comes in small pieces, with pauses',
  'repo-truncated': 'getRepo: the CAR ends in the middle',
  'plc-503': 'PLC: a request is answered with 503',
  'plc-hang': 'PLC: a request is never answered',
  'plc-404': 'PLC: a DID that is there is not found',
  'late-directory': 'PLC: an account speaks before the directory knows it',
  'dns-not-found': 'DNS: a look-up fails with ENOTFOUND, as if there were no such name',
  'dns-try-again': 'DNS: a look-up fails with EAI_AGAIN, as if the name servers had failed',
  'dns-hang': 'DNS: a look-up is never answered',
} as const

export type FaultKind = keyof typeof FAULTS

/** Those that strike whoever reads the stream, at any time. */
export const STREAM_FAULTS: readonly StreamFault[] = [
  'disconnect',
  'duplicate',
  'garbage-frame',
  'unknown-type',
  'oversized-frame',
  'swallowed-frame',
  'error-frame',
  'clock-jump',
  'upgrade-429',
  'upgrade-429-retry-after',
  'upgrade-503',
  'upgrade-redirect',
  'plc-503',
  'plc-hang',
]

/** Those after which events are lost unless everybody has caught up before. */
export const QUIET_FAULTS: readonly QuietFault[] = [
  'seq-regression',
  'seq-reset',
  'silent',
  'late-directory',
]

/** Those that strike readers which look names up with `SimNetwork.resolveAddresses`. */
export const DNS_FAULTS: readonly DnsFault[] = ['dns-not-found', 'dns-try-again', 'dns-hang']

/** Those that strike readers which send requests to hosts, for repositories above all. */
export const HTTP_FAULTS: readonly HttpFault[] = [
  'http-429',
  'http-429-headers',
  'http-500',
  'http-503',
  'http-redirect',
  'http-hang',
  'repo-slow',
  'repo-truncated',
]

export type StreamFault = Extract<
  FaultKind,
  | 'disconnect'
  | 'duplicate'
  | 'garbage-frame'
  | 'unknown-type'
  | 'oversized-frame'
  | 'swallowed-frame'
  | 'error-frame'
  | 'clock-jump'
  | 'upgrade-429'
  | 'upgrade-429-retry-after'
  | 'upgrade-503'
  | 'upgrade-redirect'
  | 'plc-503'
  | 'plc-hang'
>
export type QuietFault = Extract<
  FaultKind,
  'seq-regression' | 'seq-reset' | 'silent' | 'late-directory'
>
export type DnsFault = Extract<FaultKind, `dns-${string}`>
export type HttpFault = Extract<FaultKind, `http-${string}` | `repo-${string}`>

export function isDnsFault(kind: FaultKind): kind is DnsFault {
  return kind.startsWith('dns-')
}

/** Faults ordered and faults that happened. */
export class FaultCounters {
  readonly #planned = new Map<FaultKind, number>()
  readonly #fired = new Map<FaultKind, number>()

  plan(kind: FaultKind): void {
    this.#planned.set(kind, (this.#planned.get(kind) ?? 0) + 1)
  }

  fire(kind: FaultKind): void {
    this.#fired.set(kind, (this.#fired.get(kind) ?? 0) + 1)
  }

  planned(): ReadonlyMap<FaultKind, number> {
    return this.#planned
  }

  fired(): ReadonlyMap<FaultKind, number> {
    return this.#fired
  }

  /** Kinds that were planned more often than they happened. */
  pending(): FaultKind[] {
    return [...this.#planned]
      .filter(([kind, count]) => (this.#fired.get(kind) ?? 0) < count)
      .map(([kind]) => kind)
  }
}

/** Faults of one kind that may wait in one place; they would pile up where nobody comes. */
const WAITING_MAX = 8

/** Faults that wait for their occasion: the next request, say. The first one set is used first. */
export class ArmedFaults<K extends FaultKind> {
  readonly #counters: FaultCounters
  readonly #armed: K[] = []

  constructor(counters: FaultCounters) {
    this.#counters = counters
  }

  /** Sets a fault; not one more of a kind of which too many wait already. */
  arm(kind: K): void {
    if (this.#armed.filter((waiting) => waiting === kind).length >= WAITING_MAX) return
    this.#counters.plan(kind)
    this.#armed.push(kind)
  }

  /** The next fault that may strike here, counted as fired; null when there is none. */
  take(fits: (kind: K) => boolean = () => true): K | null {
    const at = this.#armed.findIndex((kind) => fits(kind))
    if (at < 0) return null
    const [kind] = this.#armed.splice(at, 1)
    if (kind === undefined) return null
    this.#counters.fire(kind)
    return kind
  }
}
