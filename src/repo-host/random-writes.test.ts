/**
 * Random calls held against a plain model, against the definition of the tree written down a second
 * time, and against `@atproto/repo`: its tree, its check of what changed, its undoing of operations
 * with nothing but the blocks of the event.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MemoryBlockStore, NodeStore, NodeWrangler } from '@atcute/mst'
import { MemoryBlockstore, readCarWithRoot, Repo, verifyDiff, verifyRepoCar } from '@atproto/repo'
import { formatDidKey } from '../crypto/public-key.ts'
import { loadVerifier } from '../crypto/verifier.ts'
import { parseCar } from '../data/car.ts'
import { cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { type Random, seededRandom } from '../lib/random.ts'
import { decodeCommit } from '../repo/commit.ts'
import { verifyCommit } from '../repo/verify.ts'
import type { CommitBody } from '../stream/frame-types.ts'
import { buildTreeOf } from '../../test/support/reference-tree.ts'
import type { RepoHost } from './repo-host.ts'
import type { RepoWrite } from './record-writes.ts'
import {
  didOf,
  eventsOf,
  exportOf,
  good,
  HandClock,
  keyOf,
  openTestHost,
  StateReader,
} from './testing/test-host.ts'

/** Sequences of calls; LONG=1 runs as many as it takes to meet what is rare. */
const SEQUENCES = process.env['LONG'] === '1' ? 10_000 : 300
/** Sequences that share a host. */
const GROUP = 50

const verifier = await loadVerifier()
const did = didOf('a')
const key = keyOf('a')

/** Path to the text of the record's CID. */
type Model = Map<string, string>

/** A few names, so that they meet often; some hash to great heights. */
const PATHS = [
  ...Array.from({ length: 40 }, (_, i) => `org.example.note/${i}`),
  ...Array.from({ length: 10 }, (_, i) => `org.example.like/${i}`),
  ...[39, 205, 269, 2_130, 10_829].map((n) => `com.example.high/${n}`),
]

const pick = <T>(random: Random, values: readonly T[]): T =>
  must(values[Math.floor(random.next() * values.length)], 'value')

/** Possible writes on distinct paths. Few values, so that records move and come back. */
function randomWrites(random: Random, model: Model): RepoWrite[] {
  const writes = new Map<string, RepoWrite>()
  const count = random.next() < 0.5 ? 1 : 1 + Math.floor(random.next() * 12)
  for (let i = 0; i < count; i++) {
    const path = pick(random, PATHS)
    const record = { n: Math.floor(random.next() * 6) }
    if (!model.has(path)) writes.set(path, { action: 'create', path, record })
    else if (random.next() < 0.6) writes.set(path, { action: 'delete', path })
    else writes.set(path, { action: 'update', path, record })
  }
  return [...writes.values()]
}

/** What the host answered, taken over into the model. */
function applyTo(model: Model, records: readonly { path: string; cid: Uint8Array | null }[]): void {
  for (const { path, cid } of records) {
    if (cid === null) model.delete(path)
    else model.set(path, cidToString(cid))
  }
}

/** The repository as `@atproto/repo` knows it. */
class Rival {
  #repo: Repo | null = null
  readonly #storage = new MemoryBlockstore()

  /** Takes a commit: what changed according to it, checked against the operations. */
  async take({ blocks, ops, commit }: CommitBody): Promise<void> {
    const car = await readCarWithRoot(blocks.buf)
    assert.equal(car.root.toString(), commit.$link)
    const didKey = formatDidKey(key.publicKey)
    const diff = await verifyDiff(this.#repo, car.blocks, car.root, did, didKey)
    const changes = diff.writes.map((write) => `${write.action} ${write.collection}/${write.rkey}`)
    const told = ops.map(({ action, path }) => `${action} ${path}`)
    assert.deepEqual(changes.sort(), told.sort())
    await this.#storage.applyCommit(diff.commit)
    this.#repo = await Repo.load(this.#storage, diff.commit.cid)
  }

  get data(): string {
    return must(this.#repo, 'repository').data.pointer.toString()
  }
}

/**
 * Undoes operations one by one, last first, on a tree that has the event's blocks and no others, as
 * plainly as anybody might.
 */
async function undone(body: CommitBody): Promise<string> {
  const car = parseCar(body.blocks.buf, { blocksMax: 10_000 })
  assert(car.ok)
  const { blocks, roots } = car.value
  const store = new MemoryBlockStore()
  for (let i = 0; i < blocks.size; i++) {
    await store.put(cidToString(blocks.cid(i)), blocks.block(i).slice())
  }
  const commit = decodeCommit(must(blocks.get(must(roots[0], 'root')), 'commit'))
  assert(commit.ok)
  const tree = new NodeWrangler(new NodeStore(store))
  let root = cidToString(commit.value.data)
  for (const { action, path, prev } of [...body.ops].reverse()) {
    root =
      action === 'create'
        ? await tree.deleteRecord(root, path)
        : await tree.putRecord(root, path, { $link: must(prev, 'prev').$link })
  }
  return root
}

async function checkEvent(body: CommitBody, nowMs: number, model: Model): Promise<void> {
  const verdict = verifyCommit(body, { key: key.publicKey, verifier, nowMs })
  assert(verdict.ok, verdict.ok ? '' : `${verdict.reason}: ${verdict.detail}`)
  assert.deepEqual(verdict.value.warnings, [])
  assert.equal(cidToString(verdict.value.data), buildTreeOf(model).root)
  assert.equal(await undone(body), body.prevData?.$link ?? buildTreeOf(new Map()).root)
}

const sortedLines = (counts: ReadonlyMap<string, number>): string[] =>
  [...counts].map(([cid, count]) => `${cid} ${count}`).sort()

/** The blocks that are stored are those of the tree, the records and the commit, and no others. */
function checkBlocks(reader: StateReader, host: RepoHost, model: Model): void {
  const expected = new Map<string, number>()
  const count = (cid: string): void => void expected.set(cid, (expected.get(cid) ?? 0) + 1)
  for (const cid of buildTreeOf(model).nodes.keys()) count(cid)
  for (const cid of model.values()) count(cid)
  count(cidToString(must(host.latestCommit(did), 'head').commit))
  const stored = new Map([...reader.blocks(did)].map(([cid, { refs }]) => [cid, refs]))
  assert.deepEqual(sortedLines(stored), sortedLines(expected))
}

async function runGroup(seed: number, sequences: number): Promise<void> {
  const random = seededRandom(seed)
  const clock = new HandClock()
  const directory = await mkdtemp(join(tmpdir(), 'skein-random-'))
  try {
    await using host = await openTestHost({ directory, clock })
    good(await host.createAccount({ did, key }))
    using reader = new StateReader(directory)
    const model: Model = new Map()
    const rival = new Rival()
    let seen = 0
    for (let sequence = 0; sequence < sequences; sequence++) {
      const calls = 1 + Math.floor(random.next() * 3)
      for (let call = 0; call < calls; call++) {
        clock.advance(1)
        applyTo(model, good(await host.applyWrites(did, randomWrites(random, model))).records)
        for (const event of await eventsOf(host, seen)) {
          seen = event.seq
          if (event.type !== '#commit') continue
          await rival.take(event.body)
          await checkEvent(
            event.body,
            clock.nowMs(),
            event.body.ops.length === 0 ? new Map() : model,
          )
        }
      }
      assert.equal(rival.data, cidToString(must(host.latestCommit(did), 'head').data))
      checkBlocks(reader, host, model)
    }
    const { creates } = await verifyRepoCar(
      await exportOf(host, did),
      did,
      formatDidKey(key.publicKey),
    )
    assert.deepEqual(
      creates.map((one) => `${one.collection}/${one.rkey} ${one.cid.toString()}`).sort(),
      [...model].map(([path, cid]) => `${path} ${cid}`).sort(),
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

test('random calls leave what a model expects, and events that others verify', async () => {
  for (let done = 0, seed = 1; done < SEQUENCES; done += GROUP, seed++) {
    await runGroup(seed, Math.min(GROUP, SEQUENCES - done)).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error })
    })
  }
})
