/**
 * What has passed, on its way to subscribers: it is given a seq, logged, taken over into state,
 * published, and replay is kept to what may be served from then on. The order is the sequencer's.
 */
import type { Clock } from '../lib/clock.ts'
import { crashPoint } from '../lib/crash-point.ts'
import { Slab } from '../lib/slab.ts'
import type { EventLog } from '../log/event-log.ts'
import type { EventKind } from '../log/log-types.ts'
import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { AccountRow, RelayStore } from '../store/relay-store.ts'
import { encodeWireFrame } from '../stream/frame.ts'
import type { MessageType } from '../stream/frame-types.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import { wrapFrame } from '../stream/wire-frame.ts'
import type { Accounts } from './accounts.ts'
import type { Arrival } from './host-link.ts'
import type { Hosts } from './hosts.ts'
import { type OwnAct, ownOrigin, type OwnStatus, rowAfterOwn } from './own-events.ts'
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

/** Pause between passes over the log for purges, ms. */
const PURGE_PAUSE_MS = 30_000

/** Frames on their way share memory in pieces of this size: a batch takes one or two. */
const SLAB_BYTES = 512 * 1024

/** An event between its seq and its publication. */
interface Flight {
  /** The account's row before and after the event. */
  readonly before: AccountRow | null
  readonly row: AccountRow
  /** Null for the relay's own events. */
  readonly arrival: Arrival | null
}

const KINDS: Readonly<Record<MessageType, EventKind>> = {
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
  readonly #slab = new Slab(SLAB_BYTES)
  /** Purges to come, by DID: our own seq before which events go. Bounded by the accounts. */
  readonly #purges = new Map<string, number>()
  #purgedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: OutflowOptions) {
    this.#options = options
    this.#sequencer = new Sequencer(options.log, {
      onDurable: (batch) => this.#onDurable(batch),
      onPublished: (batch, flushMs) => this.#onPublished(batch, flushMs),
      onFailed: options.onFailed,
      clock: options.clock,
    })
  }

  /** Events that wait for the log, and the bytes of their frames. */
  get queued(): { readonly events: number; readonly bytes: number } {
    return { events: this.#sequencer.queued, bytes: this.#sequencer.queuedBytes }
  }

  /**
   * Sends a host's event on. `account` is its row as the event leaves it, given the event's seq.
   */
  pass(arrival: Arrival, did: string, account: (seq: number) => AccountRow): void {
    const { frame, link, hostEpoch, hostSeq, receivedAtMs } = arrival
    const submission: Submission = {
      kind: KINDS[frame.type],
      did,
      encode: (seq) => encodeWireFrame(frame, seq, (bytes) => this.#slab.take(bytes)),
      hostId: link.id,
      hostEpoch,
      hostSeq,
      receivedAtMs,
    }
    this.#take(submission, account, arrival)
  }

  /** Sends an `#account` event of the relay itself. `account` is the row before it. */
  tell(act: OwnAct, account: AccountRow, status: OwnStatus): void {
    const { did } = account
    const nowMs = this.#options.clock.nowMs()
    const time = new Date(nowMs).toISOString()
    const encode = (seq: number): Uint8Array =>
      wrapFrame(encodeMessageFrame('#account', { seq, did, time, ...status }))
    const origin = { ...ownOrigin(act, account), receivedAtMs: nowMs }
    const rowAfter = (seq: number): AccountRow => rowAfterOwn(act, account, status, seq)
    this.#take({ kind: 'account', did, encode, ...origin }, rowAfter, null)
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
    const before = this.#options.accounts.get(row.did)
    this.#options.accounts.put(row)
    this.#flights.set(seq, { before, row, arrival })
  }

  #onDurable(batch: readonly Sequenced[]): void {
    const { store, accounts, hosts } = this.#options
    const rows = new Map<string, AccountRow>()
    let appliedSeq = 0
    for (const { seq, did } of batch) {
      const flight = this.#flights.get(seq)
      if (flight === undefined) continue
      rows.set(did, flight.row)
      appliedSeq = seq
      if (flight.arrival !== null) flight.arrival.link.settle(flight.arrival, seq)
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
      const flight = this.#flights.get(seq)
      this.#flights.delete(seq)
      // Not before: who follows live is to see what an account said just before it went.
      if (kind === 'account' && flight !== undefined) {
        this.#applyVisibility(flight.before, flight.row)
      }
      metrics.eventsEmitted.add(1, { kind })
      metrics.eventSeconds.observe(Math.max(0, nowMs - receivedAtMs) / 1_000)
    }
    onPublished()
  }

  /**
   * Carries out the purges that have come up since the last. Their events are hidden already; one
   * pass over the log serves all of them, so they are gathered. To be called from time to time.
   */
  purge(): void {
    for (const [did, beforeSeq] of this.#purges) this.#options.log.purge(did, beforeSeq)
    this.#purges.clear()
  }

  /** Hides what state says must not be replayed, after a start. */
  hideInactive(rows: Iterable<AccountRow>): void {
    for (const row of rows) this.#applyVisibility(null, row)
  }

  /** Keeps replay to what may be served of an account (I11). */
  #applyVisibility(before: AccountRow | null, row: AccountRow): void {
    const { log } = this.#options
    const { did, inactiveSeq } = row
    if (inactiveSeq === null) this.#showAgain(did)
    else if (!isGoneForGood(row)) log.hide(did, inactiveSeq)
    // Said again, it has been purged: a pass over the log is not to be had for the asking.
    else if (before?.inactiveSeq !== inactiveSeq || !isGoneForGood(before)) {
      this.#purge(did, inactiveSeq)
    }
  }

  #showAgain(did: string): void {
    const { log } = this.#options
    const beforeSeq = this.#purges.get(did)
    if (beforeSeq !== undefined) log.purge(did, beforeSeq)
    this.#purges.delete(did)
    log.unhide(did)
  }

  #purge(did: string, beforeSeq: number): void {
    const { log, clock } = this.#options
    crashPoint('relay.purging')
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#purgedAtMs >= PURGE_PAUSE_MS) {
      this.#purgedAtMs = nowMs
      log.purge(did, beforeSeq)
      return
    }
    log.hide(did, beforeSeq)
    this.#purges.set(did, beforeSeq)
  }
}

/** Whether an account's past is not to be kept: taken down, by whomever, or deleted. */
function isGoneForGood({ active, takendown, status }: AccountRow): boolean {
  return takendown || (!active && (status === 'takendown' || status === 'deleted'))
}
