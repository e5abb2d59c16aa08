/** The signed repository of src/sim, with what only tests do to it. */
import { type CarBlock, encodeCar } from '../../src/data/car-stream.ts'
import { must } from '../../src/lib/assert.ts'
import { concatBytes } from '../../src/lib/bytes.ts'
import type { Random } from '../../src/lib/random.ts'
import type { RepoWrite, SignedRepo } from '../../src/sim/signed-repo.ts'
import { tidOf } from '../../src/syntax/tid.ts'

export {
  type RepoWrite,
  type SignedHead,
  SignedRepo,
  type SignedRepoOptions,
} from '../../src/sim/signed-repo.ts'
// For the tests of layers that may not import the stream.
export type { CommitBody, SyncBody } from '../../src/stream/frame-types.ts'

const COLLECTIONS = ['org.example.note', 'org.example.like', 'app.example.graph.follow'] as const

/**
 * Between 1 and `most` possible writes on distinct paths, chosen by `random`: mostly creates while
 * there is little to change. Holds for one commit: compute them anew after each `apply`.
 */
export function randomWrites(repo: SignedRepo, random: Random, most: number): RepoWrite[] {
  const free = [...repo.records().keys()]
  const taken = new Set(free)
  const writes: RepoWrite[] = []
  const count = 1 + Math.floor(random.next() * most)
  while (writes.length < count) {
    const record = { text: `text ${random.next()}`, n: Math.floor(random.next() * 1_000) }
    if (free.length > 0 && random.next() < 0.45) {
      const at = Math.floor(random.next() * free.length)
      const path = must(free[at], 'path')
      free[at] = must(free.at(-1), 'path')
      free.pop()
      if (random.next() < 0.5) writes.push({ action: 'delete', path })
      else writes.push({ action: 'update', path, record })
      continue
    }
    const collection = COLLECTIONS[Math.floor(random.next() * COLLECTIONS.length)] ?? COLLECTIONS[0]
    const path = `${collection}/${tidOf(Math.floor(random.next() * 2 ** 50), 0)}`
    if (taken.has(path)) continue
    taken.add(path)
    writes.push({ action: 'create', path, record })
  }
  return writes
}

/** The bytes of a CAR with blocks added behind its own. */
export function withBlocks(car: Uint8Array, blocks: readonly CarBlock[]): Uint8Array {
  const parts = [car]
  const none = encodeCar([], []).length
  for (const block of blocks) parts.push(encodeCar([], [block]).subarray(none))
  return concatBytes(parts)
}
