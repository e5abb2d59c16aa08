/** Memory for many small things that go at about the same time, made and let go as one. */

/**
 * Gives out pieces of larger arrays. A piece is never given out again; an array is let go when
 * nobody holds a piece of it any more. What is larger than a quarter of the size gets an array of
 * its own.
 */
export class Slab {
  readonly #size: number
  #bytes: Uint8Array
  #used = 0

  /** @param size Bytes of each array. */
  constructor(size: number) {
    this.#size = size
    this.#bytes = new Uint8Array(0)
  }

  /** So many bytes, all zero. */
  take(length: number): Uint8Array {
    if (length * 4 > this.#size) return new Uint8Array(length)
    if (this.#used + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(this.#size)
      this.#used = 0
    }
    const start = this.#used
    this.#used += length
    return this.#bytes.subarray(start, this.#used)
  }
}
