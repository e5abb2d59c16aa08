/**
 * The only writer: gives seqs, appends to the log in batches, makes them durable, commits state,
 * and then publishes, in that order (I1, I2, I8).
 */
import { assert } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { crashPoint } from '../lib/crash-point.ts'
import type { EventKind, LogAppend } from '../log/log-types.ts'

/** Most events and bytes of one batch: a flush takes milliseconds whatever its size up to there. */
const BATCH_EVENTS_MAX = 500
const BATCH_BYTES_MAX = 8 * 1024 * 1024

/**
 * A flush begins this long after the one before, ms, unless enough events wait: a flush costs half
 * a millisecond of CPU, whatever its size, and subscribers are written to once for each.
 */
const FLUSH_INTERVAL_MS = 4
const FLUSH_EVENTS = 64

/** The part of the event log that the sequencer writes to. */
export interface SequencerLog {
  readonly nextSeq: number
  append(batch: readonly LogAppend[]): Promise<void>
  publish(seq: number): void
}

/** An event that has passed, with what its seq is needed for. */
export interface Submission {
  readonly kind: EventKind
  readonly did: string
  /** The frame for subscribers, as a WebSocket frame, with this seq in it. */
  readonly encode: (seq: number) => Uint8Array
  /** Where it came from; zeros for the relay's own. */
  readonly hostId: number
  readonly hostEpoch: number
  readonly hostSeq: number
  readonly receivedAtMs: number
}

/** A submission in the queue. */
export interface Sequenced extends Submission {
  readonly seq: number
  readonly frame: Uint8Array
}

export interface SequencerHooks {
  /** The batch is durable: take it over into state. Runs before anybody sees the batch. */
  onDurable(batch: readonly Sequenced[]): void
  /** The batch has been published. */
  onPublished(batch: readonly Sequenced[], flushMs: number): void
  /**
   * Log or state could not be written. Nothing of the batch was published; nothing more will be.
   */
  onFailed(error: unknown): void
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>
}

/** Orders what was verified. Submissions are taken in call order; there is no other order. */
export class Sequencer {
  readonly #log: SequencerLog
  readonly #hooks: SequencerHooks
  #queue: Sequenced[] = []
  /** What stands before this in the queue has been published. */
  #head = 0
  #queuedBytes = 0
  #nextSeq: number
  #pump: Promise<void> | null = null
  #flushedAtMs = Number.NEGATIVE_INFINITY
  /** Ends a rest between two flushes. */
  #endRest: (() => void) | null = null
  #drains = 0
  #failed = false

  constructor(log: SequencerLog, hooks: SequencerHooks) {
    this.#log = log
    this.#hooks = hooks
    this.#nextSeq = log.nextSeq
  }

  /** Events that wait for the log, those being written included. */
  get queued(): number {
    return this.#queue.length - this.#head
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Gives the event its seq and queues it. The caller bounds the queue by holding hosts back. */
  submit(submission: Submission): number {
    const seq = this.#nextSeq
    // Before the seq counts as given: were it to throw, no number would be missing.
    const sequenced = { ...submission, seq, frame: submission.encode(seq) }
    this.#nextSeq++
    this.#queue.push(sequenced)
    this.#queuedBytes += sequenced.frame.length
    if (this.queued >= FLUSH_EVENTS) this.#endRest?.()
    // Everything that arrives in this turn of the event loop shares the first flush.
    if (!this.#failed) this.#pump ??= Promise.resolve().then(() => this.#run())
    return seq
  }

  /** Resolves when everything submitted so far is published, or the sequencer has failed. */
  async drain(): Promise<void> {
    this.#drains++
    this.#endRest?.()
    while (this.#pump !== null) await this.#pump
    this.#drains--
  }

  async #run(): Promise<void> {
    try {
      while (this.queued > 0) {
        await this.#rest()
        await this.#flush()
      }
    } catch (error) {
      this.#failed = true
      this.#hooks.onFailed(error)
    } finally {
      this.#pump = null
    }
  }

  /** Waits for company if the last flush was just now: the first event after a pause never does. */
  async #rest(): Promise<void> {
    const { clock } = this.#hooks
    const restMs = this.#flushedAtMs + FLUSH_INTERVAL_MS - clock.monotonicMs()
    if (restMs <= 0 || this.queued >= FLUSH_EVENTS || this.#drains > 0) return
    await new Promise<void>((resolve) => {
      const timer = clock.after(restMs, resolve)
      this.#endRest = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#endRest = null
  }

  async #flush(): Promise<void> {
    const batch = this.#nextBatch()
    const last = batch[batch.length - 1]
    assert(last !== undefined, 'a batch holds something')
    const { clock } = this.#hooks
    const startedMs = clock.monotonicMs()
    this.#flushedAtMs = startedMs
    await this.#log.append(batch.map(toAppend))
    const flushMs = clock.monotonicMs() - startedMs
    crashPoint('relay.logged')
    this.#hooks.onDurable(batch)
    crashPoint('relay.state-saved')
    this.#log.publish(last.seq)
    crashPoint('relay.published')
    this.#head += batch.length
    if (this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    for (const { frame } of batch) this.#queuedBytes -= frame.length
    this.#hooks.onPublished(batch, flushMs)
  }

  #nextBatch(): readonly Sequenced[] {
    let bytes = 0
    let end = this.#head
    while (end < this.#queue.length && end - this.#head < BATCH_EVENTS_MAX) {
      const { length } = (this.#queue[end] as Sequenced).frame
      if (end > this.#head && bytes + length > BATCH_BYTES_MAX) break
      bytes += length
      end++
    }
    return this.#queue.slice(this.#head, end)
  }
}

function toAppend(event: Sequenced): LogAppend {
  return {
    seq: event.seq,
    kind: event.kind,
    did: event.did,
    frame: event.frame,
    timeMs: event.receivedAtMs,
    hostId: event.hostId,
    hostEpoch: event.hostEpoch,
    hostSeq: event.hostSeq,
  }
}
