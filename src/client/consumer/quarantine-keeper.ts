/** Puts into quarantine what the handler would not have, and what comes after it of its account. */
import type { Clock } from '../../lib/clock.ts'
import type { ConsumerStore, QuarantineRow, RepoRow } from '../../store/consumer-state.ts'
import { type ConsumerCounts, count } from './consumer-counts.ts'
import type { ConsumerLimits } from './consumer-limits.ts'
import type { ConsumerNotice, DeliveryVerdict } from './consumer-types.ts'
import type { Task } from './lanes.ts'
import { andThen, type MaybePromise } from './maybe-promise.ts'
import type { Outcome } from './repairs.ts'
import type { RepoMemory } from './repo-memory.ts'
import { parked } from './repo-states.ts'
import type { Saver } from './saver.ts'

/** Rows that are counted at once. */
const PAGE_MESSAGES = 1_000

export interface QuarantineKeeperOptions {
  readonly memory: RepoMemory
  readonly store: ConsumerStore
  readonly saver: Saver
  readonly limits: ConsumerLimits
  readonly counts: ConsumerCounts
  readonly clock: Clock
  /** Whether repositories are kept track of, so that a repair can bring what finds no room. */
  readonly tracks: boolean
  readonly onNotice: (notice: ConsumerNotice) => void
}

/** An event that is kept, or one that finds no room. */
export interface KeptEvent {
  readonly task: Task
  readonly row: RepoRow
  readonly verdict: DeliveryVerdict
  /** Null for one that only waits behind another. */
  readonly failure: Extract<Outcome, { readonly kind: 'failed' }> | null
  /** Remembers what follows from it. */
  readonly finish: () => MaybePromise<void>
  /** Called for what has no place in a stream, and so is not kept. */
  readonly done: () => void
}

export class QuarantineKeeper {
  readonly #options: QuarantineKeeperOptions
  #nextMessageId = 1
  /** Messages of all accounts. */
  count = 0

  constructor(options: QuarantineKeeperOptions) {
    this.#options = options
  }

  /** Counts what is there from before. */
  async load(): Promise<void> {
    for (;;) {
      const after = this.#nextMessageId - 1
      const rows = await this.#options.store.quarantine(null, after, PAGE_MESSAGES)
      this.count += rows.length
      const last = rows.at(-1)
      if (last === undefined) return
      this.#nextMessageId = last.id + 1
    }
  }

  /** Keeps an event, or what stands for it, and lets it be finished once that is durable. */
  keep(event: KeptEvent): MaybePromise<void> {
    const { task, row, verdict, failure, finish, done } = event
    const { memory, limits, saver, onNotice } = this.#options
    const { place } = task
    const { did } = row
    if (failure !== null) {
      const { error, tries } = failure
      onNotice({ kind: 'quarantined', did, error, tries, place })
    }
    if (place === null) return done()
    const isFull =
      row.quarantined >= limits.quarantineMax || this.count >= limits.quarantineTotalMax
    if (isFull) {
      this.#overflow(task, row)
      saver.finishAfter(place)
      return undefined
    }
    return andThen(finish(), () => {
      const { service, seq } = place
      const { error = null, tries = 0 } = failure ?? {}
      this.#put({ did, service, seq, frame: new Uint8Array(task.bytes), verdict, error, tries })
      return andThen(memory.update(did, oneMore), () => saver.finishAfter(place))
    })
  }

  /** Notes that a repair could not be delivered. */
  keepRepair(did: string, error: string, tries: number): MaybePromise<void> {
    const { onNotice, memory } = this.#options
    onNotice({ kind: 'quarantined', did, error, tries, place: null })
    const none = { service: null, seq: null, frame: null }
    this.#put({ did, ...none, verdict: 'verified', error, tries })
    return memory.update(did, oneMore)
  }

  /** The repository is fetched when the account's messages have been dealt with. */
  #overflow({ frame }: Task, row: RepoRow): void {
    const { memory, clock, counts, onNotice, tracks } = this.#options
    const { did } = row
    counts.skipped.desynchronized++
    const isRepo = frame.kind === 'message' && (frame.type === '#commit' || frame.type === '#sync')
    if (!tracks || !isRepo || row.mark !== null) return
    count(counts.desynchronized, 'quarantine-overflow')
    const detail = `${row.quarantined} messages in quarantine`
    memory.put(parked(row, 'quarantine-overflow', detail, clock.nowMs()))
    onNotice({ kind: 'desynchronized', did, reason: 'quarantine-overflow', detail })
  }

  #put(message: Omit<QuarantineRow, 'id' | 'sinceMs'>): void {
    this.count++
    const id = this.#nextMessageId++
    this.#options.memory.setMessage({ ...message, id, sinceMs: this.#options.clock.nowMs() })
  }
}

function oneMore(row: RepoRow): RepoRow {
  return { ...row, quarantined: row.quarantined + 1 }
}
