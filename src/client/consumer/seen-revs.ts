/**
 * The newest rev of each repository that was heard of lately, for streams that are not verified:
 * which events have been delivered before, and where something is missing.
 */
import { createEntryCache } from '../../lib/entry-cache.ts'
import { REV_AHEAD_MS_MAX } from '../../lib/limits.ts'
import { tidMicros, toTid } from '../../syntax/tid.ts'
import type { RepoFrame } from './event-judge.ts'

/** What an event is to what was seen before of its repository. */
export type Sighting =
  /** It follows, or nothing was seen before. */
  | { readonly kind: 'new' }
  /** It was delivered before: another service says it, or the same one again. */
  | { readonly kind: 'seen' }
  /** What lies between it and rev `known` was not seen. */
  | { readonly kind: 'gap'; readonly known: string; readonly since: string | null }

/**
 * In memory alone, and bounded: of repositories that have been quiet while as many others as it
 * holds were not, and of those before the process began, nothing is known.
 */
export class SeenRevs {
  readonly #revs: ReturnType<typeof createEntryCache<string, string>>

  constructor(reposMax: number) {
    this.#revs = createEntryCache(reposMax)
  }

  /** A `#sync` is never a gap: it says itself that something may have happened in between. */
  look(did: string, frame: RepoFrame): Sighting {
    const known = this.#revs.get(did)
    if (known === undefined) return { kind: 'new' }
    const { rev } = frame.body
    if (frame.type === '#sync') return { kind: rev < known ? 'seen' : 'new' }
    if (rev <= known) return { kind: 'seen' }
    const { since } = frame.body
    return since === known ? { kind: 'new' } : { kind: 'gap', known, since }
  }

  /** The event is finished. A rev of the far future is not believed: it would hide all others. */
  note(did: string, rev: string, nowMs: number): void {
    const isAhead = tidMicros(toTid(rev)) / 1_000 > nowMs + REV_AHEAD_MS_MAX
    if (!isAhead) this.#revs.set(did, rev)
  }
}
