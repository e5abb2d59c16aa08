/** Seeded chance: independent streams of one seed, and the distributions that traffic follows. */
import { sha256 } from '../crypto/sha256.ts'
import { assert, must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { type Random, seededRandom } from '../lib/random.ts'

/**
 * A stream of its own for each `salt`, so that drawing more from one (faults, say) leaves every
 * other (traffic) as it was.
 */
export function streamOf(seed: number, salt: string): Random {
  const hash = sha256(utf8(`${seed}/${salt}`))
  return seededRandom(new DataView(hash.buffer, hash.byteOffset, 4).getUint32(0))
}

/** A whole number in 0..below-1. */
export function below(random: Random, bound: number): number {
  return Math.min(Math.floor(random.next() * bound), bound - 1)
}

/** One of the values, of which there is at least one. */
export function pickOf<T>(random: Random, values: readonly T[]): T {
  return must(values[below(random, values.length)], 'value to pick')
}

/** The gap to the next arrival of a Poisson process, in the unit of `mean`. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean
}

/** Failures before the first success of chance `p`: mean (1 - p) / p. */
export function geometric(random: Random, p: number): number {
  return Math.floor(Math.log(1 - random.next()) / Math.log(1 - p))
}

/** A log-normal value with this median, cut to a range. */
export function logNormal(
  random: Random,
  shape: {
    readonly median: number
    readonly sigma: number
    readonly min: number
    readonly max: number
  },
): number {
  const angle = 2 * Math.PI * random.next()
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(angle)
  const value = shape.median * Math.exp(shape.sigma * normal)
  return Math.min(shape.max, Math.max(shape.min, value))
}

/** One of the keys, by weight. A weight of 0 is never drawn; they need not add up to 1. */
export function weighted<K extends string>(
  random: Random,
  weights: Readonly<Partial<Record<K, number>>>,
): K {
  const entries = Object.entries<number | undefined>(weights) as [K, number][]
  let rest = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [key, weight] of entries) {
    rest -= weight
    if (rest < 0) return key
  }
  return must(entries.findLast(([, weight]) => weight > 0)?.[0], 'positive weight')
}

/** The values in a random order. */
export function shuffled<T>(random: Random, values: readonly T[]): T[] {
  const out = [...values]
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(random, i + 1)
    const swapped = must(out[i], 'value')
    out[i] = must(out[j], 'value')
    out[j] = swapped
  }
  return out
}

/** Ranks 0, 1, 2… of Zipf's law: rank k comes with weight 1 / (k + 1)^s. */
export class Zipf {
  readonly #sums: Float64Array

  constructor(count: number, s: number) {
    assert(count > 0, 'Zipf over nothing')
    this.#sums = new Float64Array(count)
    let sum = 0
    for (let i = 0; i < count; i++) {
      sum += (i + 1) ** -s
      this.#sums[i] = sum
    }
  }

  pick(random: Random): number {
    const at = random.next() * must(this.#sums.at(-1), 'sum')
    let low = 0
    let high = this.#sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (must(this.#sums[middle], 'sum') <= at) low = middle + 1
      else high = middle
    }
    return low
  }
}
