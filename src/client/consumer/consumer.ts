/**
 * The verified consumer's engine: frames in, deliveries out, one lane an account, and a cursor that
 * moves only over what is finished. ./subscribe.ts and ./run-consumer.ts put a face on it.
 *
 * ```
 *  source ──▶ lanes ──▶ event-steps ──▶ sink (iterator or handler)
 *    ▲ pause    │  verify, compare        │
 *    └──────────┘      │                  ▼
 *                   repairs ◀── marks ── memory ──▶ saver ──▶ store, then cursors
 * ```
 */
import { assert } from '../../lib/assert.ts'
import { type Clock, stayAwake, systemClock, type Timer } from '../../lib/clock.ts'
import { messageOf, SkeinError } from '../../lib/errors.ts'
import type { ConsumerStore } from '../../store/consumer-state.ts'
import { parseFrame } from '../../stream/frame.ts'
import { type ConsumerCounts, newCounts } from './consumer-counts.ts'
import { WantedEvents } from './consumer-filter.ts'
import { CONSUMER_LIMITS, type ConsumerLimits } from './consumer-limits.ts'
import { openParts, type Parts } from './consumer-parts.ts'
import { originsOf } from './consumer-start.ts'
import type {
  ConsumerNotice,
  ConsumerOptions,
  ConsumerState,
  ConsumerStats,
  Delivery,
} from './consumer-types.ts'
import { didOf } from './event-judge.ts'
import { type Lane, Lanes, type Task } from './lanes.ts'
import { isPromise, type MaybePromise } from './maybe-promise.ts'
import { MemoryStore } from './memory-store.ts'
import { newRepairCounts, type Outcome } from './repairs.ts'
import { marked, roused } from './repo-states.ts'
import { Slots } from './slots.ts'
import type { Place, SourceFrame, SourceNotice } from '../source/source-types.ts'

/** How much more than itself a frame that waits may keep in memory. */
const PINNED_FACTOR = 2

/** Who gets the deliveries. Those of one account come one at a time. */
export interface Sink {
  deliver(delivery: Delivery, signal: AbortSignal): MaybePromise<Outcome>
}

export class Consumer {
  readonly options: ConsumerOptions
  readonly limits: ConsumerLimits
  readonly clock: Clock
  readonly wanted: WantedEvents
  readonly store: ConsumerStore
  readonly lanes: Lanes = new Lanes()
  readonly #sink: Sink
  readonly #slots: Slots
  readonly #origins: readonly string[]
  readonly #counts: ConsumerCounts = newCounts()
  readonly #stop = new AbortController()
  readonly #ended = Promise.withResolvers<void>()
  readonly #onAbort: () => void
  #parts: Parts | null = null
  #phase: 'new' | 'starting' | 'running' | 'stopping' | 'stopped' = 'new'
  #held = false
  #failure: Error | null = null
  #stopping: Promise<void> | null = null
  #awake: Timer | null = null
  #close: (() => Promise<void>) | null = null

  /** @throws SkeinError OPTION_INVALID. */
  constructor(options: ConsumerOptions, sink: Sink, concurrency: number) {
    this.options = options
    this.limits = { ...CONSUMER_LIMITS, ...options.limits }
    this.clock = options.clock ?? systemClock
    this.wanted = new WantedEvents(options.filter)
    this.store = options.store ?? new MemoryStore()
    this.#sink = sink
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new SkeinError('OPTION_INVALID', 'consumer: concurrency is no number from 1 on')
    }
    this.#slots = new Slots(concurrency)
    this.#origins = originsOf(options)
    this.#onAbort = () => void this.stop()
  }

  /** Resolves when it has stopped; rejects with what stopped it. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  get state(): ConsumerState {
    const source = this.#parts?.source.state ?? null
    const isOver = this.#phase === 'stopped'
    const phase = isOver ? 'stopped' : (source?.phase ?? 'starting')
    return { phase, source, isHeld: this.#held, failure: this.#failure }
  }

  get stats(): ConsumerStats {
    const counts = this.#counts
    const { repairs, saver, kept } = this.#parts ?? {}
    const repaired = repairs?.counts ?? newRepairCounts()
    return {
      received: counts.received,
      delivered: counts.delivered,
      operations: counts.operations,
      skipped: { ...counts.skipped },
      refused: { ...counts.refused },
      unverifiable: { ...counts.unverifiable },
      desynchronized: { ...counts.desynchronized },
      gaps: counts.gaps,
      repairs: {
        ...repaired,
        waiting: repairs?.waiting ?? 0,
        fellBack: { ...repaired.fellBack },
        failed: { ...repaired.failed },
      },
      handlerFailures: counts.handlerFailures,
      quarantined: kept?.count ?? 0,
      lanes: this.lanes.size,
      waitingFrames: this.lanes.frames,
      waitingBytes: this.lanes.bytes,
      saves: saver?.saves ?? 0,
      saved: saver?.saved ?? null,
    }
  }

  /** The handler has failed once more. */
  countFailure(): void {
    this.#counts.handlerFailures++
  }

  /** The parts once they are there. */
  async parts(): Promise<Parts> {
    if (this.#parts !== null) return this.#parts
    throw new SkeinError('STOPPED', 'consumer: it does not run')
  }

  /** Begins. What keeps it from beginning is told by `ended`. */
  start(): void {
    if (this.#phase !== 'new') return
    this.#phase = 'starting'
    // A source that is held back, or waits to reconnect, does not keep the process alive.
    this.#awake = stayAwake()
    const { signal } = this.options
    if (signal?.aborted === true) {
      void this.stop()
      return
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#begin().catch((error: unknown) => this.fail(error))
  }

  async #begin(): Promise<void> {
    const parts = await openParts({
      options: this.options,
      origins: this.#origins,
      limits: this.limits,
      clock: this.clock,
      store: this.store,
      wanted: this.wanted,
      lanes: this.lanes,
      counts: this.#counts,
      signal: this.signal,
      listener: {
        onFrame: (bytes, frame, place) => this.#frame(bytes, frame, place),
        onState: () => this.#stateChanged(),
        onNotice: (notice) => this.#sourceNotice(notice),
      },
      onNotice: (notice) => this.notice(notice),
      deliver: (lane, delivery) => this.deliver(lane, delivery),
      onSaved: () => this.#relieve(),
      onSettled: (lane) => this.#run(lane),
      onFailure: (error) => this.fail(error),
    })
    this.#close = parts.close
    if (this.#phase !== 'starting') return
    await parts.kept.load()
    this.#parts = parts
    this.#phase = 'running'
    parts.repairs.start()
    parts.source.start()
    void this.#backfill(parts).catch((error: unknown) => this.fail(error))
  }

  // ---- Frames

  #frame(bytes: Uint8Array, frame: SourceFrame, place: Place | null): void {
    const parts = this.#parts
    if (parts === null || this.#phase !== 'running') return
    this.#counts.received++
    const did = frame.kind === 'message' ? didOf(frame) : null
    if (place !== null) {
      const time = frame.kind === 'message' ? frame.body.time : null
      if (parts.progress.begin(place, time) === 'known') {
        this.#counts.skipped.stale++
        return
      }
    }
    if (!parts.steps.concerns(frame, did)) {
      this.#counts.skipped.filtered++
      if (place !== null) parts.progress.done(place)
      parts.saver.touch()
      return
    }
    const lane = this.lanes.get(did ?? '')
    const waits = lane.tasks.length > 0 || lane.hold !== null || this.#slots.isFull
    this.lanes.add(lane, waits ? ownTask(bytes, frame, place) : { bytes, frame, place })
    if (lane.hold !== null && lane.tasks.length > this.limits.heldFramesMax) lane.hold.release()
    this.#run(lane)
    this.#restrain()
  }

  /** Does what waits in a lane, until it is empty or something has to be waited for. */
  #run(lane: Lane): void {
    const steps = this.#parts?.steps
    if (steps === undefined) return
    while (!lane.isBusy && !this.signal.aborted) {
      const task = lane.tasks[0]
      if (task === undefined) break
      lane.isBusy = true
      let done: MaybePromise<void>
      try {
        done = steps.step(lane, task)
      } catch (error) {
        this.fail(error)
        return
      }
      if (isPromise(done)) {
        done.then(
          () => this.#goOn(lane),
          (error: unknown) => this.fail(error),
        )
        return
      }
      this.#taskOver(lane)
    }
    this.lanes.tidy(lane)
  }

  #goOn(lane: Lane): void {
    this.#taskOver(lane)
    this.#run(lane)
  }

  #taskOver(lane: Lane): void {
    lane.isBusy = false
    this.lanes.shift(lane)
    if (this.#held) this.#relieve()
  }

  /** Hands a delivery over when it is its account's turn and there is room for it. */
  deliver(lane: Lane, delivery: Delivery): MaybePromise<Outcome> {
    if (lane.turn !== null) return lane.turn.then(() => this.deliver(lane, delivery))
    const outcome = this.#slots.take()
      ? this.#handOver(delivery)
      : this.#slots.wait().then(() => this.#handOver(delivery))
    if (!isPromise(outcome)) return outcome
    const clear = (): void => {
      lane.turn = null
      this.lanes.tidy(lane)
    }
    lane.turn = outcome.then(clear, clear)
    return outcome
  }

  #handOver(delivery: Delivery): MaybePromise<Outcome> {
    if (this.signal.aborted) {
      this.#slots.give()
      return { kind: 'stopped' }
    }
    const outcome = this.#sink.deliver(delivery, this.signal)
    if (!isPromise(outcome)) return this.#handedOver(delivery, outcome)
    return outcome.then((later) => this.#handedOver(delivery, later))
  }

  #handedOver(delivery: Delivery, outcome: Outcome): Outcome {
    this.#slots.give()
    if (outcome.kind !== 'finished') return outcome
    this.#counts.delivered++
    if (delivery.kind === 'commit') this.#counts.operations += delivery.ops.length
    return outcome
  }

  // ---- Back-pressure

  /** How full it is: over 1 the source is held back. */
  #load(): number {
    const { limits, lanes } = this
    const { progress, saver } = this.#parts ?? {}
    return Math.max(
      lanes.frames / limits.waitingFramesMax,
      lanes.bytes / limits.waitingBytesMax,
      (progress?.ahead ?? 0) / limits.aheadMax,
      (saver?.unsaved ?? 0) / (limits.saveEvents * 16),
    )
  }

  #restrain(): void {
    if (this.#held || this.#load() <= 1) return
    // Those that wait for a repair can be let go: it brings what they say.
    this.lanes.release()
    this.#held = true
    this.#parts?.source.pause()
    this.#stateChanged()
  }

  #relieve(): void {
    if (!this.#held || this.#phase !== 'running' || this.#load() > 0.5) return
    this.#held = false
    this.#parts?.source.resume()
    this.#stateChanged()
  }

  // ---- Accounts

  /** Fetches repositories that the options name. */
  async #backfill({ repairs }: Parts): Promise<void> {
    const { backfill = 'none' } = this.options
    if (typeof backfill === 'string' || this.options.verify === 'none') return
    for await (const did of backfill) {
      if (this.signal.aborted) return
      await this.follow(did)
      await repairs.room()
    }
  }

  /** Takes an account in, and fetches its repository unless that was done before. */
  async follow(did: string): Promise<void> {
    this.wanted.add(did)
    if (this.options.verify === 'none' || !this.wanted.commits) return
    const { memory, repairs, saver } = await this.parts()
    const row = await memory.get(did)
    if ((row.complete && row.mark === null) || row.quarantined > 0 || this.signal.aborted) return
    const nowMs = this.clock.nowMs()
    memory.put(roused(marked(row, 'backfill', 'followed', nowMs), nowMs))
    saver.touch()
    const lane = this.lanes.get(did)
    if (!repairs.request(lane)) this.lanes.tidy(lane)
  }

  async unfollow(did: string): Promise<void> {
    this.wanted.remove(did)
    const { steps } = await this.parts()
    const lane = this.lanes.find(did)
    lane?.repair?.abort.abort()
    lane?.hold?.release()
    await steps.forget(did)
  }

  // ---- States and the end

  #sourceNotice(notice: SourceNotice): void {
    if (notice.kind === 'future-cursor' || notice.kind === 'sequence-restarted') {
      this.#parts?.progress.restart(notice.service, notice.epoch)
      this.#parts?.saver.forgetCursor(notice.service)
    }
    this.notice(notice)
  }

  /** Tells the owner. A callback that throws stops the consumer: it would miss what follows. */
  notice(notice: ConsumerNotice): void {
    this.#call(() => this.options.onNotice?.(notice))
  }

  #call(callback: () => void): void {
    try {
      callback()
    } catch (error) {
      this.fail(error)
    }
  }

  #stateChanged(): void {
    this.#call(() => this.options.onState?.(this.state))
    const failure = this.#parts?.source.state.failure ?? null
    if (failure === null || this.#phase !== 'running') return
    this.fail(new SkeinError('STOPPED', `consumer: the stream has ended: ${failure}`))
  }

  /** Stops for something that nobody asked for. */
  fail(error: unknown): void {
    if (this.#phase === 'stopped') return
    this.#failure ??= errorOf(error)
    void this.stop()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end()
    return this.#stopping
  }

  async #end(): Promise<void> {
    this.#phase = 'stopping'
    this.options.signal?.removeEventListener('abort', this.#onAbort)
    const parts = this.#parts
    try {
      await parts?.source.stop()
      this.#stop.abort()
      this.lanes.release()
      await this.#slots.empty(this.clock, this.limits.stopMs)
      await parts?.repairs.stop()
      if (this.#failure === null) await parts?.saver.flushAll()
      await this.#close?.()
    } catch (error) {
      this.#failure ??= errorOf(error)
    }
    this.#phase = 'stopped'
    this.#awake?.cancel()
    try {
      this.options.onState?.(this.state)
    } catch (error) {
      this.#failure ??= errorOf(error)
    }
    if (this.#failure === null) this.#ended.resolve()
    else this.#ended.reject(this.#failure)
    // Whoever waits sees the failure; it must not be unhandled when nobody does.
    this.#ended.promise.catch(() => {})
  }
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown))
}

/**
 * A task that may wait long: of a small frame that is a view of a larger read, a copy, so that a
 * read of 64 KiB does not stay for each frame that waits.
 */
function ownTask(bytes: Uint8Array, frame: SourceFrame, place: Place | null): Task {
  if (bytes.buffer.byteLength <= bytes.length * PINNED_FACTOR) return { bytes, frame, place }
  const copy = new Uint8Array(bytes)
  const parsed = parseFrame(copy)
  // What was parsed once is parsed again with the same outcome; what was read holds views.
  assert(parsed.ok && parsed.value.kind !== 'error', 'a copied frame parses')
  return { bytes: copy, frame: parsed.value, place }
}
