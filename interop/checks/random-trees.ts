/**
 * Random sequences of writes, done by Skein's repository host and by the tree of `@atproto/repo`:
 * both must have the same root after each sequence, and the whole must verify at the end.
 */

import { Secp256k1Keypair } from '@atproto/crypto'
import { cidForLex } from '@atproto/lex-cbor'
import type { Cid } from '@atproto/lex-data'
import { decodeCid } from '@atproto/lex-data'
import { MemoryBlockstore, MST } from '@atproto/repo'

import { PrivateKey } from '../../src/crypto/private-key.ts'
import type { RepoWrite } from '../../src/repo-host/record-writes.ts'
import type { RunningHost } from '../../src/server/start-host.ts'
import { startHost } from '../../src/server/start-host.ts'
import { monotonicMs } from '../net/wait.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'
import { exportOf, readRepo, recordDifferences } from './repo-contents.ts'

/** Sequences on one repository: it grows, and some are emptied again. */
const SEQUENCES_PER_REPO = 50
/** Most commits of a sequence, and most writes of a commit. */
const COMMITS_MAX = 3
const WRITES_MAX = 12
/** Repositories written at the same time, so that they share the host's commits to disk. */
const LANES = 8
/** Values of records. Few, so that the same record stands at several paths. */
const VALUES = Array.from({ length: 12 }, (_, n) => ({ n, text: 'value '.repeat(n * 3) }))
const RKEYS = 60
const COLLECTIONS = ['org.example.thing', 'org.example.things', 'a.b.c', 'app.bsky.feed.like']

/** Numbers from 0 up to and without 1, the same for the same seed. */
type Random = () => number

interface Bench {
  readonly running: RunningHost
  readonly key: PrivateKey
  readonly didKey: string
  /** CIDs of {@link VALUES}, by the reference. */
  readonly cids: readonly Cid[]
}

/** Compares `sequences` sequences; a fault names the repository's seed and the sequence. */
export async function checkRandomTrees(
  sequences: number,
  progress: (text: string) => void,
): Promise<Check[]> {
  const startMs = monotonicMs()
  const check = await runCheck(
    `${sequences} random sequences of writes give the roots of @atproto/repo`,
    () => compareSequences(sequences),
  )
  const seconds = ((monotonicMs() - startMs) / 1_000).toFixed(1)
  progress(`${seconds} s  ${sequences} random sequences of writes`)
  return [check]
}

async function compareSequences(sequences: number): Promise<string[]> {
  await using running = await startHost()
  const keypair = await Secp256k1Keypair.create({ exportable: true })
  const bench: Bench = {
    running,
    key: PrivateKey.import('k256', await keypair.export()),
    didKey: keypair.did(),
    cids: await Promise.all(VALUES.map((value) => cidForLex(value))),
  }
  const repos = Math.ceil(sequences / SEQUENCES_PER_REPO)
  let seed = 0
  const faults: string[] = []
  const lane = async (): Promise<void> => {
    while (seed < repos && faults.length === 0) {
      seed += 1
      const done = (seed - 1) * SEQUENCES_PER_REPO
      faults.push(
        ...(await compareRepo(bench, seed, Math.min(SEQUENCES_PER_REPO, sequences - done))),
      )
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return faults
}

/** One repository from its creation on. */
async function compareRepo(bench: Bench, seed: number, sequences: number): Promise<string[]> {
  const { running, key, didKey } = bench
  const { host } = running
  const did = `did:web:repo${seed}.example.com`
  if (!(await host.createAccount({ did, key })).ok) return [`seed ${seed}: no account`]
  const random = randomOf(seed)
  const model = new Map<string, number>()
  let rival = await MST.create(new MemoryBlockstore())
  for (let sequence = 0; sequence < sequences; sequence++) {
    const commits = 1 + Math.floor(random() * COMMITS_MAX)
    for (let commit = 0; commit < commits; commit++) {
      const writes = randomWrites(random, model, seed % 3 === 0 ? 0.5 : 0.3)
      const answer = await host.applyWrites(did, [...writes].map(toRepoWrite(model)))
      if (!answer.ok) return [`seed ${seed}, sequence ${sequence}: ${answer.reason}`]
      for (const [path, value] of writes) {
        rival = await writeTo(rival, path, model.has(path), bench.cids[value ?? -1] ?? null)
        if (value === null) model.delete(path)
        else model.set(path, value)
      }
    }
    const root = (await rival.getPointer()).toString()
    const own = host.latestCommit(did)?.data ?? new Uint8Array()
    const ownRoot = decodeCid(own).toString()
    if (ownRoot !== root) return [`seed ${seed}, sequence ${sequence}: ${ownRoot}, not ${root}`]
  }
  const { records } = await readRepo(await exportOf(running.url, did), did, didKey)
  const wanted = new Map([...model].map(([path, n]) => [path, String(bench.cids[n])]))
  return recordDifferences(records, wanted).map((fault) => `seed ${seed}: ${fault}`)
}

/** Distinct paths with the value that each is to have; null deletes. Every one is possible. */
function randomWrites(
  random: Random,
  model: ReadonlyMap<string, number>,
  deletions: number,
): Map<string, number | null> {
  const writes = new Map<string, number | null>()
  const count = 1 + Math.floor(random() * WRITES_MAX)
  for (let i = 0; i < count; i++) {
    const collection = COLLECTIONS[Math.floor(random() ** 2 * COLLECTIONS.length)] ?? ''
    const path = `${collection}/${Math.floor(random() * RKEYS).toString(36)}`
    const isDeletion = model.has(path) && random() < deletions
    writes.set(path, isDeletion ? null : Math.floor(random() * VALUES.length))
  }
  return writes
}

function toRepoWrite(
  model: ReadonlyMap<string, number>,
): (write: readonly [string, number | null]) => RepoWrite {
  return ([path, value]) => {
    if (value === null) return { action: 'delete', path }
    const record = VALUES[value]
    return model.has(path) ? { action: 'update', path, record } : { action: 'create', path, record }
  }
}

function writeTo(tree: MST, path: string, isThere: boolean, cid: Cid | null): Promise<MST> {
  if (cid === null) return tree.delete(path)
  return isThere ? tree.update(path, cid) : tree.add(path, cid)
}

/** Mulberry32. */
function randomOf(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
