/**
 * The thread of a verifier: takes batches of jobs, and gives them back with their outcomes. It is
 * started by ./verifier-pool.ts and knows nothing but what a batch holds.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { type Curve, CURVES } from '../../crypto/curve.ts'
import { CACHED_KEYS_MAX } from '../../crypto/key-cache.ts'
import { type PublicKey, publicKeyFromKept } from '../../crypto/public-key.ts'
import { loadVerifier } from '../../crypto/verifier.ts'
import { asciiText } from '../../crypto/ascii.ts'
import { must } from '../../lib/assert.ts'
import { systemClock } from '../../lib/clock.ts'
import { createEntryCache } from '../../lib/entry-cache.ts'
import { messageOf } from '../../lib/errors.ts'
import { OutcomeWriter, unpackJobs } from './batch-codec.ts'
import type { ThreadAnswer, ThreadBatch, ThreadSettings } from './thread-messages.ts'
import { verifyFrameBytes } from './verify-frame.ts'

/** Verifiers remember work done for a key by its object, so that each key keeps one. */
class Keys {
  readonly #byBytes = createEntryCache<string, PublicKey>(CACHED_KEYS_MAX)

  get(curve: Curve, bytes: Uint8Array): PublicKey {
    const name = `${CURVES.indexOf(curve)}${asciiText(bytes, 0, bytes.length)}`
    let key = this.#byBytes.get(name)
    if (key === undefined) {
      key = must(publicKeyFromKept(curve, bytes), 'key of a job')
      this.#byBytes.set(name, key)
    }
    return key
  }
}

async function main(): Promise<void> {
  const port = must(parentPort, 'port to the pool')
  const { checks } = workerData as ThreadSettings
  const verifier = await loadVerifier()
  const keys = new Keys()
  port.on('message', ({ request, results, count }: ThreadBatch) => {
    const writer = new OutcomeWriter(results)
    const defects: string[] = []
    let at = 0
    for (const { curve, key, nowMs, frame } of unpackJobs(request, count)) {
      const startedMs = systemClock.monotonicMs()
      let verdict = null
      try {
        verdict = verifyFrameBytes(frame, { key: keys.get(curve, key), verifier, nowMs, checks })
      } catch (error) {
        defects.push(messageOf(error))
      }
      writer.write(at++, { verdict, tookMs: systemClock.monotonicMs() - startedMs })
    }
    const { extras } = writer
    const answer: ThreadAnswer = { kind: 'outcomes', request, results, extras, defects }
    port.postMessage(answer, [request, results])
  })
  port.postMessage({ kind: 'ready' } satisfies ThreadAnswer)
}

await main()
