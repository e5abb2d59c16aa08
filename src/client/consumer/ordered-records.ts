/** CIDs by path, in the order of paths: an index of one repository, read page by page. */
import type { IndexedRecord } from '../../store/consumer-state.ts'

/** Most paths of one chunk: what an insertion may have to move. */
const CHUNK_PATHS_MAX = 512

/** Paths in order, and the CID of each. */
interface Chunk {
  readonly paths: string[]
  readonly cids: Uint8Array[]
}

/**
 * Chunks of bounded size, none of them empty, so that a change costs the same wherever it stands
 * and a page costs what it holds. Paths are ASCII: the order of UTF-16 units is that of bytes.
 */
export class OrderedRecords {
  readonly #chunks: Chunk[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  set(path: string, cid: Uint8Array): void {
    const chunk = this.#chunks[this.#chunkOf(path)]
    if (chunk === undefined) {
      this.#chunks.push({ paths: [path], cids: [cid] })
      this.#size++
      return
    }
    const at = firstFrom(chunk.paths, path)
    if (chunk.paths[at] === path) {
      chunk.cids[at] = cid
      return
    }
    chunk.paths.splice(at, 0, path)
    chunk.cids.splice(at, 0, cid)
    this.#size++
    if (chunk.paths.length > CHUNK_PATHS_MAX) this.#split(chunk)
  }

  delete(path: string): void {
    const number = this.#chunkOf(path)
    const chunk = this.#chunks[number]
    if (chunk === undefined) return
    const at = firstFrom(chunk.paths, path)
    if (chunk.paths[at] !== path) return
    chunk.paths.splice(at, 1)
    chunk.cids.splice(at, 1)
    this.#size--
    if (chunk.paths.length === 0) this.#chunks.splice(number, 1)
  }

  /** Up to `limit` records whose paths come after `after`. */
  page(after: string, limit: number): readonly IndexedRecord[] {
    const page: IndexedRecord[] = []
    for (let number = this.#chunkOf(after); number < this.#chunks.length; number++) {
      const { paths, cids } = this.#chunks[number] as Chunk
      for (let at = firstFrom(paths, after); at < paths.length; at++) {
        if (page.length >= limit) return page
        const path = paths[at] as string
        if (path !== after) page.push({ path, cid: cids[at] as Uint8Array })
      }
    }
    return page
  }

  /** The chunk that a path belongs to: the last one that does not begin after it, or the first. */
  #chunkOf(path: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#chunks[middle]?.paths[0] as string) <= path) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  /** Two of a half, or a new last one: paths often come in order, and leave full chunks then. */
  #split(chunk: Chunk): void {
    const number = this.#chunks.indexOf(chunk)
    const isLast = number === this.#chunks.length - 1
    const from = isLast ? CHUNK_PATHS_MAX : chunk.paths.length >> 1
    const paths = chunk.paths.splice(from)
    this.#chunks.splice(number + 1, 0, { paths, cids: chunk.cids.splice(from) })
  }
}

/** The index of the first path that is not before `path`. */
function firstFrom(paths: readonly string[], path: string): number {
  let low = 0
  let high = paths.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((paths[middle] as string) < path) low = middle + 1
    else high = middle
  }
  return low
}
