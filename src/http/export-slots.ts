/** How many exports each address is reading. */

import { assert } from '../lib/assert.ts'

/** Counts in memory; holds an entry for those only who are reading. */
export class ExportSlots {
  readonly #perAddressMax: number
  readonly #taken = new Map<string, number>()

  constructor(perAddressMax: number) {
    this.#perAddressMax = perAddressMax
  }

  /** Takes a place, unless the address has as many as it may. Give it back with `release`. */
  take(address: string): boolean {
    const taken = this.#taken.get(address) ?? 0
    if (taken >= this.#perAddressMax) return false
    this.#taken.set(address, taken + 1)
    return true
  }

  /** Gives a place back that was taken. */
  release(address: string): void {
    const taken = this.#taken.get(address)
    assert(taken !== undefined, 'a place was taken')
    if (taken === 1) this.#taken.delete(address)
    else this.#taken.set(address, taken - 1)
  }
}
