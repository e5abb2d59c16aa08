/** What a pool and its threads say to one another. */
import type { CheckModes } from '../../repo/checks.ts'
import type { Extra } from './batch-codec.ts'

/** What a thread is started with. */
export interface ThreadSettings {
  readonly checks: CheckModes
}

/** To a thread. Both buffers are handed over, and come back. */
export interface ThreadBatch {
  readonly request: ArrayBuffer
  /** Has room for the outcomes. */
  readonly results: ArrayBuffer
  readonly count: number
}

/** From a thread: it takes batches from now on, or what has come of the oldest one. */
export type ThreadAnswer =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'outcomes'
      readonly request: ArrayBuffer
      readonly results: ArrayBuffer
      readonly extras: readonly Extra[]
      /** What was thrown that must not be, as text. */
      readonly defects: readonly string[]
    }
