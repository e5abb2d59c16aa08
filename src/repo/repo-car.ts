/**
 * A repository as a CAR in streamable order: the commit, then every tree node before what hangs
 * below it, each record at its place. A reader can verify it while it arrives, and hold little.
 * (Repository specification, "CAR file serialization".)
 */
import type { CarBlock } from '../data/car-stream.ts'
import { must } from '../lib/assert.ts'
import { missingBlock } from './tree-error.ts'
import { streamOrder } from './tree-walk.ts'
import type { Tree } from './tree.ts'

/** Where blocks come from: nodes and records by CID; null for one that is not there. */
export type BlockSource = (cid: Uint8Array) => Uint8Array | null

/**
 * The blocks of a whole repository, in order; pass them to `writeCarStream` with the commit's CID
 * as the root. One record that stands at two paths comes twice, as the order asks.
 *
 * @param tree The tree of the commit, encoded (`rootCid`) since it was last changed.
 * @throws TreeError TREE_INCOMPLETE when a block is not there.
 */
export function* repoCarBlocks(
  commit: CarBlock,
  tree: Tree,
  source: BlockSource,
): Generator<CarBlock> {
  yield commit
  for (const item of streamOrder(tree)) {
    const cid = item.kind === 'node' ? must(item.node.cid, 'CID of an encoded node') : item.value
    const block = source(cid)
    if (block === null) throw missingBlock(cid)
    yield { cid, block }
  }
}
