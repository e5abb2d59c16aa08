/**
 * The one writer of a host. Jobs run in the order of their calls, many in one transaction, which
 * also holds their events; then the events go to the log, are published, and the callers hear.
 *
 * The transaction is the moment at which a change happens. It is durable when it returns, together
 * with the events, seqs and all; the log follows it and never leads. A crash in between loses
 * nothing: `catchUpLog` appends what the log lacks, the same bytes under the same seqs, before
 * anything new is written and before any subscriber is served.
 */
import { assert } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { codeOf, SkeinError } from '../lib/errors.ts'
import type { EventKind, LogAppend } from '../log/log-types.ts'
import type { OutboxRow } from '../store/repo-store.ts'
import { nextTid, type Tid, TID_CLOCK_ID_MAX } from '../syntax/tid.ts'
import type { HostState, Turn } from './turn.ts'

/**
 * Most jobs that wait. At 1,500 a second they are served within seven seconds; each holds its
 * records.
 */
export const JOBS_QUEUED_MAX = 10_000
/** Most bytes of records that wait. */
export const JOBS_QUEUED_BYTES_MAX: number = 64 * 1024 * 1024
/** Jobs of one transaction: while it runs, nothing else does. */
const BATCH_JOBS_MAX = 256
/** After this much time the rest of a batch waits for the next one, ms. */
const BATCH_MS = 20

/** The part of the event log that is written to. */
export interface QueueLog {
  readonly durableSeq: number
  readonly publishedSeq: number
  append(batch: readonly LogAppend[]): Promise<void>
  publish(seq: number): void
}

/** A job that waits. */
interface Job {
  readonly bytes: number
  run(turn: Turn): void
  /** Tells the caller what `run` came to. */
  settle(): void
  reject(error: unknown): void
}

export interface WriteQueueOptions {
  readonly state: HostState
  readonly log: QueueLog
  readonly clock: Clock
  /** 0 to 1,023; tells the revs of this host from those of others. */
  readonly clockId: number
  /** Called once, when log or state cannot be written any more. */
  readonly onFailed: (error: unknown) => void
}

/** What a batch came to. */
interface Batch {
  readonly jobs: readonly Job[]
  readonly events: readonly OutboxRow[]
  readonly effects: readonly (() => void)[]
}

/** Runs jobs and feeds the log. One to a host. */
export class WriteQueue {
  readonly #options: WriteQueueOptions
  #jobs: Job[] = []
  #bytes = 0
  #nextSeq: number
  #running: Promise<void> | null = null
  #failure: unknown = null
  /** Why state refused what was last to be written; null when it has taken it. */
  #refused: unknown = null
  #stopped = false

  constructor(options: WriteQueueOptions) {
    const { clockId } = options
    const isClockId = Number.isInteger(clockId) && clockId >= 0 && clockId <= TID_CLOCK_ID_MAX
    assert(isClockId, () => `clock id: ${clockId}`)
    this.#options = options
    this.#nextSeq = options.state.store.lastSeq() + 1
  }

  /**
   * Why nothing is written any more, or why what was last to be written could not be: a full disk,
   * say. Null while all is well.
   */
  get trouble(): unknown {
    return this.#failure ?? this.#refused
  }

  /** Jobs that wait. */
  get length(): number {
    return this.#jobs.length
  }

  /** Whether a job of so many bytes may be added. */
  hasRoom(bytes: number): boolean {
    return (
      this.#jobs.length < JOBS_QUEUED_MAX &&
      (this.#jobs.length === 0 || this.#bytes + bytes <= JOBS_QUEUED_BYTES_MAX)
    )
  }

  /**
   * Adds a job behind all before it. Resolves with what `run` returns, once its change is durable
   * and its events are published.
   *
   * `run` may be called again after its transaction was rolled back: it must leave nothing behind
   * outside the turn.
   *
   * @param bytes What the job holds in memory.
   * @throws SkeinError STOPPED; STORE_FAILED when nothing of it has happened; LOG_WRITE_FAILED when
   *   it has, and its events go out after the next start.
   */
  submit<T>(bytes: number, run: (turn: Turn) => T): Promise<T> {
    if (this.#stopped) return Promise.reject(new SkeinError('STOPPED', 'write: host is stopped'))
    if (this.#failure !== null) return Promise.reject(failureOf(this.#failure))
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let result: { readonly value: T } | null = null
    this.#jobs.push({
      bytes,
      run(turn) {
        result = { value: run(turn) }
      },
      settle() {
        assert(result !== null, 'a job that is settled has run')
        resolve(result.value)
      },
      reject,
    })
    this.#bytes += bytes
    // Everything that is called in this turn of the event loop shares the first transaction.
    this.#running ??= Promise.resolve().then(() => this.#run())
    return promise
  }

  /** Refuses what comes from now on; resolves when what came before is done. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#jobs.length > 0 && this.#failure === null) await this.#next()
    this.#running = null
    const failure = this.#failure
    if (failure === null) return
    for (const job of this.#jobs.splice(0)) job.reject(failureOf(failure))
    this.#bytes = 0
  }

  async #next(): Promise<void> {
    const batch = this.#transact(this.#jobs.slice(0, BATCH_JOBS_MAX))
    if (batch === null) return
    try {
      await this.#publish(batch.events)
    } catch (error) {
      this.#fail(error)
      for (const job of batch.jobs) job.reject(error)
      return
    }
    for (const effect of batch.effects) effect()
    for (const job of batch.jobs) job.settle()
  }

  /** Takes jobs off the queue, runs them in one transaction; null when it failed. */
  #transact(jobs: readonly Job[]): Batch | null {
    try {
      const batch = this.#attempt(jobs)
      this.#take(batch.jobs.length)
      return batch
    } catch (error) {
      const { blocks, trees, keys } = this.#options.state
      blocks.discard()
      trees.clear()
      keys.clear()
      const [first] = jobs
      assert(first !== undefined, 'a batch holds something')
      // One of them is at fault: alone, each shows whether it is.
      if (jobs.length > 1) return this.#transact([first])
      this.#take(1)
      if (codeOf(error) === 'STORE_FAILED') this.#refused = error
      first.reject(error)
      return null
    }
  }

  #take(count: number): void {
    for (const { bytes } of this.#jobs.splice(0, count)) this.#bytes -= bytes
  }

  #attempt(jobs: readonly Job[]): Batch {
    const { state, log, clock, clockId } = this.#options
    const nowMs = clock.nowMs()
    const startedMs = clock.monotonicMs()
    const events: OutboxRow[] = []
    const effects: (() => void)[] = []
    const firstSeq = this.#nextSeq
    const turn: Turn = {
      ...state,
      nowMs,
      time: new Date(nowMs).toISOString(),
      nextRev: (previous) => nextTid(previous as Tid | null, clock, clockId),
      emit(kind: EventKind, did, frame) {
        const seq = firstSeq + events.length
        events.push({ seq, kind, did, timeMs: nowMs, frame: frame(seq) })
        return seq
      },
      afterPublish: (effect) => void effects.push(effect),
    }
    let ran = 0
    state.store.transaction(() => {
      for (const job of jobs) {
        if (ran > 0 && clock.monotonicMs() - startedMs > BATCH_MS) break
        job.run(turn)
        ran++
      }
      state.blocks.flush()
      state.store.dropEvents(log.durableSeq)
      state.store.putEvents(events)
    })
    state.trees.trim()
    this.#nextSeq += events.length
    // Without events nothing may have been written at all.
    if (events.length > 0) this.#refused = null
    return { jobs: jobs.slice(0, ran), events, effects }
  }

  async #publish(events: readonly OutboxRow[]): Promise<void> {
    const last = events.at(-1)
    if (last === undefined) return
    await this.#options.log.append(events.map(toAppend))
    this.#options.log.publish(last.seq)
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#options.onFailed(error)
  }

  /**
   * Appends and publishes what state holds and the log does not. Before the first job.
   *
   * @returns How many events there were.
   * @throws SkeinError LOG_DAMAGED when log and state cannot belong together.
   */
  async catchUpLog(): Promise<number> {
    const { log, state } = this.#options
    const lastSeq = state.store.lastSeq()
    const events = state.store.eventsAfter(log.durableSeq)
    const missing = lastSeq - log.durableSeq
    if (missing !== events.length) {
      const detail = missing < 0 ? 'state is older than the log' : 'the log has lost events'
      throw new SkeinError('LOG_DAMAGED', `open host: ${detail}; restore both from one backup`, {
        logSeq: log.durableSeq,
        stateSeq: lastSeq,
      })
    }
    await this.#publish(events)
    return events.length
  }
}

function toAppend({ seq, kind, did, timeMs, frame }: OutboxRow): LogAppend {
  return { seq, kind, did, frame, timeMs, hostId: 0, hostEpoch: 0, hostSeq: 0 }
}

function failureOf(cause: unknown): unknown {
  return cause instanceof SkeinError
    ? new SkeinError(cause.code, `write: host has failed before: ${cause.message}`, {}, cause)
    : cause
}
