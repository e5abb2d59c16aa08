/** Who reads again what has been read, and whoever is slow, while a relay lives. */
import { sleep, systemClock } from '../../src/lib/clock.ts'
import { messageOf } from '../../src/lib/errors.ts'
import type { Random } from '../../src/lib/random.ts'
import { below } from '../../src/sim/distributions.ts'
import type { KillModel } from './kill-model.ts'
import { KillReader } from './kill-reader.ts'
import type { KillRelay } from './kill-relay.ts'

export interface KillAuditParts {
  readonly model: KillModel
  readonly random: Random
  readonly relay: KillRelay
  readonly address: string
  readonly slow: KillReader
}

/** How far behind the newest event the first look begins, and how much later ones read. */
const RECENT_MAX = 600
const STRETCH = 300
const LOOKS = 2
/** How long the slow one reads, and does not, ms. */
const READS_MS = 20
const RESTS_MS = 120

/** Goes on until the relay is gone, or it is disposed of. */
export class KillAudit implements AsyncDisposable {
  readonly #parts: KillAuditParts
  readonly #abort = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(parts: KillAuditParts) {
    this.#parts = parts
  }

  start(): void {
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    try {
      await Promise.all([this.#beSlow(), this.#look()])
    } catch (error) {
      this.#parts.model.violate(`audit: ${messageOf(error)}`)
    }
  }

  get #isOver(): boolean {
    return this.#parts.relay.isOver || this.#abort.signal.aborted
  }

  async #beSlow(): Promise<void> {
    const { slow } = this.#parts
    while (!this.#isOver) {
      slow.pause()
      await sleep(systemClock, RESTS_MS, this.#abort.signal)
      slow.resume()
      await sleep(systemClock, READS_MS, this.#abort.signal)
    }
  }

  /** First what was sent shortly before the kill, then a stretch anywhere. */
  async #look(): Promise<void> {
    const { model, random, address } = this.#parts
    for (let look = 0; look < LOOKS && !this.#isOver; look++) {
      const { frontier } = model
      const reader = new KillReader('audit', model)
      const isRecent = look === 0
      const back = 1 + below(random, isRecent ? Math.min(RECENT_MAX, frontier + 1) : frontier + 1)
      reader.lastSeq = Math.max(0, frontier - back)
      const untilSeq = Math.min(frontier, reader.lastSeq + (isRecent ? RECENT_MAX : STRETCH))
      reader.connect(address)
      while (reader.lastSeq < untilSeq && !this.#isOver) {
        await sleep(systemClock, READS_MS, this.#abort.signal)
      }
      await reader.gone()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.#running
  }
}
