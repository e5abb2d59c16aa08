/** Messages that arrive while their reader is paused, in order and within a bound. */

/** What a held message costs besides its bytes, so that many small ones count too. */
const MESSAGE_BYTES = 128

/** A message; null for a text message, which the protocol has none of. */
export type HeldMessage = Uint8Array | null

/** Gives messages out at once while nobody has paused, else keeps them until they are wanted. */
export class HeldMessages {
  readonly #bytesMax: number
  readonly #deliver: (message: HeldMessage) => void
  #messages: HeldMessage[] = []
  #bytes = 0
  #paused = false
  #draining = false
  #dropped = false

  /**
   * @param bytesMax Most bytes that are kept; each message counts 128 more than it has.
   * @param deliver May pause or drop from within.
   */
  constructor(bytesMax: number, deliver: (message: HeldMessage) => void) {
    this.#bytesMax = bytesMax
    this.#deliver = deliver
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** Gives the message out, or keeps it. False when the bound is passed: it was not taken. */
  take(message: HeldMessage): boolean {
    if (this.#dropped) return true
    if (!this.#paused && this.#messages.length === 0) {
      this.#deliver(message)
      return true
    }
    const bytes = MESSAGE_BYTES + (message?.length ?? 0)
    if (this.#bytes + bytes > this.#bytesMax) return false
    this.#bytes += bytes
    this.#messages.push(message)
    return true
  }

  pause(): void {
    this.#paused = true
  }

  /** Gives out what was kept, until paused again. True when nothing is left and nobody paused. */
  resume(): boolean {
    this.#paused = false
    if (this.#draining) return false
    this.#draining = true
    let taken = 0
    const messages = this.#messages
    while (taken < messages.length && !this.isPaused && !this.#dropped) {
      const message = messages[taken++] ?? null
      this.#bytes -= MESSAGE_BYTES + (message?.length ?? 0)
      this.#deliver(message)
    }
    this.#draining = false
    if (!this.#dropped) messages.splice(0, taken)
    return !this.isPaused && !this.#dropped
  }

  /** Forgets what is kept; nothing is given out any more. */
  drop(): void {
    this.#dropped = true
    this.#messages = []
    this.#bytes = 0
  }
}
