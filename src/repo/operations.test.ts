import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { anyKey, anyRecords, NodeStore, treeOf, valueOf } from '../../test/support/tree-parts.ts'
import { cidEquals, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { invertChanges, type NetChange, netChanges, type Operation } from './operations.ts'
import { coveringProof } from './tree-walk.ts'

const A = valueOf(1)
const B = valueOf(2)
const C = valueOf(3)
const P = 'org.example.a/1'
const Q = 'org.example.a/2'

const create = (cid: Uint8Array | null, path = P): Operation => ({
  action: 'create',
  path,
  cid,
  prev: undefined,
})
const update = (cid: Uint8Array | null, prev?: Uint8Array, path = P): Operation => ({
  action: 'update',
  path,
  cid,
  prev,
})
const remove = (prev?: Uint8Array, path = P): Operation => ({
  action: 'delete',
  path,
  cid: null,
  prev,
})

function reasonOf(operations: readonly Operation[]): string {
  const net = netChanges(operations)
  return net.ok ? 'ok' : net.reason
}

test('the form of one operation', () => {
  assert.equal(reasonOf([create(A)]), 'ok')
  assert.equal(reasonOf([create(null)]), 'op-malformed')
  assert.equal(reasonOf([{ ...create(A), prev: B }]), 'op-malformed')
  assert.equal(reasonOf([update(A, B)]), 'ok')
  // Whether `prev` may be absent is for the inversion to say.
  assert.equal(reasonOf([update(A)]), 'ok')
  assert.equal(reasonOf([update(null, B)]), 'op-malformed')
  assert.equal(reasonOf([remove(A)]), 'ok')
  assert.equal(reasonOf([remove()]), 'ok')
  assert.equal(reasonOf([{ ...remove(A), cid: B }]), 'op-malformed')
  for (const action of ['', 'Create', 'upsert', 'constructor', '__proto__', 'x'.repeat(10_000)]) {
    const net = netChanges([{ ...create(A), action }])
    assert.ok(!net.ok && net.reason === 'op-malformed' && net.detail.length < 100, action)
  }
})

test('one operation a path: the changes in their order', () => {
  const net = netChanges([create(A, Q), update(B, C, P), remove(A, 'org.example.a/0')])
  assert.deepEqual(net, {
    ok: true,
    value: {
      repeated: 0,
      changes: [
        { path: Q, before: null, after: A },
        { path: P, before: C, after: B },
        { path: 'org.example.a/0', before: A, after: null },
      ],
    },
  })
  assert.deepEqual(netChanges([]), { ok: true, value: { changes: [], repeated: 0 } })
})

/** The one change that operations on one path come to. */
function netOf(...operations: readonly Operation[]): NetChange {
  const net = netChanges(operations)
  assert.ok(net.ok)
  assert.equal(net.value.repeated, operations.length - 1)
  return must(net.value.changes[0], 'change')
}

test('several operations on one path that follow from one another', () => {
  assert.deepEqual(netOf(create(A), remove()), { path: P, before: null, after: null })
  assert.deepEqual(netOf(create(A), remove(A)), { path: P, before: null, after: null })
  assert.deepEqual(netOf(create(A), update(B)), { path: P, before: null, after: B })
  assert.deepEqual(netOf(create(A), update(B, A)), { path: P, before: null, after: B })
  assert.deepEqual(netOf(remove(A), create(B)), { path: P, before: A, after: B })
  assert.deepEqual(netOf(update(B, A), update(C)), { path: P, before: A, after: C })
  assert.deepEqual(netOf(update(B, A), remove(), create(A)), { path: P, before: A, after: A })
  assert.deepEqual(netOf(remove(), create(B)), { path: P, before: undefined, after: B })
})

test('several operations on one path that do not', () => {
  const chains = [
    [create(A), create(B)],
    [create(A), update(B, C)],
    [create(A), remove(B)],
    [remove(A), remove(A)],
    [remove(A), update(B, A)],
    [update(A, B), create(C)],
    [update(A, B), remove(B)],
    [create(A), remove(), update(B)],
    [create(A), remove(), remove()],
  ]
  for (const chain of chains) {
    assert.equal(reasonOf(chain), 'op-path-repeated')
    assert.equal(reasonOf([create(A, Q), ...chain]), 'op-path-repeated')
  }
})

/** A tree before, what a few changes make of it, and these as operations. */
const commits = fc.tuple(
  anyRecords,
  fc.array(fc.tuple(anyKey, fc.option(fc.nat(3))), { maxLength: 8 }),
)

function commitOf(
  before: ReadonlyMap<string, string>,
  edits: readonly (readonly [string, number | null])[],
) {
  const after = treeOf(before)
  const old = treeOf(before)
  for (const [key, number] of edits) {
    if (number === null) after.delete(key)
    else after.put(key, valueOf(number))
  }
  const changes = [...new Set(edits.map(([key]) => key))]
    .map((path) => ({ path, before: old.get(path), after: after.get(path) }))
    .filter((change) => {
      const { before: was, after: is } = change
      return was === null || is === null ? was !== is : !cidEquals(was, is)
    })
  return { after, changes, root: cidToString(old.rootCid()) }
}

test('changes are undone within the covering proofs, whatever their order', () => {
  const shuffled = commits.chain(([before, edits]) => {
    const commit = commitOf(before, edits)
    const { length } = commit.changes
    const orders = fc.shuffledSubarray(commit.changes, { minLength: length })
    return fc.tuple(fc.constant(commit), orders)
  })
  fc.assert(
    fc.property(shuffled, ([{ after, root }, changes]) => {
      const store = new NodeStore()
      const full = store.reopen(after)
      const proof = new Set<string>()
      for (const { path } of changes) {
        for (const { cid } of coveringProof(full, path)) proof.add(cidToString(must(cid, 'CID')))
      }
      for (const cid of store.blocks.keys()) if (!proof.has(cid)) store.blocks.delete(cid)
      const partial = store.open(full.rootCid())
      assert.equal(invertChanges(partial, changes), null)
      assert.equal(cidToString(partial.rootCid()), root)
    }),
    { numRuns: 500 },
  )
})

test('a change that says otherwise than the tree is found', () => {
  const records = new Map([
    [P, cidToString(A)],
    ['org.example.a/7', cidToString(C)],
  ])
  const faultOf = (change: NetChange): string => {
    const fault = invertChanges(treeOf(records), [change])
    return fault === null ? 'ok' : fault.reason
  }
  assert.equal(faultOf({ path: P, before: null, after: A }), 'ok')
  assert.equal(faultOf({ path: P, before: B, after: A }), 'ok')
  assert.equal(faultOf({ path: Q, before: B, after: null }), 'ok')
  // Nothing before, nothing after: the pair of a create and a delete.
  assert.equal(faultOf({ path: Q, before: null, after: null }), 'ok')
  assert.equal(faultOf({ path: P, before: null, after: B }), 'op-not-in-tree')
  assert.equal(faultOf({ path: P, before: C, after: B }), 'op-not-in-tree')
  assert.equal(faultOf({ path: P, before: B, after: null }), 'op-not-in-tree')
  assert.equal(faultOf({ path: P, before: null, after: null }), 'op-not-in-tree')
  assert.equal(faultOf({ path: Q, before: null, after: A }), 'op-not-in-tree')
  assert.equal(faultOf({ path: Q, before: B, after: A }), 'op-not-in-tree')
  assert.equal(faultOf({ path: P, before: undefined, after: A }), 'op-prev-missing')
})

test('a change left out gives another tree than the one before', () => {
  fc.assert(
    fc.property(commits, fc.nat(), ([before, edits], omitted) => {
      const { after, changes, root } = commitOf(before, edits)
      fc.pre(changes.length > 0)
      const tree = new NodeStore().reopen(after)
      const kept = changes.toSpliced(omitted % changes.length, 1)
      assert.equal(invertChanges(tree, kept), null)
      assert.notEqual(cidToString(tree.rootCid()), root)
    }),
    { numRuns: 300 },
  )
})
