/** An account of the simulation: its repository, where it is, and what it may write next. */
import type { PrivateKey } from '../crypto/private-key.ts'
import { must } from '../lib/assert.ts'
import type { Random } from '../lib/random.ts'
import type { CommitBody } from '../stream/frame-types.ts'
import { below, geometric, weighted } from './distributions.ts'
import type { Album, SimBlob } from './blobs.ts'
import type { LiveBlobs } from './live-blobs.ts'
import { collectionOf, makeRecord, nextCollection, type RecordContext } from './records.ts'
import type { RepoWrite, SignedRepo } from './signed-repo.ts'
import type { AccountStatus } from './world.ts'

/** Shares of operations, in percent: more updates and deletions than there are in the wild. */
const ACTION_WEIGHTS = { create: 75, update: 15, delete: 10 } as const
/** Chance that a commit ends after one more operation. */
const LAST_OP_CHANCE = 0.7
const OPS_MAX_HERE = 20
/** Tries to find a record by chance before another kind of operation is chosen. */
const PICKS_MAX = 8

/** Paths at which records stand, of which any can be picked at once. */
export class LivePaths {
  readonly #base: readonly string[]
  readonly #gone = new Set<string>()
  readonly #added: string[] = []
  readonly #places = new Map<string, number>()

  /** @param base Paths that are there from the start; shared, not changed. */
  constructor(base: readonly string[]) {
    this.#base = base
  }

  add(path: string): void {
    if (this.#gone.delete(path)) return
    this.#places.set(path, this.#added.length)
    this.#added.push(path)
  }

  remove(path: string): void {
    const place = this.#places.get(path)
    if (place === undefined) {
      this.#gone.add(path)
      return
    }
    const last = must(this.#added.pop(), 'path')
    this.#places.delete(path)
    if (last === path) return
    this.#added[place] = last
    this.#places.set(last, place)
  }

  /** A path that is not in `taken`; null when none turns up. */
  pick(random: Random, taken: ReadonlySet<string>): string | null {
    const count = this.#base.length + this.#added.length
    if (count === 0) return null
    for (let i = 0; i < PICKS_MAX; i++) {
      const at = below(random, count)
      const path = this.#base[at] ?? must(this.#added[at - this.#base.length], 'path')
      if (!taken.has(path) && !this.#gone.has(path)) return path
    }
    return null
  }
}

/** One account. What changes here is changed in the world too, by whoever changes it. */
export interface SimAccount {
  readonly number: number
  readonly did: string
  readonly repo: SignedRepo
  readonly paths: LivePaths
  readonly blobs: LiveBlobs
  readonly album: Album
  /** Rank by how much it writes, 0 for the busiest. Who is gone for good has left its place. */
  place: number
  handle: string
  /** Index of its host. */
  host: number
  status: AccountStatus
  /** How many keys it has had. */
  keys: number
  /** The key before the newest; null when there was none. */
  previousKey: PrivateKey | null
  /** The newest commit that was sent. */
  lastCommit: CommitBody | null
}

/** A write, and the blobs that its record refers to. */
export type SimWrite = RepoWrite & { readonly blobs?: readonly SimBlob[] }

export type WriteContext = Omit<RecordContext, 'image'>

/** Writes of one commit: one operation and sometimes more, each on a path of its own. */
export function nextWrites(account: SimAccount, context: WriteContext): SimWrite[] {
  const { random } = context
  const count = Math.min(1 + geometric(random, LAST_OP_CHANCE), OPS_MAX_HERE)
  const taken = new Set<string>()
  const writes: SimWrite[] = []
  const image = (): SimBlob => account.album.next(random)
  while (writes.length < count) {
    const write = nextWrite(account, { ...context, image }, taken)
    taken.add(write.path)
    writes.push(write)
  }
  return writes
}

function nextWrite(
  account: SimAccount,
  context: RecordContext,
  taken: ReadonlySet<string>,
): SimWrite {
  const { random } = context
  const action = weighted(random, ACTION_WEIGHTS)
  if (action !== 'create') {
    const path = account.paths.pick(random, taken)
    if (path !== null && action === 'delete') return { action, path }
    if (path !== null) {
      const { record, blobs } = makeRecord(context, collectionOf(path) ?? nextCollection(random))
      return { action: 'update', path, record, blobs }
    }
  }
  for (;;) {
    const { collection, rkey, record, blobs } = makeRecord(context, nextCollection(random))
    const path = `${collection}/${rkey}`
    if (taken.has(path)) continue
    // A profile has one place; another record of it is an update.
    const stands = account.repo.has(path)
    return { action: stands ? 'update' : 'create', path, record, blobs }
  }
}
