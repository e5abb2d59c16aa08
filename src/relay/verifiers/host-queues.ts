/**
 * Jobs that wait for one thread, by host. Hosts take turns, so that one which floods waits for
 * itself and not the others for it.
 */
import type { VerifyJob } from './frame-verifier.ts'

/** Bytes of one host that are taken before it is the next one's turn: a dozen average frames. */
const TURN_BYTES = 64 * 1024

/** The jobs of one host, in order. */
class HostQueue<J extends VerifyJob> {
  #jobs: J[] = []
  #head = 0

  get isEmpty(): boolean {
    return this.#head === this.#jobs.length
  }

  push(job: J): void {
    this.#jobs.push(job)
  }

  first(): J | undefined {
    return this.#jobs[this.#head]
  }

  shift(): void {
    this.#head++
    if (this.#head * 2 < this.#jobs.length) return
    this.#jobs = this.#jobs.slice(this.#head)
    this.#head = 0
  }
}

/** A batch that may grow no further: so many jobs, or so many bytes, whichever comes first. */
export interface BatchBounds {
  readonly eventsMax: number
  /** A single larger job is a batch all the same. */
  readonly bytesMax: number
}

/** Keeps the order of each host. Does not bound itself: who puts in holds hosts back. */
export class HostQueues<J extends VerifyJob> {
  readonly #byHost = new Map<number, HostQueue<J>>()
  /** Hosts with jobs, in the order of their turns. */
  #turns: number[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  push(job: J): void {
    let queue = this.#byHost.get(job.hostId)
    if (queue === undefined) {
      queue = new HostQueue()
      this.#byHost.set(job.hostId, queue)
      this.#turns.push(job.hostId)
    }
    queue.push(job)
    this.#size++
  }

  /** The next jobs, which are gone from here. Empty only when there are none. */
  take({ eventsMax, bytesMax }: BatchBounds): J[] {
    const batch: J[] = []
    let bytes = 0
    for (;;) {
      const hostId = this.#turns[0]
      const queue = hostId === undefined ? undefined : this.#byHost.get(hostId)
      if (hostId === undefined || queue === undefined) return batch
      let turnBytes = 0
      for (let job = queue.first(); job !== undefined; job = queue.first()) {
        const { length } = job.frame.bytes
        const isFull = batch.length === eventsMax || bytes + length > bytesMax
        if (isFull && batch.length > 0) return batch
        if (turnBytes > 0 && turnBytes + length > TURN_BYTES) break
        batch.push(job)
        queue.shift()
        this.#size--
        bytes += length
        turnBytes += length
      }
      this.#turns.shift()
      if (queue.isEmpty) this.#byHost.delete(hostId)
      else this.#turns.push(hostId)
    }
  }

  /** All jobs, which are gone from here, in the order of each host. */
  clear(): J[] {
    const unbounded = { eventsMax: Infinity, bytesMax: Infinity }
    return this.take(unbounded)
  }
}
