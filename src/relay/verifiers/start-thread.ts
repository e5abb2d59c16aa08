/** Starts a verifier thread of this process. */
import { Worker } from 'node:worker_threads'
import type { ThreadAnswer, ThreadBatch, ThreadSettings } from './thread-messages.ts'

/** What a thread tells. Calls come one at a time; none comes after `onEnd`. */
export interface ThreadListener {
  onAnswer(answer: ThreadAnswer): void
  /** The thread is gone, for whatever reason. What it had is lost. */
  onEnd(why: string): void
}

/** A thread that has been started and may not be ready yet. */
export interface VerifierThread {
  /** Hands a batch over, buffers included. */
  post(batch: ThreadBatch): void
  /** Ends it at once, whatever it does. `onEnd` follows. */
  terminate(): void
}

export type ThreadStarter = (settings: ThreadSettings, listener: ThreadListener) => VerifierThread

/**
 * Bounds of a thread's heap, MiB: the largest frame decodes into some tens of MiB. A thread that
 * needs more ends, and does not take the process with it.
 */
const OLD_GENERATION_MIB_MAX = 256
const YOUNG_GENERATION_MIB_MAX = 12

/** The file beside this one, in source and in what the compiler makes of it. */
const SCRIPT = new URL(
  import.meta.url.endsWith('.ts') ? './verifier-thread.ts' : './verifier-thread.js',
  import.meta.url,
)

/** Does not keep the process alive. */
export const startThread: ThreadStarter = (settings, listener) => {
  const worker = new Worker(SCRIPT, {
    name: 'verifier',
    workerData: settings,
    resourceLimits: {
      maxOldGenerationSizeMb: OLD_GENERATION_MIB_MAX,
      maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB_MAX,
    },
  })
  worker.unref()
  let why = 'the thread ended'
  worker.on('message', (answer: ThreadAnswer) => listener.onAnswer(answer))
  worker.on('error', (error: Error) => {
    why = error.message
  })
  worker.on('exit', () => listener.onEnd(why))
  return {
    post: (batch) => worker.postMessage(batch, [batch.request, batch.results]),
    terminate: () => void worker.terminate(),
  }
}
