/** Gives each of several kinds its turn: all in a random order, then again. */
import { must } from '../lib/assert.ts'
import type { Random } from '../lib/random.ts'
import { shuffled } from './distributions.ts'

export class Turns<K> {
  readonly #random: Random
  readonly #kinds: readonly K[]
  #turn: K[] = []

  /** @param kinds At least one; what stands there twice has two turns. */
  constructor(random: Random, kinds: readonly K[]) {
    this.#random = random
    this.#kinds = kinds
  }

  next(): K {
    if (this.#turn.length === 0) this.#turn = shuffled(this.#random, this.#kinds)
    return must(this.#turn.pop(), 'kind')
  }
}
