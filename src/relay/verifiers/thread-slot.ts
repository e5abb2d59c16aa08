/** One thread of a pool, its jobs, and what becomes of them when it dies. */
import { assert, must } from '../../lib/assert.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { OutcomeReader, packJobs, requestBytes, resultsBytes } from './batch-codec.ts'
import type { FrameVerifier, VerifyJob, VerifyOutcome } from './frame-verifier.ts'
import { HostQueues } from './host-queues.ts'
import type { ThreadStarter, VerifierThread } from './start-thread.ts'
import type { ThreadAnswer, ThreadSettings } from './thread-messages.ts'

/**
 * A batch: large enough that handing it over costs little for each event, and small enough that an
 * event does not wait long for those before it (some 7 ms).
 */
const BATCH = { eventsMax: 64, bytesMax: 512 * 1024 }
/** Batches that a thread has at once: the next one is there when one is done. */
const BATCHES_MAX = 2
/** Buffers are made at least this large, so that most batches find one that fits. */
const REQUEST_BYTES_MIN: number = BATCH.bytesMax
/** Buffers larger than this are not kept for the next batch. */
const REQUEST_BYTES_KEPT_MAX = 2 * BATCH.bytesMax
/** A job that has been alone in a thread so often when it died is what kills. */
const DEATHS_MAX = 2
/** Starts that failed before the slot goes without a thread. */
const FAILED_STARTS_MAX = 3
/** Pause before a thread is started again, ms. */
const RESTART_MS = 200
/** Looks of a second each at a batch that has not come back before its thread counts as hung. */
const HUNG_TICKS = 30

export interface SlotOptions {
  readonly start: ThreadStarter
  readonly settings: ThreadSettings
  /** Verifies while there is no thread. */
  readonly inline: FrameVerifier
  readonly clock: Clock
  readonly onOutcome: (job: VerifyJob, outcome: VerifyOutcome) => void
  /** A defect was met in verifying, as text. */
  readonly onDefect: (text: string) => void
  readonly onThreadEnded: (why: string, lostEvents: number) => void
  /** No thread can be started: the slot goes on without. */
  readonly onWithoutThread: (why: string) => void
}

interface Batch {
  readonly jobs: readonly VerifyJob[]
  ticks: number
}

type SlotState = 'idle' | 'starting' | 'ready' | 'waiting' | 'without' | 'closed'

/** Owns a thread, which is started with the first job. */
export class ThreadSlot {
  readonly #options: SlotOptions
  readonly #queues = new HostQueues<VerifyJob>()
  /** Jobs of a thread that died, before all others, to be given out one at a time. */
  #again: VerifyJob[] = []
  /** Jobs that have been alone in a thread when it died, and how often. */
  readonly #deaths = new Map<VerifyJob, number>()
  #batches: Batch[] = []
  #buffers: { readonly request: ArrayBuffer; readonly results: ArrayBuffer }[] = []
  #state: SlotState = 'idle'
  #thread: VerifierThread | null = null
  #failedStarts = 0
  #restart: Timer | null = null
  #willDispatch = false

  constructor(options: SlotOptions) {
    this.#options = options
  }

  /** Takes a job. The outcome is given at once while there is no thread and nothing waits. */
  verify(job: VerifyJob): VerifyOutcome | null {
    assert(this.#state !== 'closed', 'a closed verifier takes nothing')
    if (this.#state === 'idle') this.#start()
    if (this.#state !== 'ready' && this.#isEmpty) return this.#options.inline.verify(job)
    this.#queues.push(job)
    this.#dispatchSoon()
    return null
  }

  /** To be called every second: ends a thread that hangs. */
  tick(): void {
    const oldest = this.#batches[0]
    if (oldest === undefined) return
    oldest.ticks++
    if (oldest.ticks >= HUNG_TICKS) this.#thread?.terminate()
  }

  /** Ends the thread. What it has is told to nobody. */
  close(): void {
    this.#state = 'closed'
    this.#restart?.cancel()
    this.#thread?.terminate()
  }

  get #isEmpty(): boolean {
    return this.#queues.size === 0 && this.#again.length === 0 && this.#batches.length === 0
  }

  #start(): void {
    this.#state = 'starting'
    const { start, settings } = this.#options
    this.#thread = start(settings, {
      onAnswer: (answer) => this.#onAnswer(answer),
      onEnd: (why) => this.#onEnd(why),
    })
  }

  #onAnswer(answer: ThreadAnswer): void {
    if (this.#state === 'closed') return
    if (answer.kind === 'ready') {
      this.#state = 'ready'
      this.#failedStarts = 0
    } else this.#takeOutcomes(answer)
    this.#dispatch()
  }

  #takeOutcomes(answer: Extract<ThreadAnswer, { readonly kind: 'outcomes' }>): void {
    const { request, results, extras, defects } = answer
    const { jobs } = must(this.#batches.shift(), 'batch that an answer is to')
    const reader = new OutcomeReader(results, extras)
    const outcomes = jobs.map((job, at) => reader.read(at, job.frame.did))
    if (request.byteLength <= REQUEST_BYTES_KEPT_MAX && this.#buffers.length < BATCHES_MAX) {
      this.#buffers.push({ request, results })
    }
    for (const text of defects) this.#options.onDefect(text)
    for (const [at, outcome] of outcomes.entries()) this.#finish(jobs[at] as VerifyJob, outcome)
  }

  #finish(job: VerifyJob, outcome: VerifyOutcome): void {
    if (this.#deaths.size > 0) this.#deaths.delete(job)
    this.#options.onOutcome(job, outcome)
  }

  /** Everything that arrives in this turn of the event loop shares the first batch. */
  #dispatchSoon(): void {
    if (this.#willDispatch || this.#batches.length === BATCHES_MAX) return
    this.#willDispatch = true
    void Promise.resolve().then(() => this.#dispatch())
  }

  #dispatch(): void {
    this.#willDispatch = false
    if (this.#state === 'without') this.#verifyAll()
    while (this.#state === 'ready' && this.#batches.length < BATCHES_MAX) {
      const jobs = this.#nextBatch()
      if (jobs.length === 0) return
      this.#send(jobs)
    }
  }

  /** What a thread died of is looked for by giving it each job alone, behind no other. */
  #nextBatch(): VerifyJob[] {
    if (this.#again.length === 0) return this.#queues.take(BATCH)
    return this.#batches.length > 0 ? [] : this.#again.splice(0, 1)
  }

  #send(jobs: readonly VerifyJob[]): void {
    const need = requestBytes(jobs)
    const kept = this.#buffers.pop()
    const request =
      kept !== undefined && kept.request.byteLength >= need
        ? kept.request
        : new ArrayBuffer(Math.max(need, REQUEST_BYTES_MIN))
    const results = kept?.results ?? new ArrayBuffer(resultsBytes(BATCH.eventsMax))
    packJobs(request, jobs)
    this.#batches.push({ jobs, ticks: 0 })
    must(this.#thread, 'thread that is ready').post({ request, results, count: jobs.length })
  }

  #onEnd(why: string): void {
    if (this.#state === 'closed') return
    const wasReady = this.#state === 'ready'
    const lost = this.#batches.flatMap(({ jobs }) => jobs)
    const [first] = this.#batches
    this.#batches = []
    this.#thread = null
    this.#state = 'waiting'
    this.#options.onThreadEnded(why, lost.length)
    this.#again = [...lost, ...this.#again]
    const suspect = first?.jobs.length === 1 ? (first.jobs[0] ?? null) : null
    if (suspect !== null) this.#countDeath(suspect, why)
    if (!wasReady) this.#failedStarts++
    if (this.#failedStarts === FAILED_STARTS_MAX) {
      this.#state = 'without'
      this.#options.onWithoutThread(why)
      this.#dispatch()
      return
    }
    this.#restart = this.#options.clock.after(RESTART_MS, () => this.#start())
  }

  #countDeath(job: VerifyJob, why: string): void {
    const deaths = (this.#deaths.get(job) ?? 0) + 1
    this.#deaths.set(job, deaths)
    if (deaths < DEATHS_MAX) return
    this.#again = this.#again.filter((other) => other !== job)
    this.#options.onDefect(`an event ends the thread that verifies it: ${why}`)
    this.#finish(job, { verdict: null, tookMs: 0 })
  }

  #verifyAll(): void {
    const jobs = [...this.#again, ...this.#queues.clear()]
    this.#again = []
    for (const job of jobs) {
      const outcome = must(this.#options.inline.verify(job), 'outcome had at once')
      this.#finish(job, outcome)
    }
  }
}
