/**
 * Pairs of trees with what differs between them and which nodes prove it (mst-test-suite,
 * exhaustive).
 *
 * The inductive proof is the set of nodes loaded when the operations are undone one by one in
 * reverse path order. Production undoes them in an order that needs fewer (see `invertChanges`), so
 * that both are run: the plain order must load exactly that set, production must do with no more
 * than it.
 */
import { readFile } from 'node:fs/promises'

import { parseCar, type Car } from '../../src/data/car.ts'
import { cidEquals, cidToString } from '../../src/data/cid.ts'
import { must } from '../../src/lib/assert.ts'
import { invertChanges } from '../../src/repo/operations.ts'
import { diffTrees, type TreeChange } from '../../src/repo/tree-diff.ts'
import type { TreeNode } from '../../src/repo/tree-node.ts'
import { searchPath } from '../../src/repo/tree-walk.ts'
import { Tree } from '../../src/repo/tree.ts'
import { runCases, type SuiteResult } from './suite-result.ts'
import { readBytes } from './vector-files.ts'

interface Fixture {
  readonly name: string
  readonly inputs: { readonly mst_a: string; readonly mst_b: string }
  readonly results: {
    readonly created_nodes: readonly string[]
    readonly deleted_nodes: readonly string[]
    readonly proof_nodes: readonly string[]
    readonly inductive_proof_nodes: readonly string[]
    readonly record_ops: readonly {
      readonly rpath: string
      readonly old_value: string | null
      readonly new_value: string | null
    }[]
  }
}

/** One tree file: its blocks and root, and a tree over it that is only read. */
interface TreeFile {
  readonly car: Car
  readonly root: Uint8Array
  readonly tree: Tree
}

/** A fixture with what production says of it. */
interface Pair {
  readonly fixture: Fixture
  readonly a: TreeFile
  readonly b: TreeFile
  readonly changes: readonly TreeChange[]
  readonly created: readonly TreeNode[]
  readonly deleted: readonly TreeNode[]
}

/** Most blocks of one file: the trees hold a handful of records. */
const BLOCKS_MAX = 1_000

/** Runs all pairs through each of the six comparisons. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/mst-diff`
  const text = (await readBytes(`${directory}/mst-diff.ndjson.gz`)).toString('utf8')
  const fixtures = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Fixture)
  const files = new Map<string, TreeFile>()
  for (const { inputs } of fixtures) {
    for (const name of [inputs.mst_a, inputs.mst_b]) {
      if (!files.has(name)) files.set(name, await readTree(`${directory}/cars/${name}`))
    }
  }
  const pairs = fixtures.map((fixture) => pairOf(fixture, files))
  return [
    runCases('mst-diff: created nodes', pairs, checkCreated),
    runCases('mst-diff: deleted nodes', pairs, checkDeleted),
    runCases('mst-diff: record operations', pairs, checkOperations),
    runCases('mst-diff: proof nodes', pairs, checkProof),
    runCases('mst-diff: inductive proof nodes', pairs, checkInductive),
    runCases('mst-diff: inversion within the inductive proof', pairs, checkInversion),
  ]
}

async function readTree(path: string): Promise<TreeFile> {
  const car = parseCar(new Uint8Array(await readFile(path)), { blocksMax: BLOCKS_MAX })
  if (!car.ok) throw new Error(`${path}: ${car.detail}`)
  const root = must(car.value.roots[0], 'root')
  const tree = new Tree({ block: (cid) => car.value.blocks.get(cid) }, root)
  return { car: car.value, root, tree }
}

function pairOf(fixture: Fixture, files: ReadonlyMap<string, TreeFile>): Pair {
  const a = must(files.get(fixture.inputs.mst_a), 'tree file')
  const b = must(files.get(fixture.inputs.mst_b), 'tree file')
  return { fixture, a, b, ...diffTrees(a.tree, b.tree) }
}

const cidsOf = (nodes: Iterable<TreeNode>): string[] =>
  [...nodes].map((node) => cidToString(must(node.cid, 'CID')))

/** Null when both hold the same CIDs, else what `found` lacks and has too much. */
function compareSets(
  pair: Pair,
  found: Iterable<string>,
  expected: readonly string[],
): string | null {
  const have = new Set(found)
  const lacking = expected.filter((cid) => !have.has(cid))
  const extra = [...have].filter((cid) => !expected.includes(cid))
  if (lacking.length === 0 && extra.length === 0) return null
  return `${pair.fixture.name}: lacks ${lacking.join(',')} has ${extra.join(',')}`
}

function checkCreated(pair: Pair): string | null {
  return compareSets(pair, cidsOf(pair.created), pair.fixture.results.created_nodes)
}

function checkDeleted(pair: Pair): string | null {
  return compareSets(pair, cidsOf(pair.deleted), pair.fixture.results.deleted_nodes)
}

function textOf(cid: Uint8Array | null): string | null {
  return cid === null ? null : cidToString(cid)
}

function checkOperations({ fixture, changes }: Pair): string | null {
  const found = changes.map(({ key, before, after }) => [key, textOf(before), textOf(after)])
  const expected = fixture.results.record_ops
    .map(({ rpath, old_value, new_value }) => [rpath, old_value, new_value])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
  const same = JSON.stringify(found) === JSON.stringify(expected)
  return same ? null : `${fixture.name}: ${JSON.stringify(found)}`
}

function checkProof(pair: Pair): string | null {
  const nodes = pair.changes.flatMap(({ key }) => searchPath(pair.b.tree, key))
  return compareSets(pair, cidsOf(nodes), pair.fixture.results.proof_nodes)
}

/** The new tree, over those of its blocks that `allowed` names; `loaded` collects what is used. */
function partialTree({ b }: Pair, allowed: ReadonlySet<string> | null, loaded: Set<string>): Tree {
  const block = (cid: Uint8Array): Uint8Array | null => {
    const text = cidToString(cid)
    if (allowed !== null && !allowed.has(text)) return null
    loaded.add(text)
    return b.car.blocks.get(cid)
  }
  return new Tree({ block }, b.root)
}

function checkInductive(pair: Pair): string | null {
  const loaded = new Set<string>()
  const tree = partialTree(pair, null, loaded)
  for (const { key, before } of pair.changes.toReversed()) {
    if (before === null) tree.delete(key)
    else tree.put(key, before)
  }
  if (!cidEquals(tree.rootCid(), pair.a.root)) return `${pair.fixture.name}: another root`
  return compareSets(pair, loaded, pair.fixture.results.inductive_proof_nodes)
}

function checkInversion(pair: Pair): string | null {
  const allowed = new Set(pair.fixture.results.inductive_proof_nodes)
  const tree = partialTree(pair, allowed, new Set())
  const changes = pair.changes.map(({ key, before, after }) => ({ path: key, before, after }))
  const fault = invertChanges(tree, changes)
  if (fault !== null) return `${pair.fixture.name}: ${fault.reason} ${fault.detail}`
  return cidEquals(tree.rootCid(), pair.a.root) ? null : `${pair.fixture.name}: another root`
}
