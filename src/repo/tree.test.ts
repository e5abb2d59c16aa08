/** The tree held against a Map, and its root against the definition (../../test/support). */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MemoryBlockStore, NodeStore as OtherStore, NodeWrangler } from '@atcute/mst'
import * as fc from 'fast-check'

import { pathOfHeight } from '../../test/support/hostile-commit.ts'
import { buildTreeOf } from '../../test/support/reference-tree.ts'
import { anyKey, anyRecords, NodeStore, treeOf, valueOf } from '../../test/support/tree-parts.ts'
import { cidFromString, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { isRepoPathBytes } from '../syntax/repo-path.ts'
import { TreeError } from './tree-error.ts'
import { EMPTY_TREE_CID } from './tree-node.ts'
import { treeEntries } from './tree-walk.ts'
import { lowerBound, Tree } from './tree.ts'

const textOf = (cid: Uint8Array | null): string | null => (cid === null ? null : cidToString(cid))
const rootOf = (tree: Tree): string => cidToString(tree.rootCid())

/** The root is that of the definition, and the records are those of the model. */
function agrees(tree: Tree, model: ReadonlyMap<string, string>): void {
  assert.equal(rootOf(tree), buildTreeOf(model).root)
  const entries = [...treeEntries(tree)].map(({ key, value }) => [key, cidToString(value)] as const)
  const sorted = [...model].toSorted(([a], [b]) => (a < b ? -1 : 1))
  assert.deepEqual(entries, sorted)
}

const change = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key: anyKey, value: fc.nat(3) }),
  fc.record({ kind: fc.constant('delete' as const), key: anyKey, value: fc.constant(0) }),
  // Writes the nodes out and goes on with a tree of which nothing is loaded.
  fc.record({ kind: fc.constant('reopen' as const), key: anyKey, value: fc.constant(0) }),
)

test('random puts and deletes, with the tree put away and opened in between', () => {
  fc.assert(
    fc.property(anyRecords, fc.array(change, { maxLength: 60 }), (records, changes) => {
      const store = new NodeStore()
      const model = new Map(records)
      let tree = store.reopen(treeOf(records))
      for (const { kind, key, value } of changes) {
        const stands = model.get(key) ?? null
        assert.equal(textOf(tree.get(key)), stands)
        if (kind === 'reopen') tree = store.reopen(tree)
        else if (kind === 'delete') {
          assert.equal(textOf(tree.delete(key)), stands)
          model.delete(key)
        } else {
          assert.equal(textOf(tree.put(key, valueOf(value))), stands)
          model.set(key, cidToString(valueOf(value)))
        }
      }
      agrees(tree, model)
    }),
    { numRuns: 300 },
  )
})

test('the root after each single change', () => {
  fc.assert(
    fc.property(anyRecords, fc.array(change, { maxLength: 12 }), (records, changes) => {
      const model = new Map(records)
      const tree = treeOf(records)
      for (const { kind, key, value } of changes) {
        if (kind === 'put') {
          tree.put(key, valueOf(value))
          model.set(key, cidToString(valueOf(value)))
        } else {
          tree.delete(key)
          model.delete(key)
        }
        assert.equal(rootOf(tree), buildTreeOf(model).root)
      }
    }),
    { numRuns: 100 },
  )
})

test('the order of puts and of deletes does not matter', () => {
  const orders = anyRecords.chain((records) => {
    const keys = [...records.keys()]
    const shuffled = fc.shuffledSubarray(keys, { minLength: keys.length })
    return fc.tuple(fc.constant(records), shuffled, fc.shuffledSubarray(keys))
  })
  fc.assert(
    fc.property(orders, ([records, puts, deletes]) => {
      const tree = treeOf(new Map(puts.map((key) => [key, must(records.get(key), 'value')])))
      assert.equal(rootOf(tree), buildTreeOf(records).root)
      const model = new Map(records)
      for (const key of deletes) {
        tree.delete(key)
        model.delete(key)
      }
      agrees(tree, model)
    }),
    { numRuns: 200 },
  )
})

test('roots are those of @atcute/mst too', async () => {
  const wrangler = new NodeWrangler(new OtherStore(new MemoryBlockStore()))
  const tree = Tree.empty()
  let root: string | null = null
  const keys = fc.sample(anyKey, { numRuns: 200, seed: 1 })
  for (const key of keys) {
    root = await wrangler.putRecord(root, key, { $link: cidToString(valueOf(1)) })
    tree.put(key, valueOf(1))
    assert.equal(rootOf(tree), root)
  }
  for (const key of keys.slice(0, 150)) {
    root = await wrangler.deleteRecord(root, key)
    tree.delete(key)
    assert.equal(rootOf(tree), root)
  }
})

test('all records gone: the empty tree', () => {
  const tree = Tree.empty()
  assert.equal(rootOf(tree), cidToString(EMPTY_TREE_CID))
  for (const height of [0, 3, 1]) tree.put(pathOfHeight(height), valueOf(height))
  for (const height of [3, 0, 1]) assert.ok(tree.delete(pathOfHeight(height)))
  assert.equal(rootOf(tree), cidToString(EMPTY_TREE_CID))
  assert.equal(tree.root().height, 0)
  tree.put('org.example.a/1', valueOf(1))
  agrees(tree, new Map([['org.example.a/1', cidToString(valueOf(1))]]))
})

test('a put of what stands, and a delete of what does not, keep the root', () => {
  const store = new NodeStore()
  const model = new Map(
    Array.from({ length: 50 }, (_, i) => [`org.example.a/${i}`, cidToString(valueOf(i))]),
  )
  const tree = store.reopen(treeOf(model))
  const before = rootOf(tree)
  tree.put('org.example.a/7', valueOf(7))
  assert.equal(tree.delete('org.example.a/none'), null)
  assert.equal(rootOf(tree), before)
})

test('write gives children before parents, and only what has changed', () => {
  const store = new NodeStore()
  const records = new Map(
    Array.from({ length: 300 }, (_, i) => [`org.example.a/${i}`, cidToString(valueOf(i))]),
  )
  const tree = store.reopen(treeOf(records))
  const { nodes } = buildTreeOf(records)
  assert.deepEqual([...store.blocks.keys()].toSorted(), [...nodes.keys()].toSorted())
  tree.put('org.example.a/new', valueOf(1))
  const written: string[] = []
  const root = tree.write((cid, block) => {
    written.push(cidToString(cid))
    store.blocks.set(cidToString(cid), block)
  })
  records.set('org.example.a/new', cidToString(valueOf(1)))
  const after = buildTreeOf(records)
  const created = [...after.nodes.keys()].filter((cid) => !nodes.has(cid))
  assert.deepEqual(written.toSorted(), created.toSorted())
  assert.equal(written.at(-1), cidToString(root))
  assert.deepEqual(
    tree.write(() => assert.fail('nothing has changed')),
    root,
  )
})

test('a read loads the nodes on the way and no other', () => {
  const store = new NodeStore()
  const records = new Map(
    Array.from({ length: 1_000 }, (_, i) => [`org.example.a/${i}`, cidToString(valueOf(i))]),
  )
  const tree = store.reopen(treeOf(records))
  assert.ok(tree.get('org.example.a/500'))
  assert.ok(store.asked.size <= tree.root().height + 1)
})

test('a block that is not there is named', () => {
  const store = new NodeStore()
  const keys = Array.from({ length: 100 }, (_, i) => `org.example.a/${i}`)
  const full = store.reopen(treeOf(new Map(keys.map((key) => [key, cidToString(valueOf(1))]))))
  const child = must(
    full.root().subtrees.find((subtree) => subtree instanceof Uint8Array),
    'child',
  )
  const lost = cidToString(child)
  store.blocks.delete(lost)
  const partial = store.open(full.rootCid())
  let missing = 0
  for (const key of keys) {
    try {
      partial.get(key)
    } catch (error) {
      assert.ok(error instanceof TreeError)
      assert.equal(error.reason, 'mst-block-missing')
      assert.equal(error.code, 'TREE_INCOMPLETE')
      assert.equal(cidToString(must(error.missing, 'missing')), lost)
      missing++
    }
  }
  assert.ok(missing > 0 && missing < keys.length)
})

test('the last high key gone, the root becomes a node that is not at hand', () => {
  const high = pathOfHeight(2, 'org.example.a/a')
  const low = pathOfHeight(1, 'org.example.z/z')
  const records = new Map([
    [high, cidToString(valueOf(1))],
    [low, cidToString(valueOf(2))],
  ])
  const store = new NodeStore()
  const root = store.reopen(treeOf(records)).rootCid()
  const below = buildTreeOf(new Map([[low, cidToString(valueOf(2))]])).root
  assert.ok(store.blocks.delete(below))
  const tree = store.open(root)
  assert.equal(textOf(tree.delete(high)), cidToString(valueOf(1)))
  assert.equal(rootOf(tree), below)
  assert.throws(() => tree.get(low), TreeError)
})

const isRefusal = (error: unknown): boolean =>
  error instanceof TreeError && error.reason === 'mst-key-invalid'

test('keys that a tree may not hold', () => {
  const tree = Tree.empty()
  assert.throws(() => tree.put('', valueOf(1)), isRefusal)
  assert.throws(() => tree.put('é', valueOf(1)), isRefusal)
  const paths = Tree.empty({ keyRule: isRepoPathBytes })
  assert.throws(() => paths.put('no path', valueOf(1)), isRefusal)
  assert.equal(paths.put('org.example.a/1', valueOf(1)), null)
  assert.equal(paths.delete('no path'), null)
})

test('lowerBound is the number of keys before', () => {
  fc.assert(
    fc.property(anyRecords, anyKey, (records, key) => {
      const node = treeOf(records).root()
      assert.equal(lowerBound(node, key), node.keys.filter((other) => other < key).length)
    }),
  )
})

test('a tree can be opened at the root of another source', () => {
  const records = new Map([['org.example.a/1', cidToString(valueOf(1))]])
  const { root, nodes } = buildTreeOf(records)
  const block = (cid: Uint8Array): Uint8Array | null => nodes.get(cidToString(cid)) ?? null
  agrees(new Tree({ block }, must(cidFromString(root), 'root')), records)
})
