/**
 * What has passed, on its way to subscribers: it is given a seq, logged, taken over into state, made
 * visible or hidden, and published. The order is the sequencer's.
 */
import type { Clock } from '../lib/clock.ts'
import type { EventLog } from '../log/event-log.ts'
import type { EventKind } from '../log/log-types.ts'
import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { AccountRow, RelayStore } from '../store/relay-store.ts'
import { encodeWireFrame } from '../stream/frame.ts'
import type { MessageFrame } from '../stream/frame-types.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import { wrapFrame } from '../stream/wire-frame.ts'
import type { Accounts } from './accounts.ts'
import type { Arrival } from './host-link.ts'
import type { Hosts } from './hosts.ts'
import { Sequencer, type Sequenced, type Submission } from './sequencer.ts'

export interface OutflowOptions {
  readonly log: EventLog
  readonly store: RelayStore
  readonly accounts: Accounts
  readonly hosts: Hosts
  readonly clock: Clock
  readonly metrics: RelayMetrics
  readonly onPublished: () => void
  readonly onFailed: (error: unknown) => void
}

/** An event between its seq and its publication. */
interface Flight {
  readonly row: AccountRow
  /** Null for the relay's own events. */
  readonly arrival: Arrival | null
}

/** The status that an `#account` event of the relay itself tells. */
export interface OwnStatus {
  readonly active: boolean
  readonly status?: string
}

const KINDS: Readonly<Record<MessageFrame['type'], EventKind>> = {
  '#commit': 'commit',
  '#sync': 'sync',
  '#identity': 'identity',
  '#account': 'account',
}

/** Takes decided events in order. The rows that they lead to are at hand in `accounts` at once. */
export class Outflow {
  readonly #options: OutflowOptions
  readonly #sequencer: Sequencer
  readonly #flights = new Map<number, Flight>()

  constructor(options: OutflowOptions) {
    this.#options = options
    this.#sequencer = new Sequencer(options.log, {
      onDurable: (batch) => this.#onDurable(batch),
      onPublished: (batch, flushMs) => this.#onPublished(batch, flushMs),
      onFailed: options.onFailed,
      monotonicMs: () => options.clock.monotonicMs(),
    })
  }

  /** Events that wait for the log, and the bytes of their frames. */
  get queued(): { readonly events: number; readonly bytes: number } {
    return { events: this.#sequencer.queued, bytes: this.#sequencer.queuedBytes }
  }

  /** Sends a host's event on. `account` is its row as the event leaves it, given the event's seq. */
  pass(arrival: Arrival, did: string, account: (seq: number) => AccountRow): void {
    const { frame, link, hostEpoch, hostSeq, receivedAtMs } = arrival
    const submission: Submission = {
      kind: KINDS[frame.type],
      did,
      encode: (seq) => encodeWireFrame(frame, seq),
      hostId: link.id,
      hostEpoch,
      hostSeq,
      receivedAtMs,
    }
    this.#take(submission, account, arrival)
  }

  /** Sends an `#account` event of the relay itself. */
  tell(did: string, status: OwnStatus, account: (seq: number) => AccountRow): void {
    const nowMs = this.#options.clock.nowMs()
    const time = new Date(nowMs).toISOString()
    const encode = (seq: number): Uint8Array =>
      wrapFrame(encodeMessageFrame('#account', { seq, did, time, ...status }))
    const origin = { hostId: 0, hostEpoch: 0, hostSeq: 0, receivedAtMs: nowMs }
    this.#take({ kind: 'account', did, encode, ...origin }, account, null)
  }

  /** Resolves when everything taken so far is published, or writing has failed. */
  drain(): Promise<void> {
    return this.#sequencer.drain()
  }

  #take(
    submission: Submission,
    account: (seq: number) => AccountRow,
    arrival: Arrival | null,
  ): void {
    const seq = this.#sequencer.submit(submission)
    const row = account(seq)
    this.#options.accounts.put(row)
    this.#flights.set(seq, { row, arrival })
  }

  #onDurable(batch: readonly Sequenced[]): void {
    const { log, store, accounts, hosts } = this.#options
    const rows = new Map<string, AccountRow>()
    let appliedSeq = 0
    for (const { seq, did, kind } of batch) {
      const flight = this.#flights.get(seq)
      if (flight === undefined) continue
      rows.set(did, flight.row)
      appliedSeq = seq
      if (flight.arrival !== null) flight.arrival.link.settle(flight.arrival)
      if (kind === 'account') applyVisibility(log, flight.row)
    }
    store.apply({ accounts: rows.values(), hosts: hosts.changedProgress(), appliedSeq })
    hosts.markSaved()
    for (const { did } of batch) accounts.release(did)
  }

  #onPublished(batch: readonly Sequenced[], flushMs: number): void {
    const { metrics, clock, onPublished } = this.#options
    const nowMs = clock.nowMs()
    metrics.batchEvents.observe(batch.length)
    metrics.logFlushSeconds.observe(flushMs / 1_000)
    for (const { seq, kind, receivedAtMs } of batch) {
      this.#flights.delete(seq)
      metrics.eventsEmitted.add(1, { kind })
      metrics.eventSeconds.observe(Math.max(0, nowMs - receivedAtMs) / 1_000)
    }
    onPublished()
  }
}

/** Keeps replay to what may be served of an account (I11). Saying it again changes nothing. */
export function applyVisibility(
  log: Pick<EventLog, 'hide' | 'unhide' | 'purge'>,
  { did, active, status, takendown, inactiveSeq }: AccountRow,
): void {
  if (active && !takendown) log.unhide(did)
  else if (inactiveSeq !== null) {
    const forGood = takendown || status === 'takendown' || status === 'deleted'
    if (forGood) log.purge(did, inactiveSeq)
    else log.hide(did, inactiveSeq)
  }
}
