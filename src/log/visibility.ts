import type { EntryTable } from './entry-codec.ts'
import { KIND_CODES } from './entry-codec.ts'

/**
 * Which entries a reader does not get: those flagged as purged, those about to be, and the #commit
 * and #sync of hidden accounts. Answers synchronously and costs one flag test while nothing is
 * hidden. Keeps both maps in memory: hides must be told again after a restart, purges are
 * remembered by the sweeper's journal.
 */
export class Visibility {
  readonly #hidden = new Map<bigint, number>()
  readonly #purging = new Map<bigint, number>()
  #generation = 0
  #purgeVersion = 0

  /**
   * Rises whenever pending purges are forgotten because their entries now carry the flag. What was
   * read from an index before such a moment must not be judged after it.
   */
  get generation(): number {
    return this.#generation
  }

  /** Rises with every purge that asks for more than is pending. */
  get purgeVersion(): number {
    return this.#purgeVersion
  }

  get hiddenCount(): number {
    return this.#hidden.size
  }

  get purgingCount(): number {
    return this.#purging.size
  }

  /** Hides below `beforeSeq`; an existing higher bound stays. */
  hide(didHash: bigint, beforeSeq: number): void {
    this.#hidden.set(didHash, Math.max(beforeSeq, this.#hidden.get(didHash) ?? 0))
  }

  unhide(didHash: bigint): void {
    this.#hidden.delete(didHash)
  }

  /** Takes out the hide that was made first. */
  takeOldestHide(): { didHash: bigint; beforeSeq: number } | null {
    for (const [didHash, beforeSeq] of this.#hidden) {
      this.#hidden.delete(didHash)
      return { didHash, beforeSeq }
    }
    return null
  }

  /** Forgets hides that concern nothing at or after `firstSeq`. */
  forgetBelow(firstSeq: number): void {
    for (const [didHash, beforeSeq] of this.#hidden) {
      if (beforeSeq <= firstSeq) this.#hidden.delete(didHash)
    }
  }

  isHiding(didHash: bigint): boolean {
    return this.#hidden.has(didHash)
  }

  /** Treats everything but #account below `beforeSeq` as purged from now on. */
  purge(didHash: bigint, beforeSeq: number): void {
    if (beforeSeq <= (this.#purging.get(didHash) ?? 0)) return
    this.#purging.set(didHash, beforeSeq)
    this.#purgeVersion++
  }

  /** A copy of the pending purges. */
  purges(): Map<bigint, number> {
    return new Map(this.#purging)
  }

  /** Forgets purges whose entries all carry the flag, except those that were raised meanwhile. */
  finishPurges(done: ReadonlyMap<bigint, number>): void {
    for (const [didHash, beforeSeq] of done) {
      if (this.#purging.get(didHash) === beforeSeq) this.#purging.delete(didHash)
    }
    this.#generation++
  }

  /** Whether entry `at` is purged or pending to be. */
  isPurged(table: EntryTable, at: number): boolean {
    if (table.purged(at)) return true
    return this.#purging.size > 0 && isPurgedBy(this.#purging, table, at)
  }

  /** Whether readers skip entry `at`. */
  isHidden(table: EntryTable, at: number): boolean {
    if (this.isPurged(table, at)) return true
    if (this.#hidden.size === 0) return false
    const kind = table.kindCode(at)
    if (kind !== KIND_CODES.commit && kind !== KIND_CODES.sync) return false
    const beforeSeq = this.#hidden.get(table.didHash(at))
    return beforeSeq !== undefined && table.seq(at) < beforeSeq
  }
}

/** Whether one of `purges` covers entry `at`. #account events are kept: they say what happened. */
export function isPurgedBy(
  purges: ReadonlyMap<bigint, number>,
  table: EntryTable,
  at: number,
): boolean {
  if (table.kindCode(at) === KIND_CODES.account) return false
  const beforeSeq = purges.get(table.didHash(at))
  return beforeSeq !== undefined && table.seq(at) < beforeSeq
}
