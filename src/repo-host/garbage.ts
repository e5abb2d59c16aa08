/**
 * Removes what nothing refers to: blobs after their grace, contents of old repositories, files of
 * blobs whose row a crash or a failure has kept away.
 */
import type { Clock } from '../lib/clock.ts'
import type { BlobFiles } from '../store/blob-files.ts'
import { Slices } from './fair.ts'
import type { HostObserver } from './host-observer.ts'
import type { HostState } from './turn.ts'

/** Blobs of one transaction. */
const BLOBS_STEP = 100
/** Rows of one transaction: some ten milliseconds. */
const ROWS_STEP = 500
/** Files of blobs that are looked up at once: under a millisecond. */
const FILES_STEP = 50

/** What a collection has removed. */
export interface Collected {
  readonly blobs: number
  /** Blocks, records and references. */
  readonly rows: number
  /** Files of blobs that no account has. */
  readonly files: number
}

/** Collects garbage, one collection at a time. */
export class GarbageCollector {
  readonly #state: HostState
  readonly #files: BlobFiles
  readonly #clock: Clock
  readonly #observer: HostObserver
  #running: Promise<Collected> | null = null
  #stopped = false
  /** Whether there may be files without a row: a crash before this start may have left some. */
  #strays = true

  constructor(state: HostState, files: BlobFiles, clock: Clock, observer: HostObserver) {
    this.#observer = observer
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

  /** Has the next collection look for files without a row: one has just lost its own. */
  expectStrays(): void {
    this.#strays = true
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
    const files = this.#strays ? await this.#removeStrays(slices) : 0
    if (blobs + rows + files > 0) this.#observer.onCollected?.({ blobs, rows, files })
    return { blobs, rows, files }
  }

  /**
   * Removes files that no row names. An upload gives its file a name and adds the row in one turn
   * of the event loop, and here a file is looked up and removed in one turn: neither sees half of
   * the other.
   */
  async #removeStrays(slices: Slices): Promise<number> {
    this.#strays = false
    let removed = 0
    try {
      for await (const cids of this.#files.list(FILES_STEP)) {
        for (const cid of cids) {
          if (this.#state.blobs.isOwned(cid)) continue
          this.#files.remove(cid)
          removed++
        }
        if (slices.used) await slices.pause()
        if (this.#stopped) break
      }
    } catch (error) {
      this.#strays = true
      throw error
    }
    return removed
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
