/** A bounded number of tasks at a time, and a bounded number waiting, first come first served. */

export interface LookupQueueOptions {
  /** Tasks that run together. */
  readonly concurrencyMax: number
  /** Tasks that wait for a place; one more is refused. */
  readonly waitingMax: number
}

/** Holds back work without ever refusing it late: a task is refused when it comes, or runs. */
export class LookupQueue {
  readonly #options: LookupQueueOptions
  /** First in, first out: a Set keeps insertion order and gives up its first entry in O(1). */
  readonly #waiting = new Set<() => void>()
  #running = 0

  constructor(options: LookupQueueOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** The task's own promise, or null when the queue is full. The task must not reject. */
  run<T>(task: () => Promise<T>): Promise<T> | null {
    if (this.#running < this.#options.concurrencyMax) return this.#start(task)
    if (this.#waiting.size >= this.#options.waitingMax) return null
    return new Promise((resolve) => {
      this.#waiting.add(() => resolve(this.#start(task)))
    })
  }

  async #start<T>(task: () => Promise<T>): Promise<T> {
    this.#running++
    try {
      return await task()
    } finally {
      this.#running--
      this.#next()
    }
  }

  #next(): void {
    for (const start of this.#waiting) {
      this.#waiting.delete(start)
      start()
      return
    }
  }
}
