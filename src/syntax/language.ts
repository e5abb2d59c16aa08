/** Language tags (specification: lexicon, string formats; RFC 5646, 2.1). */
import { type Branded, parseWith, requireWith } from './brand.ts'

/** A language tag. */
export type Language = Branded<'language'>

/** RFC 5646, 2.2.8: the registered tags that its grammar does not cover, lower-case. */
const IRREGULAR_TAGS: ReadonlySet<string> = new Set(
  (
    'en-gb-oed i-ami i-bnn i-default i-enochian i-hak i-klingon i-lux i-mingo i-navajo i-pwn i-tao ' +
    'i-tay i-tsu sgn-be-fr sgn-be-nl sgn-ch-de'
  ).split(' '),
)

const PRIMARY = /^[a-z]{2,3}$/
const EXTENDED = /^[A-Za-z]{3}$/
const EXTENDED_MAX = 3
const SCRIPT = /^[A-Za-z]{4}$/
const REGION = /^(?:[A-Za-z]{2}|[0-9]{3})$/
const VARIANT = /^(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3})$/
const EXTENSION_SINGLETON = /^[0-9A-WY-Za-wy-z]$/
const EXTENSION_SUBTAG = /^[A-Za-z0-9]{2,8}$/
const PRIVATE_SINGLETON = /^[xX]$/
const PRIVATE_SUBTAG = /^[A-Za-z0-9]{1,8}$/

/**
 * True for a well-formed tag whose primary language has two or three lower-case letters, or that is
 * private use (`x-...`) or irregular (`i-...`), and that repeats no variant and no extension. Does
 * not look subtags up in the registry.
 */
export function isLanguage(value: unknown): value is Language {
  if (typeof value !== 'string') return false
  if (IRREGULAR_TAGS.has(value.toLowerCase())) return true
  const subtags = new SubtagReader(value.split('-'))
  if (subtags.takeMost(PRIMARY, 1) === 1) {
    subtags.takeMost(EXTENDED, EXTENDED_MAX)
    subtags.takeMost(SCRIPT, 1)
    subtags.takeMost(REGION, 1)
    if (!subtags.takeVariants() || !subtags.takeExtensions()) return false
    if (subtags.isAtEnd()) return true
  }
  return subtags.takeGroup(PRIVATE_SINGLETON, PRIVATE_SUBTAG) !== null && subtags.isAtEnd()
}

/** `text` as a language tag, or null. */
export function parseLanguage(text: string): Language | null {
  return parseWith(isLanguage, text)
}

/** `text` as a language tag. Throws SYNTAX_INVALID. */
export function toLanguage(text: string): Language {
  return requireWith(isLanguage, 'language', text)
}

/** Takes subtags from the left. */
class SubtagReader {
  readonly #subtags: readonly string[]
  #next = 0

  constructor(subtags: readonly string[]) {
    this.#subtags = subtags
  }

  isAtEnd(): boolean {
    return this.#next === this.#subtags.length
  }

  /** Takes up to `count` subtags of this shape; returns how many there were. */
  takeMost(shape: RegExp, count: number): number {
    let taken = 0
    while (taken < count && shape.test(this.#subtags[this.#next] ?? '')) {
      this.#next++
      taken++
    }
    return taken
  }

  /** Takes a singleton and the subtags after it; null when there is none, or nothing after it. */
  takeGroup(singleton: RegExp, shape: RegExp): string | null {
    const name = this.#subtags[this.#next] ?? ''
    if (this.takeMost(singleton, 1) === 0) return null
    return this.takeMost(shape, Number.POSITIVE_INFINITY) === 0 ? null : name.toLowerCase()
  }

  /** Takes all variants; false when one repeats. */
  takeVariants(): boolean {
    const start = this.#next
    const count = this.takeMost(VARIANT, Number.POSITIVE_INFINITY)
    const variants = this.#subtags.slice(start, start + count)
    return new Set(variants.map((variant) => variant.toLowerCase())).size === count
  }

  /** Takes all extensions; false when one repeats or is empty. */
  takeExtensions(): boolean {
    const seen = new Set<string>()
    while (EXTENSION_SINGLETON.test(this.#subtags[this.#next] ?? '')) {
      const name = this.takeGroup(EXTENSION_SINGLETON, EXTENSION_SUBTAG)
      if (name === null || seen.has(name)) return false
      seen.add(name)
    }
    return true
  }
}
