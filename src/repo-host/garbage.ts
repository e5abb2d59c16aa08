/** Removes what nothing refers to: blobs after their grace, contents of old repositories. */
import type { Clock } from '../lib/clock.ts'
import type { BlobFiles } from '../store/blob-files.ts'
import { Slices } from './fair.ts'
import type { HostState } from './turn.ts'

/** Blobs of one transaction. */
const BLOBS_STEP = 100
/** Rows of one transaction: some ten milliseconds. */
const ROWS_STEP = 500

/** What a collection has removed. */
export interface Collected {
  readonly blobs: number
  /** Blocks, records and references. */
  readonly rows: number
}

/** Collects garbage, one collection at a time. */
export class GarbageCollector {
  readonly #state: HostState
  readonly #files: BlobFiles
  readonly #clock: Clock
  #running: Promise<Collected> | null = null
  #stopped = false

  constructor(state: HostState, files: BlobFiles, clock: Clock) {
    this.#state = state
    this.#files = files
    this.#clock = clock
  }

  /**
   * Removes blobs that nothing has referred to since `unreferencedBeforeMs` or longer, and all that
   * repositories have left behind. Works in small steps; a call during another joins it.
   */
  collect(unreferencedBeforeMs: number): Promise<Collected> {
    this.#running ??= this.#collect(unreferencedBeforeMs).finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** Ends a collection at its next step. The rest is for the next start. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running?.catch(() => undefined)
  }

  async #collect(unreferencedBeforeMs: number): Promise<Collected> {
    const slices = new Slices(this.#clock)
    // Not in the turn of the caller, whose own transaction may be waiting.
    await slices.pause()
    let blobs = 0
    let rows = 0
    while (!this.#stopped) {
      const removed = this.#removeBlobs(unreferencedBeforeMs)
      blobs += removed
      if (removed === 0) break
      await slices.pause()
    }
    while (!this.#stopped) {
      const removed = this.#sweepRepos()
      if (removed === null) break
      rows += removed
      if (slices.used) await slices.pause()
    }
    return { blobs, rows }
  }

  #removeBlobs(beforeMs: number): number {
    const { store, blobs } = this.#state
    const unused: Uint8Array[] = []
    const count = store.transaction(() => {
      const expired = blobs.expired(beforeMs, BLOBS_STEP)
      for (const blob of expired) if (blobs.remove(blob)) unused.push(blob.cid)
      return expired.length
    })
    // In the same turn: an upload that adds the row anew puts the file in place after this.
    for (const cid of unused) this.#files.remove(cid)
    return count
  }

  #sweepRepos(): number | null {
    const { store } = this.#state
    const repoId = store.nextGarbage()
    return repoId === null ? null : store.transaction(() => store.sweepRepo(repoId, ROWS_STEP))
  }
}
