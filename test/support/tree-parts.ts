/** Trees for tests: a store of their nodes, and made-up records that stand at several heights. */
import { fromString } from '@atcute/cid'
import * as fc from 'fast-check'

import { CODEC_DAG_CBOR, cidOf, cidToString } from '../../src/data/cid.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { Tree } from '../../src/repo/tree.ts'

/** Node blocks by the text of their CID. Counts what is asked for. */
export class NodeStore {
  readonly blocks: Map<string, Uint8Array> = new Map<string, Uint8Array>()
  readonly asked: Set<string> = new Set<string>()

  block = (cid: Uint8Array): Uint8Array | null => {
    const text = cidToString(cid)
    this.asked.add(text)
    return this.blocks.get(text) ?? null
  }

  /** Keeps the nodes of `tree` and opens it anew: nothing of it is loaded. */
  reopen(tree: Tree): Tree {
    return this.open(tree.write((cid, block) => this.blocks.set(cidToString(cid), block)))
  }

  open(root: Uint8Array): Tree {
    this.asked.clear()
    return new Tree(this, root)
  }
}

/** The CID of a made-up record. */
export function valueOf(number: number): Uint8Array {
  return cidOf(CODEC_DAG_CBOR, utf8(`record ${number}`))
}

/** A tree of these records: key to the text of a CID. */
export function treeOf(records: ReadonlyMap<string, string>): Tree {
  const tree = Tree.empty()
  for (const [key, value] of records) tree.put(key, fromString(value).bytes)
  return tree
}

/** Keys close together: equal ones are frequent, heights go up to 3 or 4. */
export const anyKey: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom('a', 'b', 'ba'), fc.nat(120))
  .map(([collection, number]) => `org.example.${collection}/${number}`)

/** Records by key, values as text. */
export const anyRecords: fc.Arbitrary<Map<string, string>> = fc
  .array(fc.tuple(anyKey, fc.nat(3)), { maxLength: 60 })
  .map((entries) => new Map(entries.map(([key, n]) => [key, cidToString(valueOf(n))])))
