/** One lane an account: its events in order, one at a time, while those of others go on. */
import { must } from '../../lib/assert.ts'
import type { SourceFrame } from '../source/source-types.ts'
import type { Place } from '../source/source-types.ts'

/** A frame that waits or is at work. */
export interface Task {
  readonly bytes: Uint8Array
  readonly frame: SourceFrame
  /** Null for `#info`. */
  readonly place: Place | null
}

/** A repository that is being fetched, or waits for it. */
export interface RepairRun {
  /** The greatest rev of events that were let go meanwhile: the fetch must bring it. */
  seenRev: string | null
  readonly abort: AbortController
}

/** Events wait until `release` is called. */
export interface Hold {
  readonly released: Promise<void>
  readonly release: () => void
}

export class Lane {
  readonly did: string
  readonly tasks: Task[] = []
  /** Whether the first task is at work. */
  isBusy = false
  /** Settles when the delivery that is open is finished. */
  turn: Promise<void> | null = null
  repair: RepairRun | null = null
  hold: Hold | null = null

  constructor(did: string) {
    this.did = did
  }

  get isIdle(): boolean {
    return this.tasks.length === 0 && this.repair === null && this.turn === null
  }

  /** Lets events of the account wait. */
  holdBack(): Hold {
    if (this.hold !== null) return this.hold
    const { promise, resolve } = Promise.withResolvers<void>()
    const hold: Hold = {
      released: promise,
      release: () => {
        if (this.hold === hold) this.hold = null
        resolve()
      },
    }
    this.hold = hold
    return hold
  }
}

/** All lanes; there are only those of accounts with something to do. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>()
  /** Frames in all lanes, and their bytes. */
  frames = 0
  bytes = 0

  get size(): number {
    return this.#lanes.size
  }

  get(did: string): Lane {
    let lane = this.#lanes.get(did)
    if (lane === undefined) {
      lane = new Lane(did)
      this.#lanes.set(did, lane)
    }
    return lane
  }

  find(did: string): Lane | null {
    return this.#lanes.get(did) ?? null
  }

  [Symbol.iterator](): Iterator<Lane> {
    return this.#lanes.values()
  }

  add(lane: Lane, task: Task): void {
    lane.tasks.push(task)
    this.frames++
    this.bytes += task.bytes.length
  }

  /** The first task of a lane is over. */
  shift(lane: Lane): void {
    const task = must(lane.tasks.shift(), 'task at work')
    this.frames--
    this.bytes -= task.bytes.length
  }

  /** Drops a lane that has nothing to do. */
  tidy(lane: Lane): void {
    if (lane.isIdle) this.#lanes.delete(lane.did)
  }

  /** Lets go of every lane that is held back. */
  release(): void {
    for (const lane of this.#lanes.values()) lane.hold?.release()
  }
}
