import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CidLinkWrapper } from '@atcute/cid'
import * as fc from 'fast-check'

import { nodeBlock, type NodeEntry, pathOfHeight } from '../../test/support/hostile-commit.ts'
import { buildTreeOf, referenceHeight } from '../../test/support/reference-tree.ts'
import { CODEC_RAW, cidFromString, cidOf, cidToString } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { bytesEqual, concatBytes, utf8 } from '../lib/bytes.ts'
import { MST_NODE_ENTRIES_MAX, PATH_BYTES_MAX } from '../lib/limits.ts'
import { isRepoPathBytes } from '../syntax/repo-path.ts'
import { TreeError } from './tree-error.ts'
import {
  decodeNode,
  EMPTY_TREE_BLOCK,
  EMPTY_TREE_CID,
  encodeNode,
  keyHeight,
  type Subtree,
  type TreeNode,
} from './tree-node.ts'

const V = EMPTY_TREE_CID
const link = new CidLinkWrapper(V)
const P0 = pathOfHeight(0)

/** The node, or the reason why there is none. Anything else that is thrown is a defect. */
function decode(bytes: Uint8Array): TreeNode | string {
  try {
    return decodeNode(bytes, V, isRepoPathBytes)
  } catch (error) {
    if (error instanceof TreeError) return error.reason
    throw error
  }
}

const reasonOf = (bytes: Uint8Array): string => {
  const node = decode(bytes)
  return typeof node === 'string' ? node : 'accepted'
}

const reasonOfEntries = (entries: readonly NodeEntry[]): string =>
  reasonOf(nodeBlock(entries).block)

const linkOf = (subtree: Subtree): Uint8Array | null =>
  subtree === null || subtree instanceof Uint8Array ? subtree : subtree.cid

test('the height of a key is that of the definition', () => {
  for (const [key, height] of [
    ['', 0],
    ['blue', 1],
    ['88bfafc7', 2],
    ['884976f5', 6],
  ] as const) {
    assert.equal(keyHeight(utf8(key)), height)
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (key) => {
      assert.equal(keyHeight(utf8(key)), referenceHeight(key))
    }),
    { numRuns: 2_000 },
  )
})

test('the empty tree', () => {
  assert.equal(cidToString(EMPTY_TREE_CID), buildTreeOf(new Map()).root)
  assert.equal(cidToString(cidOf(0x71, EMPTY_TREE_BLOCK)), cidToString(EMPTY_TREE_CID))
  const node = decodeNode(EMPTY_TREE_BLOCK, EMPTY_TREE_CID, isRepoPathBytes)
  assert.deepEqual(node.subtrees, [null])
  assert.equal(node.height, -1)
})

/** Paths with long shared beginnings, in several collections. */
const path = fc
  .tuple(
    fc.constantFrom('org.example.note', 'org.example.noted', 'app.example.a'),
    fc.stringMatching(/^[ab~_:-][abc]{0,4}$/),
  )
  .map(([collection, rkey]) => `${collection}/${rkey}`)

test('nodes of reference trees are read, and written the same', () => {
  fc.assert(
    fc.property(fc.uniqueArray(path, { maxLength: 60 }), (paths) => {
      const { nodes } = buildTreeOf(new Map(paths.map((key) => [key, link.$link])))
      const seen: string[] = []
      for (const [cid, bytes] of nodes) {
        const node = decodeNode(bytes, must(cidFromString(cid), 'CID'), isRepoPathBytes)
        assert.deepEqual(encodeNode(node, linkOf), bytes)
        assert.deepEqual(node.keys, node.keys.toSorted())
        for (const key of node.keys) assert.equal(referenceHeight(key), node.height)
        assert.equal(node.subtrees.length, node.keys.length + 1)
        seen.push(...node.keys)
      }
      assert.deepEqual(seen.toSorted(), paths.toSorted())
    }),
    { numRuns: 300 },
  )
})

test('prefixes: longer than the key before, too short, and of the first key', () => {
  assert.equal(reasonOfEntries([{ k: P0, v: V }]), 'accepted')
  assert.equal(reasonOfEntries([{ k: P0.slice(3), p: 3, v: V }]), 'mst-prefix')
  assert.equal(reasonOfEntries([{ k: P0, p: 1, v: V }]), 'mst-prefix')
  const next = pathOfHeight(0, `${P0}~`)
  const suffix = next.slice(P0.length)
  const after = (p: number, k: string): string =>
    reasonOfEntries([
      { k: P0, v: V },
      { k, p, v: V },
    ])
  assert.equal(after(P0.length, suffix), 'accepted')
  assert.equal(after(P0.length + 1, suffix), 'mst-prefix')
  assert.equal(after(65_535, suffix), 'mst-prefix')
  assert.equal(after(P0.length - 1, `${P0.slice(-1)}${suffix}`), 'mst-prefix')
  assert.equal(after(0, next), 'mst-prefix')
})

test('keys out of order, twice, and the beginning of the one before', () => {
  const after = (p: number, k: string): string =>
    reasonOfEntries([
      { k: P0, v: V },
      { k, p, v: V },
    ])
  assert.equal(after(P0.length, ''), 'mst-key-order')
  assert.equal(after(P0.length - 1, ''), 'mst-key-order')
  assert.equal(after(0, ''), 'mst-key-order')
  assert.equal(after(P0.length - 1, '!'), 'mst-key-order')
  assert.equal(after(0, 'app.example.note/a'), 'mst-key-order')
})

const anyKey = (): boolean => true

test('keys that are no paths, and keys of 2,000 bytes', () => {
  for (const key of [
    '',
    'a',
    'org.example.note',
    'org.example.note/',
    'org.example.note/..',
    'org.example.note/a/b',
    'org.example.note/é',
    'note/a',
    '/org.example.note/a',
  ]) {
    assert.equal(reasonOfEntries([{ k: key, v: V }]), 'mst-key-invalid', key)
  }
  const long = `org.example.note/${'a'.repeat(2_000)}`
  assert.equal(reasonOfEntries([{ k: long, v: V }]), 'mst-key-invalid')
  const fits = 'org.example.note/'.padEnd(PATH_BYTES_MAX, 'a')
  assert.equal(decodeNode(nodeBlock([{ k: fits, v: V }]).block, V, anyKey).keys[0], fits)
  assert.throws(() => decodeNode(nodeBlock([{ k: `${fits}a`, v: V }]).block, V, anyKey), TreeError)
  // Each suffix is short, the keys are not.
  const steps: NodeEntry[] = [{ k: 'a'.repeat(1_000), v: V }]
  for (let length = 1_000; length < 2_000; length += 100) {
    steps.push({ k: 'a'.repeat(100), p: length, v: V })
  }
  assert.throws(() => decodeNode(nodeBlock(steps).block, V, anyKey), TreeError)
})

test('keys of one node have one height', () => {
  const low = pathOfHeight(0, 'org.example.note/a')
  const high = pathOfHeight(1, 'org.example.note/b')
  const p = 'org.example.note/'.length
  const found = reasonOfEntries([
    { k: low, v: V },
    { k: high.slice(p), p, v: V },
  ])
  assert.equal(found, 'mst-height')
})

test('as many entries as are allowed, one more, and 100,000', () => {
  const entriesOf = (count: number): NodeEntry[] => {
    const entries: NodeEntry[] = []
    let before = ''
    for (let i = 0; entries.length < count; i++) {
      const key = `org.example.note/${String(i).padStart(6, '0')}`
      if (referenceHeight(key) !== 0) continue
      let p = 0
      while (p < before.length && before[p] === key[p]) p++
      entries.push({ k: key.slice(p), p, v: V })
      before = key
    }
    return entries
  }
  assert.equal(reasonOfEntries(entriesOf(MST_NODE_ENTRIES_MAX)), 'accepted')
  assert.equal(reasonOfEntries(entriesOf(MST_NODE_ENTRIES_MAX + 1)), 'mst-too-large')
  const one = { k: 'a', v: V }
  const start = performance.now()
  const many = nodeBlock(Array.from({ length: 100_000 }, () => one)).block
  const built = performance.now()
  assert.equal(reasonOf(many), 'mst-too-large')
  assert.ok(performance.now() - built < 50, `built in ${built - start} ms`)
  for (const head of [
    [0x9a, 0, 1, 0x86, 0xa0],
    [0x9a, 0xff, 0xff, 0xff, 0xff],
  ]) {
    assert.equal(reasonOf(Uint8Array.of(0xa2, 0x61, 0x65, ...head)), 'mst-too-large')
  }
})

test('other maps than a node', () => {
  const entry = { k: utf8(P0), p: 0, t: null, v: link }
  const raw = new CidLinkWrapper(cidOf(CODEC_RAW, new Uint8Array(0)))
  assert.equal(reasonOf(encodeDrisl({ e: [entry], l: null })), 'accepted')
  // Records are linked with either codec, nodes with one.
  assert.equal(reasonOf(encodeDrisl({ e: [{ ...entry, v: raw }], l: null })), 'accepted')
  const malformed: unknown[] = [
    { e: [entry], l: null, x: 1 },
    { e: [entry] },
    { l: null },
    { e: [entry], m: null },
    { e: null, l: null },
    { e: { a: 1 }, l: null },
    { e: [entry], l: 'text' },
    { e: [entry], l: 0 },
    { e: [entry], l: raw },
    { e: [{ ...entry, t: raw }], l: null },
    { e: [{ ...entry, t: 1 }], l: null },
    { e: [{ ...entry, v: null }], l: null },
    { e: [{ ...entry, p: -1 }], l: null },
    { e: [{ ...entry, p: 65_536 }], l: null },
    { e: [{ ...entry, p: '0' }], l: null },
    { e: [{ ...entry, p: null }], l: null },
    { e: [{ ...entry, k: P0 }], l: null },
    { e: [{ ...entry, x: 1 }], l: null },
    { e: [{ k: utf8(P0), p: 0, v: link }], l: null },
    { e: [[utf8(P0), 0, null, link]], l: null },
    { e: [null], l: null },
    [[], null],
    {},
    null,
    'node',
  ]
  for (const value of malformed) {
    assert.equal(reasonOf(encodeDrisl(value)), 'mst-malformed', JSON.stringify(value))
  }
  assert.equal(reasonOf(new Uint8Array(0)), 'mst-malformed')
  const good = encodeDrisl({ e: [entry], l: null })
  assert.equal(reasonOf(concatBytes([good, Uint8Array.of(0)])), 'mst-malformed')
  assert.equal(reasonOf(concatBytes([good, good])), 'mst-malformed')
})

test('lengths in longer forms than needed', () => {
  const good = encodeDrisl({ e: [], l: null })
  assert.equal(reasonOf(good), 'accepted')
  const tail = [0x61, 0x6c, 0xf6]
  for (const count of [
    [0x98, 0],
    [0x99, 0, 0],
    [0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
    [0x9f, 0xff],
  ]) {
    assert.equal(reasonOf(Uint8Array.of(0xa2, 0x61, 0x65, ...count, ...tail)), 'mst-malformed')
  }
  assert.equal(reasonOf(Uint8Array.of(0xb8, 2, ...good.subarray(1))), 'mst-malformed')
})

/** A node with every feature: two collections, subtrees on both sides, prefixes over 23. */
function sample(): Uint8Array {
  const keys = [
    pathOfHeight(1, 'app.example.note/a'),
    pathOfHeight(1, 'org.example.notes.long.name/a'),
  ]
  const [first, second] = keys
  assert.ok(first && second)
  const third = pathOfHeight(1, second)
  const child = nodeBlock([])
  return nodeBlock(
    [
      { k: first, v: V, t: child },
      { k: second, v: V },
      { k: third.slice(second.length), p: second.length, v: V, t: child },
    ],
    child,
  ).block
}

test('cut at every offset: malformed', () => {
  const bytes = sample()
  assert.equal(reasonOf(bytes), 'accepted')
  for (let end = 0; end < bytes.length; end++) {
    assert.equal(reasonOf(bytes.subarray(0, end)), 'mst-malformed', `cut at ${end}`)
  }
})

test('any one bit flipped: refused with a reason, or read as what is written the same', () => {
  const bytes = sample()
  const reasons = new Map<string, number>()
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const at = bit >> 3
    const flipped = bytes.with(at, (bytes[at] ?? 0) ^ (1 << (bit & 7)))
    const node = decode(flipped)
    const outcome = typeof node === 'string' ? node : 'accepted'
    reasons.set(outcome, (reasons.get(outcome) ?? 0) + 1)
    if (typeof node !== 'string') assert.ok(bytesEqual(encodeNode(node, linkOf), flipped))
  }
  // Digests may be any bytes: six links of 256 bits, and some letters of keys that keep the height.
  assert.ok((reasons.get('accepted') ?? 0) >= 6 * 256)
  for (const reason of ['mst-malformed', 'mst-key-invalid', 'mst-height', 'mst-prefix']) {
    assert.ok((reasons.get(reason) ?? 0) > 0, reason)
  }
})

test('random damage never throws anything but a reason', () => {
  const bytes = sample()
  const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 4 })
  fc.assert(
    fc.property(damage, fc.uint8Array({ maxLength: 40 }), (changes, noise) => {
      const damaged = bytes.slice()
      for (const [at, byte] of changes) damaged[at] = byte
      const node = decode(damaged)
      if (typeof node !== 'string') assert.deepEqual(encodeNode(node, linkOf), damaged)
      decode(noise)
      decode(concatBytes([Uint8Array.of(0xa2, 0x61, 0x65), noise]))
    }),
    { numRuns: 3_000 },
  )
})
