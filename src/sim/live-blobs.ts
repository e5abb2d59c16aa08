/** Which blobs the records of an account refer to, and since when: what its host has stored. */
import type { SimBlob } from './blobs.ts'

/** Blobs of a repository that many accounts begin with. Not to be changed. */
export interface BaseBlobs {
  /** Blobs of each record that refers to any. */
  readonly byPath: ReadonlyMap<string, readonly SimBlob[]>
  /** By the text of the CID: the blob, and the records that refer to it. */
  readonly byCid: ReadonlyMap<string, ReferredBlob>
}

interface ReferredBlob {
  readonly blob: SimBlob
  readonly paths: Set<string>
}

/** What an account begins with that has no past. */
export const NO_BLOBS: BaseBlobs = { byPath: new Map(), byCid: new Map() }

export function baseBlobs(byPath: ReadonlyMap<string, readonly SimBlob[]>): BaseBlobs {
  const byCid = new Map<string, ReferredBlob>()
  for (const [path, blobs] of byPath) refer(byCid, path, blobs)
  return { byPath, byCid }
}

function refer(byCid: Map<string, ReferredBlob>, path: string, blobs: readonly SimBlob[]): void {
  for (const blob of blobs) {
    const entry = byCid.get(blob.text)
    if (entry === undefined) byCid.set(blob.text, { blob, paths: new Set([path]) })
    else entry.paths.add(path)
  }
}

/** Blobs by the records that refer to them. One goes with the last record that does. */
export class LiveBlobs {
  readonly #base: BaseBlobs
  readonly #baseRev: string
  /** Records written since that have blobs; null for those of the base that have no more. */
  readonly #changes = new Map<
    string,
    { readonly rev: string; readonly blobs: readonly SimBlob[] } | null
  >()
  readonly #added = new Map<string, ReferredBlob>()

  /** @param baseRev Rev of the commit that the base came with. */
  constructor(base: BaseBlobs, baseRev: string) {
    this.#base = base
    this.#baseRev = baseRev
  }

  /** The record at `path` was written, or deleted, with `rev`; it refers to these blobs now. */
  write(path: string, rev: string, blobs: readonly SimBlob[]): void {
    for (const { text } of this.#changes.get(path)?.blobs ?? []) {
      const entry = this.#added.get(text)
      entry?.paths.delete(path)
      if (entry?.paths.size === 0) this.#added.delete(text)
    }
    if (blobs.length > 0) {
      this.#changes.set(path, { rev, blobs })
      refer(this.#added, path, blobs)
    } else if (this.#base.byPath.has(path)) this.#changes.set(path, null)
    else this.#changes.delete(path)
  }

  /** A blob that a record refers to now; null when there is none. */
  find(text: string): SimBlob | null {
    const added = this.#added.get(text)
    if (added !== undefined) return added.blob
    const based = this.#base.byCid.get(text)
    if (based === undefined) return null
    for (const path of based.paths) if (!this.#changes.has(path)) return based.blob
    return null
  }

  /**
   * Each blob once, in no particular order.
   *
   * @param since A rev: only those that a record refers to which was written after it.
   */
  list(since: string | null): SimBlob[] {
    const found = new Map<string, SimBlob>()
    const add = (rev: string, blobs: readonly SimBlob[]): void => {
      if (since !== null && rev <= since) return
      for (const blob of blobs) found.set(blob.text, blob)
    }
    for (const [path, blobs] of this.#base.byPath) {
      if (!this.#changes.has(path)) add(this.#baseRev, blobs)
    }
    for (const change of this.#changes.values()) if (change !== null) add(change.rev, change.blobs)
    return [...found.values()]
  }
}
