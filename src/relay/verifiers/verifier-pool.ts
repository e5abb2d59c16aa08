/**
 * Verification in threads of its own: batches of frames go to them, outcomes come back. A DID
 * always goes to the same thread, so that its events keep their order (I6).
 *
 * A thread that dies or hangs is replaced, and what it had is given to the new one, an event at a
 * time: should one of them be what kills, it alone is given up. While a thread starts, or where
 * none can be started, its events are verified by whoever brings them.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import { SkeinError } from '../../lib/errors.ts'
import {
  createInlineVerifier,
  type FrameVerifier,
  type InlineVerifierOptions,
  type VerifierBacklog,
  type VerifyJob,
  type VerifyOutcome,
} from './frame-verifier.ts'
import { startThread, type ThreadStarter } from './start-thread.ts'
import { ThreadSlot } from './thread-slot.ts'

export interface VerifierPoolOptions extends Omit<InlineVerifierOptions, 'monotonicMs'> {
  /** Threads, at least one. */
  readonly threads: number
  readonly clock: Clock
  /** A thread has ended by itself and is replaced; so many events are verified again. */
  readonly onThreadEnded: (why: string, lostEvents: number) => void
  /** A thread cannot be started: its share is verified in this thread from now on. */
  readonly onWithoutThread: (why: string) => void
  /** Default: threads of this process. */
  readonly start?: ThreadStarter
}

/** How often threads are looked at for whether they hang, ms. */
const TICK_MS = 1_000

/** Owns its threads. `onVerified` of a job comes in a turn of its thread's answer. */
export class VerifierPool implements FrameVerifier, Disposable {
  readonly #clock: Clock
  readonly #slots: readonly ThreadSlot[]
  #timer: Timer | null = null
  #events = 0
  #bytes = 0

  constructor(options: VerifierPoolOptions) {
    const { threads, clock, checks, onDefect, start = startThread } = options
    this.#clock = clock
    const inline = createInlineVerifier({ ...options, monotonicMs: () => clock.monotonicMs() })
    const slot = (): ThreadSlot =>
      new ThreadSlot({
        start,
        settings: { checks },
        inline,
        clock,
        onOutcome: (job, outcome) => this.#onOutcome(job, outcome),
        onDefect: (text) => onDefect(new SkeinError('VERIFIER_FAILED', `verify event: ${text}`)),
        onThreadEnded: options.onThreadEnded,
        onWithoutThread: options.onWithoutThread,
      })
    this.#slots = Array.from({ length: threads }, slot)
    this.#tick()
  }

  get backlog(): VerifierBacklog {
    return { events: this.#events, bytes: this.#bytes }
  }

  verify(job: VerifyJob): VerifyOutcome | null {
    const { did, bytes } = job.frame
    const slot = this.#slots[threadOf(did, this.#slots.length)] as ThreadSlot
    const outcome = slot.verify(job)
    if (outcome !== null) return outcome
    this.#events++
    this.#bytes += bytes.length
    return null
  }

  /** Ends the threads. What is under way is told to nobody. */
  [Symbol.dispose](): void {
    this.#timer?.cancel()
    for (const slot of this.#slots) slot.close()
  }

  #onOutcome(job: VerifyJob, outcome: VerifyOutcome): void {
    this.#events--
    this.#bytes -= job.frame.bytes.length
    job.onVerified(outcome)
  }

  #tick(): void {
    this.#timer = this.#clock.after(TICK_MS, () => {
      for (const slot of this.#slots) slot.tick()
      this.#tick()
    })
  }
}

/**
 * Which thread a DID belongs to. Nobody gains from choosing: a DID that crowds one thread crowds
 * its own host's share of it.
 */
function threadOf(did: string, threads: number): number {
  if (threads === 1) return 0
  let hash = 0
  for (let i = 0; i < did.length; i++) hash = (Math.imul(hash, 31) + did.charCodeAt(i)) | 0
  return (hash >>> 0) % threads
}
