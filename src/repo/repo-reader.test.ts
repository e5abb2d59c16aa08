import assert from 'node:assert/strict'
import { before, test } from 'node:test'

import { PrivateKey } from '../crypto/private-key.ts'
import { loadVerifier, type SignatureVerifier } from '../crypto/verifier.ts'
import { type CarBlock, encodeCar, encodeCarHeader } from '../data/car-stream.ts'
import { CODEC_DAG_CBOR, CODEC_RAW, cidEquals, cidOf, cidToString } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { fail, ok } from '../lib/result.ts'
import { seededRandom } from '../lib/random.ts'
import { nodeBlock, type NodeEntry, pathOfHeight } from '../../test/support/hostile-commit.ts'
import { valueOf } from '../../test/support/tree-parts.ts'
import { signCommit, unsignedBytes } from './commit.ts'
import { repoCarBlocks } from './repo-car.ts'
import { readRepo, type RepoReadOptions, RepoReadError } from './repo-reader.ts'
import { Tree } from './tree.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const key = PrivateKey.import('k256', new Uint8Array(32).fill(7))
let verifier: SignatureVerifier
before(async () => {
  verifier = await loadVerifier()
})

/** What must come out, and the blocks in streamable order: commit, nodes and records. */
interface Sample {
  readonly records: ReadonlyMap<string, string>
  readonly blocks: readonly CarBlock[]
  readonly root: Uint8Array
}

/**
 * @param texts How many different records there are; the rest repeat them.
 * @param padding By how much each is longer than it need be.
 */
function makeSample(count: number, texts: number = count, padding = 0): Sample {
  const tail = ' '.repeat(padding)
  const random = seededRandom(count)
  const held = new Map<string, Uint8Array>()
  const records = new Map<string, string>()
  const tree = Tree.empty()
  for (let i = 0; i < count; i++) {
    const path = `org.example.${'abc'[i % 3]}/${Math.floor(random.next() * 1e12).toString(36)}`
    const block = encodeDrisl({ $type: 'org.example.thing', text: `text ${i % texts}${tail}` })
    const cid = cidOf(CODEC_DAG_CBOR, block)
    held.set(cidToString(cid), block)
    tree.put(path, cid)
    records.set(path, cidToString(cid))
  }
  const data = tree.write((cid, block) => held.set(cidToString(cid), block))
  const source = (cid: Uint8Array): Uint8Array | null => held.get(cidToString(cid)) ?? null
  const commit = signCommit({ did: DID, rev: '3l2222222222a', data }, key)
  const blocks = [...repoCarBlocks(commit, new Tree({ block: source }, data), source)]
  const sorted = new Map([...records].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  return { records: sorted, blocks, root: commit.cid }
}

function options(more: Partial<RepoReadOptions> = {}): RepoReadOptions {
  return {
    did: DID,
    judge: async (commit, block) => {
      const verdict = verifier.verify(key.publicKey, unsignedBytes(block), commit.signature)
      return Promise.resolve(verdict === 'ok' ? ok(undefined) : fail(verdict, 'signature'))
    },
    ...more,
  }
}

async function* pieces(car: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < car.length; at += size) {
    yield await Promise.resolve(car.slice(at, at + size))
  }
}

/** Reads all of it: path to CID. */
async function read(
  car: Uint8Array,
  more: Partial<RepoReadOptions> = {},
  size = 1_000,
): Promise<Map<string, string>> {
  const repo = await readRepo(pieces(car, size), options(more))
  const found = new Map<string, string>()
  for await (const { path, cid, bytes } of repo.records) {
    assert.deepEqual(cidOf(CODEC_DAG_CBOR, bytes), cid)
    found.set(path, cidToString(cid))
  }
  return found
}

/** What is wrong, as fault and reason. */
async function faultOf(car: Uint8Array, more: Partial<RepoReadOptions> = {}): Promise<string> {
  try {
    await read(car, more)
  } catch (error) {
    assert(error instanceof RepoReadError, String(error))
    return `${error.fault} ${error.reason}`
  }
  return 'none'
}

function shuffled(blocks: readonly CarBlock[], seed: number): CarBlock[] {
  const random = seededRandom(seed)
  return blocks
    .map((block) => ({ block, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ block }) => block)
}

const car = ({ root }: Sample, blocks: readonly CarBlock[]): Uint8Array => encodeCar([root], blocks)

/** Each block once, where it first stands. */
function withoutRepeats(blocks: readonly CarBlock[]): CarBlock[] {
  return blocks.filter(({ cid }, i) => blocks.findIndex((other) => cidEquals(other.cid, cid)) === i)
}

test('records come in path order, each with its bytes, whatever pieces the CAR comes in', async () => {
  const sample = makeSample(300)
  const bytes = car(sample, sample.blocks)
  for (const size of [1, 7, 100, 4_096, bytes.length]) {
    const found = await read(bytes, {}, size)
    assert.deepEqual([...found], [...sample.records])
  }
})

test('any order, repeats, omitted repeats and strangers among the blocks give the same', async () => {
  const sample = makeSample(200, 20)
  const stranger = utf8('nobody names this')
  const strangers = [{ cid: cidOf(CODEC_RAW, stranger), block: stranger }]
  const once = withoutRepeats(sample.blocks)
  assert(once.length < sample.blocks.length - 100, 'the sample repeats records')
  const orders = [
    once,
    sample.blocks.toReversed(),
    once.toReversed(),
    shuffled(once, 1),
    shuffled(sample.blocks, 2),
    [...sample.blocks, ...sample.blocks],
    [...strangers, ...once],
    [...once, ...strangers],
  ]
  for (const [i, blocks] of orders.entries()) {
    assert.deepEqual([...(await read(car(sample, blocks)))], [...sample.records], `order ${i}`)
  }
})

test('an empty repository is one, and a CAR of nothing is cut', async () => {
  const sample = makeSample(0)
  assert.equal((await read(car(sample, sample.blocks))).size, 0)
  assert.equal(await faultOf(new Uint8Array(0)), 'truncated car-malformed')
  assert.equal(await faultOf(encodeCarHeader([sample.root])), 'truncated car-root-missing')
})

test('a CAR that ends anywhere before its end is truncated', async () => {
  const sample = makeSample(12)
  const bytes = car(sample, sample.blocks)
  for (let length = 0; length < bytes.length; length++) {
    const fault = await faultOf(bytes.subarray(0, length))
    assert.match(fault, /^truncated /, `cut to ${length}: ${fault}`)
  }
  assert.equal(await faultOf(bytes), 'none')
})

test('a block that is left out is noticed at the end, whichever it is and in any order', async () => {
  const sample = makeSample(40)
  for (const [i, { cid }] of sample.blocks.entries()) {
    const rest = sample.blocks.filter((block) => block.cid !== cid)
    for (const blocks of [rest, rest.toReversed()]) {
      assert.match(await faultOf(car(sample, blocks)), /^truncated .*-missing$/, `block ${i}`)
    }
  }
})

test('a bit that is flipped anywhere is noticed', async () => {
  const sample = makeSample(9)
  const bytes = car(sample, sample.blocks)
  for (let at = 0; at < bytes.length; at++) {
    const flipped = bytes.slice()
    flipped[at] = must(flipped[at], 'byte') ^ (1 << (at % 8))
    assert.notEqual(await faultOf(flipped), 'none', `byte ${at}`)
  }
})

const refuse = async () => Promise.resolve(fail('signature-invalid', 'no'))

const giveNoKey = async () => Promise.resolve(fail('identity-unresolved', 'no'))

test('whose commit it is, and who signed it, is known before the first record', async () => {
  const sample = makeSample(5)
  const bytes = car(sample, sample.blocks)
  const other = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'
  assert.equal(await faultOf(bytes, { did: other }), 'invalid commit-did-mismatch')
  await assert.rejects(readRepo(pieces(bytes, 50), options({ judge: refuse })), {
    fault: 'invalid',
    reason: 'signature-invalid',
  })
  assert.equal(await faultOf(bytes, { judge: giveNoKey }), 'unverifiable identity-unresolved')
  const node = encodeCar([must(sample.blocks[1], 'node').cid], sample.blocks)
  assert.match(await faultOf(node), /^invalid commit-malformed/)
})

const isOfB = (path: string): boolean => path.startsWith('org.example.b/')

test('only wanted paths are given out, and the others must be there all the same', async () => {
  const sample = makeSample(90)
  const found = await read(car(sample, sample.blocks), { wants: isOfB })
  assert.deepEqual(
    [...found],
    [...sample.records].filter(([path]) => isOfB(path)),
  )
  const unwanted = must(
    [...sample.records].find(([path]) => path.startsWith('org.example.a/')),
    'record',
  )
  const rest = sample.blocks.filter(({ cid }) => cidToString(cid) !== unwanted[1])
  assert.equal(await faultOf(car(sample, rest), { wants: isOfB }), 'truncated op-record-missing')
})

test('bounds: bytes, blocks, and what comes before its turn', async () => {
  const sample = makeSample(100)
  const bytes = car(sample, sample.blocks)
  const bytesMax = bytes.length - 1
  assert.equal(await faultOf(bytes, { limits: { bytesMax } }), 'too-large car-malformed')
  const blocksMax = sample.blocks.length - 1
  assert.equal(await faultOf(bytes, { limits: { blocksMax } }), 'too-large car-too-many-blocks')
  const heldBytesMax = 10_000
  assert.equal(await faultOf(bytes, { limits: { heldBytesMax } }), 'none')
  const reversed = car(sample, sample.blocks.toReversed())
  assert.equal(await faultOf(reversed, { limits: { heldBytesMax } }), 'too-large car-out-of-order')
})

test('records that come once and stand at many paths are bounded by what they are together', async () => {
  const sample = makeSample(50, 1, 2_000)
  const bytes = car(sample, withoutRepeats(sample.blocks))
  const total =
    50 * encodeDrisl({ $type: 'org.example.thing', text: `text 0${' '.repeat(2_000)}` }).length
  assert(bytes.length < total / 5)
  assert.equal(await faultOf(bytes, { limits: { bytesMax: total } }), 'none')
  const limits = { bytesMax: total - 1 }
  assert.equal(await faultOf(bytes, { limits }), 'too-large mst-too-large')
  assert.equal(await faultOf(bytes, { limits, wants: () => false }), 'too-large mst-too-large')
})

test('leaving the records ends the source', async () => {
  const sample = makeSample(100)
  let ended = false
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces(car(sample, sample.blocks), 100)
    } finally {
      ended = true
    }
  }
  const repo = await readRepo(source(), options())
  for await (const { path } of repo.records) {
    assert(sample.records.has(path))
    break
  }
  assert(ended)
})

/** A repository whose tree is made by hand, signed by the right key. */
function withTree(root: CarBlock, below: readonly CarBlock[]): Uint8Array {
  const commit = signCommit({ did: DID, rev: '3l2222222222a', data: root.cid }, key)
  const record = utf8('record 1')
  const records = [{ cid: cidOf(CODEC_DAG_CBOR, record), block: record }]
  return encodeCar([commit.cid], [commit, root, ...below, ...records])
}

const keyAt = (height: number, letter: string): string =>
  pathOfHeight(height, `org.example.note/${letter}`)

const entry = (k: string): NodeEntry => ({ k, v: valueOf(1) })

test('a tree that is signed and yet breaks a rule is refused with that reason', async () => {
  const leaf = nodeBlock([entry(keyAt(0, 'a'))])
  const after = nodeBlock([entry(keyAt(0, 'z'))])
  const good = nodeBlock([entry(keyAt(1, 'm'))], leaf)
  assert.equal(await faultOf(withTree(good, [leaf])), 'none')
  const high = nodeBlock([entry(keyAt(2, 'm'))], leaf)
  assert.equal(await faultOf(withTree(high, [leaf])), 'invalid mst-height')
  const outside = nodeBlock([entry(keyAt(1, 'm'))], after)
  assert.equal(await faultOf(withTree(outside, [after])), 'invalid mst-key-order')
  const twice = nodeBlock([{ k: keyAt(1, 'm'), v: valueOf(1), t: leaf }], leaf)
  assert.equal(await faultOf(withTree(twice, [leaf, leaf])), 'invalid mst-key-order')
  // With one copy of the node nobody can tell it from one that was cut off.
  assert.equal(await faultOf(withTree(twice, [leaf])), 'truncated mst-block-missing')
  const bare = nodeBlock([], leaf)
  assert.equal(await faultOf(withTree(bare, [leaf])), 'invalid mst-malformed')
  const mixed = nodeBlock([
    entry(pathOfHeight(0, 'org.example.aa/a')),
    entry(pathOfHeight(1, 'zz.example.aa/m')),
  ])
  assert.equal(await faultOf(withTree(mixed, [])), 'invalid mst-height')
  const odd = nodeBlock([entry('org.example')])
  assert.equal(await faultOf(withTree(odd, [])), 'invalid mst-key-invalid')
})

test('whose repository it is may be left to the judge, who sees the commit', async () => {
  const sample = makeSample(20)
  const whole = encodeCar([sample.root], sample.blocks)
  const seen: string[] = []
  const judge: RepoReadOptions['judge'] = async (commit) => {
    seen.push(commit.did)
    return ok(undefined)
  }
  const { records } = await readRepo(pieces(whole, 100), { did: null, judge })
  let count = 0
  for await (const _ of records) count++
  assert.deepEqual([seen, count], [[DID], 20])
})

test('every node is shown once, checked, with its size', async () => {
  const sample = makeSample(300)
  const sizes: number[] = []
  let entries = 0
  const { records: shown } = await readRepo(
    pieces(encodeCar([sample.root], sample.blocks), 1_000),
    options({
      onNode: (node, bytes) => {
        sizes.push(bytes)
        entries += node.keys.length
      },
    }),
  )
  for await (const _ of shown);
  assert.equal(entries, sample.records.size)
  // All blocks but the commit and the records are nodes.
  const records = new Set(sample.records.values())
  const nodes = sample.blocks.filter(
    ({ cid }) => !cidEquals(cid, sample.root) && !records.has(cidToString(cid)),
  )
  const expected = nodes.map(({ block }) => block.length)
  assert.deepEqual(
    sizes.toSorted((a, b) => a - b),
    expected.toSorted((a, b) => a - b),
  )
})
