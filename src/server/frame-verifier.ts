/** Who verifies the frames of a relay: as many threads as its options say. */
import { availableParallelism } from 'node:os'
import type { SignatureVerifier } from '../crypto/verifier.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { Lifecycle } from '../ops/lifecycle.ts'
import type { Logger } from '../ops/logger.ts'
import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { RelayOptions } from '../ops/relay-options.ts'
import { createInlineVerifier, type FrameVerifier } from '../relay/verifiers/frame-verifier.ts'
import { VerifierPool } from '../relay/verifiers/verifier-pool.ts'

/** What of the composition it takes. */
interface FrameVerifierParts {
  readonly options: RelayOptions
  readonly lifecycle: Lifecycle
  readonly logger: Logger
  readonly clock: Clock
  readonly metrics: RelayMetrics
}

/** Most threads without being told: the one that feeds them is busy with eight. */
const AUTO_THREADS_MAX = 8

/** Opened with the relay: verifies in threads, or, without any, where frames are received. */
export async function openFrameVerifier(
  { options, lifecycle, logger, clock, metrics }: FrameVerifierParts,
  verifier: SignatureVerifier,
): Promise<FrameVerifier> {
  // One for each core, though there is another thread besides: that needs a third of a core.
  const threads = options.verifierThreads ?? Math.min(AUTO_THREADS_MAX, availableParallelism())
  metrics.verifierThreads.set(threads)
  const { checks } = options
  const onDefect = (error: unknown): void => logger.error('relay: a defect in verifying', { error })
  if (threads === 0) {
    return createInlineVerifier({
      verifier,
      checks,
      monotonicMs: () => clock.monotonicMs(),
      onDefect,
    })
  }
  return lifecycle.open(
    'verifier threads',
    () =>
      new VerifierPool({
        threads,
        verifier,
        checks,
        // Threads work in real time, whatever time the relay is told.
        clock: systemClock,
        onDefect,
        onThreadEnded: (why, lostEvents) => {
          metrics.verifierEnds.add(1)
          logger.error('relay: a verifier thread ended, and is replaced', { why, lostEvents })
        },
        onWithoutThread: (why) => logger.error('relay: no verifier thread can be started', { why }),
      }),
    (part) => part[Symbol.dispose](),
  )
}
