/** What of a stream is wanted. Pure. */
import { SkeinError } from '../../lib/errors.ts'
import { parseNsid } from '../../syntax/nsid.ts'
import type { SourceFrame } from '../source/source-types.ts'
import type { ConsumerFilter, WantedType } from './consumer-types.ts'

/** Most collections and groups of collections of one filter: each is tried on each path. */
const COLLECTIONS_MAX = 1_000

const KNOWN: ReadonlySet<string> = new Set(['#commit', '#sync', '#identity', '#account', '#info'])

/** A filter that is asked for each event. The set of accounts may change. */
export class WantedEvents {
  readonly #dids: Set<string> | null
  readonly #types: ReadonlySet<WantedType> | null
  readonly #exact: ReadonlySet<string> | null
  readonly #beginnings: readonly string[]
  /** As given; null for all. */
  readonly collections: readonly string[] | null

  /** @throws SkeinError OPTION_INVALID for a collection that is none, or too many. */
  constructor({ dids, collections, types }: ConsumerFilter = {}) {
    this.#dids = dids === undefined ? null : new Set(dids)
    this.#types = types === undefined ? null : new Set(types)
    this.collections = collections ?? null
    this.#exact = collections === undefined ? null : new Set(collections.filter(isWhole))
    this.#beginnings = (collections ?? [])
      .filter((text) => !isWhole(text))
      .map((text) => text.slice(0, -1))
    checkCollections(collections ?? [])
  }

  /** Whether commits are wanted, and so repositories are kept track of. */
  get commits(): boolean {
    return this.type('#commit')
  }

  type(type: WantedType): boolean {
    return this.#types === null || this.#types.has(type)
  }

  /** Whether messages of this frame's type are delivered. */
  frame(frame: SourceFrame): boolean {
    if (frame.kind === 'info') return this.type('#info')
    return this.type(KNOWN.has(frame.type) ? (frame.type as WantedType) : 'other')
  }

  did(did: string): boolean {
    return this.#dids === null || this.#dids.has(did)
  }

  path(path: string): boolean {
    if (this.#exact === null) return true
    const slash = path.indexOf('/')
    if (this.#exact.has(slash === -1 ? path : path.slice(0, slash))) return true
    return this.#beginnings.some((beginning) => path.startsWith(beginning))
  }

  /** Without effect when all accounts are wanted. */
  add(did: string): void {
    this.#dids?.add(did)
  }

  remove(did: string): void {
    this.#dids?.delete(did)
  }
}

const isWhole = (text: string): boolean => !text.endsWith('.*')

function checkCollections(collections: readonly string[]): void {
  if (collections.length > COLLECTIONS_MAX) {
    throw new SkeinError('OPTION_INVALID', 'filter: too many collections', { max: COLLECTIONS_MAX })
  }
  for (const text of collections) {
    // A group has at least the two segments of an authority; any name completes it.
    if (parseNsid(isWhole(text) ? text : `${text.slice(0, -1)}name`) !== null) continue
    throw new SkeinError('OPTION_INVALID', `filter: no collection: ${text.slice(0, 80)}`)
  }
}
