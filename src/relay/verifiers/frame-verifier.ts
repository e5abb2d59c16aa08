/** What the relay needs of whoever verifies frames, and the one that does it at once. */
import type { PublicKey } from '../../crypto/public-key.ts'
import type { SignatureVerifier } from '../../crypto/verifier.ts'
import type { CheckModes } from '../../repo/checks.ts'
import type { PeekedFrame } from '../../stream/peek-frame.ts'
import { type FrameVerdict, verifyFrame } from './verify-frame.ts'

/** An event to verify. The object itself is what the verifier keeps: nothing of it may change. */
export interface VerifyJob {
  readonly frame: PeekedFrame
  /** The key that is current for the event's DID. */
  readonly key: PublicKey
  /** Now, milliseconds since the epoch. */
  readonly nowMs: number
  /** The host that it came from: the unit of fairness. */
  readonly hostId: number
  /** Called once with the outcome, in a later turn; must not throw. */
  onVerified(outcome: VerifyOutcome): void
}

/** What became of a job. */
export interface VerifyOutcome {
  /** Null when verification failed to finish: a defect, of which `onDefect` has been told. */
  readonly verdict: FrameVerdict | null
  /** CPU time that it took, ms. */
  readonly tookMs: number
}

export interface VerifierBacklog {
  readonly events: number
  readonly bytes: number
}

/** Verifies frames, at once or later. */
export interface FrameVerifier {
  /**
   * The outcome if it is had at once; else null, and the job is told later. Jobs of one host and
   * DID are told in the order in which they were given.
   */
  verify(job: VerifyJob): VerifyOutcome | null
  /** What is under way. */
  readonly backlog: VerifierBacklog
}

export interface InlineVerifierOptions {
  readonly verifier: SignatureVerifier
  readonly checks: CheckModes
  readonly monotonicMs: () => number
  readonly onDefect: (error: unknown) => void
}

/** Verifies in the thread that asks. */
export function createInlineVerifier(options: InlineVerifierOptions): FrameVerifier {
  const { verifier, checks, monotonicMs, onDefect } = options
  return {
    backlog: { events: 0, bytes: 0 },
    verify({ frame, key, nowMs }) {
      const startedMs = monotonicMs()
      let verdict: FrameVerdict | null = null
      try {
        verdict = verifyFrame(frame, { key, verifier, nowMs, checks })
      } catch (error) {
        onDefect(error)
      }
      return { verdict, tookMs: monotonicMs() - startedMs }
    },
  }
}
