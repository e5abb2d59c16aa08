/** Writes state and cursors in batches: first what cursors rely on, then the cursors. */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { ConsumerStore, StoredCursor } from '../../store/consumer-state.ts'
import type { CursorStore } from './consumer-types.ts'
import { isPromise, type MaybePromise } from './maybe-promise.ts'
import type { RepoMemory } from './repo-memory.ts'
import type { Place } from '../source/source-types.ts'
import type { StreamProgress } from './stream-progress.ts'

export interface SaverOptions {
  readonly memory: RepoMemory
  readonly progress: StreamProgress
  readonly store: ConsumerStore
  readonly cursorStore: CursorStore | null
  readonly clock: Clock
  readonly saveEvents: number
  readonly saveMs: number
  readonly onSaved: () => void
  readonly onFailure: (error: unknown) => void
}

export class Saver {
  readonly #options: SaverOptions
  /** Events that are finished once what stands for them is durable. */
  #afterwards: Place[] = []
  #timer: Timer | null = null
  #saving: Promise<void> | null = null
  #foreign: string[] = []
  /** Events since the last save. */
  unsaved = 0
  saves = 0
  /** The newest cursor that is saved. */
  saved: StoredCursor | null

  /** @param stored What was saved before. */
  constructor(options: SaverOptions, stored: StoredCursor | null) {
    this.#options = options
    this.saved = stored
  }

  /** Something is to be saved soon. */
  touch(): void {
    const { clock, saveEvents, saveMs } = this.#options
    this.unsaved++
    if (this.unsaved >= saveEvents && this.#saving === null) {
      this.#attempt()
      return
    }
    this.#timer ??= clock.after(saveMs, () => this.#attempt())
  }

  /** The event is finished as soon as all that was changed until now is durable. */
  finishAfter(place: Place): void {
    this.#afterwards.push(place)
    this.touch()
  }

  /** What is stored of a service's cursor means nothing any more. */
  forgetCursor(service: string): void {
    this.#foreign.push(service)
    this.#options.memory.forgetCursor(service)
    this.touch()
  }

  /** Writes all that has changed until now. Rejects with what the stores throw. */
  flush(): MaybePromise<void> {
    if (this.#saving !== null) return this.#saving.then(() => this.flush())
    this.#timer?.cancel()
    this.#timer = null
    const { memory, progress, store } = this.#options
    const afterwards = this.#afterwards
    const foreign = this.#foreign
    const cursors = progress.take()
    const changes = memory.take(cursors)
    if (changes === null && afterwards.length === 0) return undefined
    this.#afterwards = []
    this.#foreign = []
    this.unsaved = 0
    const applied = changes === null ? undefined : store.apply(changes)
    const settle = (): MaybePromise<void> => {
      memory.settled()
      const kept = this.#saveCursors(foreign, cursors)
      const finish = (): void => {
        this.saves++
        for (const place of afterwards) progress.done(place)
        // What was waiting for this can now be passed by the cursor.
        if (afterwards.length > 0) this.touch()
        this.#options.onSaved()
      }
      return isPromise(kept) ? kept.then(finish) : finish()
    }
    const done = isPromise(applied) ? applied.then(settle) : settle()
    if (!isPromise(done)) return undefined
    this.#saving = done.finally(() => {
      this.#saving = null
    })
    return this.#saving
  }

  /** Everything, until nothing is left to be saved. */
  async flushAll(): Promise<void> {
    await this.flush()
    await this.flush()
    this.#timer?.cancel()
    this.#timer = null
  }

  #attempt(): void {
    this.#timer = null
    try {
      const done = this.flush()
      if (isPromise(done)) done.catch((error: unknown) => this.#options.onFailure(error))
    } catch (error) {
      this.#options.onFailure(error)
    }
  }

  #saveCursors(foreign: readonly string[], cursors: readonly StoredCursor[]): MaybePromise<void> {
    this.saved = cursors.at(-1) ?? this.saved
    const { cursorStore } = this.#options
    if (cursorStore === null || (foreign.length === 0 && cursors.length === 0)) return undefined
    return saveAll(cursorStore, foreign, cursors)
  }
}

async function saveAll(
  store: CursorStore,
  foreign: readonly string[],
  cursors: readonly StoredCursor[],
): Promise<void> {
  for (const service of foreign) await store.forget?.(service)
  for (const cursor of cursors) await store.save(cursor)
}
