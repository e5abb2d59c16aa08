/**
 * The interoperability vectors of atproto for the tree: heights, prefixes, a large key set, proofs.
 */
import { readFile } from 'node:fs/promises'

import { BytesWrapper, decode } from '@atcute/cbor'
import { MemoryBlockStore, NodeStore, NodeWrangler } from '@atcute/mst'

import { cidFromString, cidToString } from '../../src/data/cid.ts'
import { must } from '../../src/lib/assert.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { invertChanges } from '../../src/repo/operations.ts'
import { EMPTY_TREE_CID, encodeNode, keyHeight } from '../../src/repo/tree-node.ts'
import { coveringProof, treeEntries } from '../../src/repo/tree-walk.ts'
import { Tree } from '../../src/repo/tree.ts'
import { runCases, type SuiteResult } from './suite-result.ts'
import { readJson } from './vector-files.ts'

interface HeightFixture {
  readonly key: string
  readonly height: number
}

interface PrefixFixture {
  readonly left: string
  readonly right: string
  readonly len: number
}

interface ProofFixture {
  readonly comment: string
  readonly leafValue: string
  readonly keys: readonly string[]
  readonly adds: readonly string[]
  readonly dels: readonly string[]
  readonly rootBeforeCommit: string
  readonly rootAfterCommit: string
  readonly blocksInProof: readonly string[]
}

/** Runs all files. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/interop`
  const heights = await readJson<readonly HeightFixture[]>(`${directory}/mst/key_heights.json`)
  const prefixes = await readJson<readonly PrefixFixture[]>(`${directory}/mst/common_prefix.json`)
  const text = await readFile(`${directory}/mst/example_keys.txt`, 'utf8')
  const keys = text.trim().split('\n')
  const proofFile = `${directory}/firehose/commit-proof-fixtures.json`
  const proofs = await readJson<readonly ProofFixture[]>(proofFile)
  return [
    runCases('interop mst: key_heights.json', heights, ({ key, height }) =>
      expectEqual(`height of ${JSON.stringify(key)}`, keyHeight(utf8(key)), height),
    ),
    runCases('interop mst: common_prefix.json', prefixes, checkPrefix),
    runCases('interop mst: example_keys.txt, heights', keys, checkExampleHeight),
    runCases('interop mst: example_keys.txt, order of the tree', keys, checkOrder(keys)),
    await checkRoots(keys),
    runCases('interop firehose: commit proofs', proofs, checkProof),
  ]
}

function expectEqual(what: string, found: unknown, expected: unknown): string | null {
  return found === expected ? null : `${what}: ${String(found)}, expected ${String(expected)}`
}

/** The prefix length that a node of these two keys is written with. Their order does not matter. */
function checkPrefix({ left, right, len }: PrefixFixture): string | null {
  const node = {
    height: 0,
    keys: [left, right],
    values: [EMPTY_TREE_CID, EMPTY_TREE_CID],
    subtrees: [null, null, null],
    cid: null,
    form: null,
    lower: null,
    upper: null,
  }
  const decoded = decode(encodeNode(node, () => null)) as {
    readonly e: readonly { readonly p: number; readonly k: BytesWrapper }[]
  }
  const entry = must(decoded.e[1], 'entry')
  const what = `prefix of ${JSON.stringify([left, right])}`
  const suffix = Buffer.from(entry.k.buf).toString()
  return expectEqual(what, entry.p, len) ?? expectEqual(what, suffix, right.slice(len))
}

/** A key of the file names its height: `A3/123456` stands at height 3. */
function checkExampleHeight(key: string): string | null {
  return expectEqual(key, keyHeight(utf8(key)), Number(key[1]))
}

/** Puts the keys in backwards: the tree must give them in the order of the file. */
function checkOrder(keys: readonly string[]): (key: string) => string | null {
  const tree = Tree.empty()
  for (const key of keys.toReversed()) tree.put(key, EMPTY_TREE_CID)
  const found = [...treeEntries(tree)].map((entry) => entry.key)
  return (key) => expectEqual(`place of ${key}`, found.indexOf(key), keys.indexOf(key))
}

/** The root after each key, against that of @atcute/mst. */
async function checkRoots(keys: readonly string[]): Promise<SuiteResult> {
  const wrangler = new NodeWrangler(new NodeStore(new MemoryBlockStore()))
  const value = { $link: cidToString(EMPTY_TREE_CID) }
  const tree = Tree.empty()
  let root: string | null = null
  const cases: { readonly key: string; readonly found: string; readonly expected: string }[] = []
  for (const key of keys) {
    root = await wrangler.putRecord(root, key, value)
    tree.put(key, EMPTY_TREE_CID)
    cases.push({ key, found: cidToString(tree.rootCid()), expected: root })
  }
  return runCases('interop mst: example_keys.txt, roots of @atcute/mst', cases, (entry) =>
    expectEqual(`root after ${entry.key}`, entry.found, entry.expected),
  )
}

function sorted(cids: Iterable<string>): string {
  return [...cids].sort().join(' ')
}

function checkProof(fixture: ProofFixture): string | null {
  const value = must(cidFromString(fixture.leafValue), 'value')
  const blocks = new Map<string, Uint8Array>()
  const keep = (cid: Uint8Array, block: Uint8Array): void => {
    blocks.set(cidToString(cid), block)
  }
  const tree = Tree.empty()
  for (const key of fixture.keys) tree.put(key, value)
  const before = cidToString(tree.write(keep))
  for (const key of fixture.adds) tree.put(key, value)
  for (const key of fixture.dels) tree.delete(key)
  const root = tree.write(keep)
  const after = new Tree({ block: (cid) => blocks.get(cidToString(cid)) ?? null }, root)
  const proof = new Set<string>()
  for (const key of [...fixture.adds, ...fixture.dels]) {
    for (const node of coveringProof(after, key)) proof.add(cidToString(must(node.cid, 'CID')))
  }
  const inProof = (cid: Uint8Array): Uint8Array | null =>
    proof.has(cidToString(cid)) ? (blocks.get(cidToString(cid)) ?? null) : null
  const partial = new Tree({ block: inProof }, root)
  const fault = invertChanges(partial, [
    ...fixture.adds.map((path) => ({ path, before: null, after: value })),
    ...fixture.dels.map((path) => ({ path, before: value, after: null })),
  ])
  if (fault !== null) return `${fixture.comment}: ${fault.reason}`
  return (
    expectEqual(`${fixture.comment}, root before`, before, fixture.rootBeforeCommit) ??
    expectEqual(`${fixture.comment}, root after`, cidToString(root), fixture.rootAfterCommit) ??
    expectEqual(`${fixture.comment}, proof`, sorted(proof), sorted(fixture.blocksInProof)) ??
    expectEqual(`${fixture.comment}, undone`, cidToString(partial.rootCid()), before)
  )
}
