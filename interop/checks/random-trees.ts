/**
 * Random sequences of writes, done by Skein's repository host and by the trees of `@atproto/repo`
 * and `@atcute/mst`: all must have the same root after each commit, and of some repositories the
 * whole must verify at the end. A sequence that fails is shrunk to a small one that still does.
 */

import { MemoryBlockStore, NodeStore, NodeWrangler } from '@atcute/mst'
import { Secp256k1Keypair } from '@atproto/crypto'
import { cidForLex } from '@atproto/lex-cbor'
import type { Cid } from '@atproto/lex-data'
import { decodeCid } from '@atproto/lex-data'
import { MemoryBlockstore, MST } from '@atproto/repo'
import type { RunDetails } from 'fast-check'
import * as fc from 'fast-check'

import { PrivateKey } from '../../src/crypto/private-key.ts'
import type { RepoWrite } from '../../src/repo-host/record-writes.ts'
import type { RunningHost } from '../../src/server/start-host.ts'
import { startHost } from '../../src/server/start-host.ts'
import { monotonicMs } from '../net/wait.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'
import { exportOf, readRepo, recordDifferences } from './repo-contents.ts'

/** Most writes of the first commit, which gives the tree its size, and of each that follows. */
const FIRST_WRITES_MAX = 30
const WRITES_MAX = 12
/** Most commits after the first. */
const COMMITS_MAX = 3
/** One sequence in about so many has its whole repository exported and verified. */
const WHOLE_EVERY = 16
/** Repositories written at the same time, so that they share the host's commits to disk. */
const LANES = 8
/** How long one lane may take, its shrinking included, ms; on a busy machine three minutes. */
const LANE_TIMEOUT_MS = 10 * 60_000
/** A failure's text, characters; the rest is more of the same counterexample. */
const REPORT_LENGTH_MAX = 4_000
/** More than the sequences can ask for: they all come from one address. */
const REQUESTS_PER_MINUTE = 1_000_000

/** Values of records. Few, so that the same record stands at several paths. */
const VALUES = Array.from({ length: 12 }, (_, n) => ({ n, text: 'value '.repeat(n * 3) }))
const RKEYS = 60
const COLLECTIONS = ['org.example.thing', 'org.example.things', 'a.b.c', 'app.bsky.feed.like']
/** Paths that stand high in a tree, at heights 4 to 7, where splits and merges reach deep. */
const HIGH_PATHS = [112, 431, 1_400, 6_204, 11_959].map((n) => `com.example.high/${n}`)

/** `drop` deletes the record at this place, modulo how many there are, in the order of paths. */
type Change =
  | { readonly kind: 'put'; readonly path: string; readonly value: number }
  | { readonly kind: 'drop'; readonly at: number }

interface Sequence {
  readonly commits: readonly (readonly Change[])[]
  /** Whether the whole repository is read at the end. */
  readonly whole: boolean
}

const path = fc.oneof(
  {
    weight: 15,
    arbitrary: fc
      .tuple(fc.constantFrom(...COLLECTIONS), fc.nat({ max: RKEYS - 1 }))
      .map(([collection, n]) => `${collection}/${n.toString(36)}`),
  },
  { weight: 1, arbitrary: fc.constantFrom(...HIGH_PATHS) },
)
const put: fc.Arbitrary<Change> = fc.record({
  kind: fc.constant('put'),
  path,
  value: fc.nat({ max: VALUES.length - 1 }),
})
const drop: fc.Arbitrary<Change> = fc.record({
  kind: fc.constant('drop'),
  at: fc.nat({ max: 999 }),
})
const change = fc.oneof({ weight: 3, arbitrary: put }, { weight: 2, arbitrary: drop })
const first = fc.array(put, { maxLength: FIRST_WRITES_MAX, size: 'max' })
const later = fc.array(change, { minLength: 1, maxLength: WRITES_MAX, size: 'max' })

const sequence: fc.Arbitrary<Sequence> = fc
  .record({
    first,
    later: fc.array(later, { maxLength: COMMITS_MAX, size: 'max' }),
    // Shrinks towards reading all, so that a fault found there is still found.
    whole: fc.integer({ min: 0, max: WHOLE_EVERY - 1 }).map((n) => n === 0),
  })
  .map((parts) => ({ commits: [parts.first, ...parts.later], whole: parts.whole }))

interface Bench {
  readonly running: RunningHost
  readonly key: PrivateKey
  readonly didKey: string
  /** CIDs of {@link VALUES}, by the reference. */
  readonly cids: readonly Cid[]
  /** How many repositories there have been: each sequence has its own. */
  repos: number
}

/** Compares `sequences` sequences that follow from `seed`, a 32-bit integer. */
export async function checkRandomTrees(
  { sequences, seed }: { readonly sequences: number; readonly seed: number },
  progress: (text: string) => void,
): Promise<Check[]> {
  const startMs = monotonicMs()
  const check = await runCheck(
    `${sequences} random sequences of writes (fast-check) give the roots of @atproto/repo's MST`,
    () => compareSequences(sequences, seed),
  )
  const seconds = ((monotonicMs() - startMs) / 1_000).toFixed(1)
  progress(`${seconds} s  ${sequences} random sequences of writes, --seed ${seed}`)
  return [check]
}

async function compareSequences(sequences: number, seed: number): Promise<string[]> {
  await using running = await startHost({ requestsPerMinute: REQUESTS_PER_MINUTE })
  const keypair = await Secp256k1Keypair.create({ exportable: true })
  const bench: Bench = {
    running,
    key: PrivateKey.import('k256', await keypair.export()),
    didKey: keypair.did(),
    cids: await Promise.all(VALUES.map((value) => cidForLex(value))),
    repos: 0,
  }
  const property = fc.asyncProperty(sequence, (one) => compareSequence(bench, one))
  const lanes = Array.from({ length: Math.min(LANES, sequences) }, async (_, lane) => {
    const details = await fc.check(property, {
      seed: (seed + lane) | 0,
      numRuns: Math.ceil((sequences - lane) / LANES),
      interruptAfterTimeLimit: LANE_TIMEOUT_MS,
      markInterruptAsFailure: true,
    })
    return faultsOf(details, seed)
  })
  const faults = await Promise.all(lanes)
  return faults.flat()
}

function faultsOf(details: RunDetails<[Sequence]>, seed: number): string[] {
  if (!details.failed) return []
  const text = fc.defaultReportMessage(details) ?? 'it failed'
  const cause = details.errorInstance instanceof Error ? details.errorInstance.message : ''
  return [`--seed ${seed}: ${cause}: ${text.slice(0, REPORT_LENGTH_MAX)}`]
}

/** One repository from its creation on. Throws when something is not as it should be. */
async function compareSequence(bench: Bench, { commits, whole }: Sequence): Promise<void> {
  const { running, key, didKey, cids } = bench
  const { host } = running
  bench.repos += 1
  const did = `did:web:repo${bench.repos}.example.com`
  const created = await host.createAccount({ did, key })
  if (!created.ok) throw new Error(`no account: ${created.reason}`)
  const model = new Map<string, number>()
  const rivals = await Rivals.create()
  for (const [i, changes] of commits.entries()) {
    const writes = resolveChanges(changes, model)
    const answer = await host.applyWrites(did, [...writes].map(toRepoWrite(model)))
    if (!answer.ok) throw new Error(`commit ${i}: ${answer.reason}: ${answer.detail}`)
    for (const [at, value] of writes) {
      await rivals.write(at, model.has(at), value === null ? null : (cids[value] ?? null))
      if (value === null) model.delete(at)
      else model.set(at, value)
    }
    const root = decodeCid(host.latestCommit(did)?.data ?? new Uint8Array()).toString()
    const { reference, atcute } = await rivals.roots()
    if (root !== reference) throw new Error(`commit ${i}: ${root}, not ${reference}`)
    if (atcute !== reference) throw new Error(`commit ${i}: @atcute/mst has ${atcute}`)
  }
  if (!whole) return
  const { records } = await readRepo(await exportOf(running.url, did), did, didKey)
  const wanted = new Map([...model].map(([at, n]) => [at, String(cids[n])]))
  const faults = recordDifferences(records, wanted)
  if (faults.length > 0) throw new Error(faults.join('; '))
}

/** Distinct paths with the value that each is to have; null deletes. Every one is possible. */
function resolveChanges(
  changes: readonly Change[],
  model: ReadonlyMap<string, number>,
): Map<string, number | null> {
  const writes = new Map<string, number | null>()
  const present = [...model.keys()].sort()
  for (const one of changes) {
    if (one.kind === 'put') writes.set(one.path, one.value)
    else {
      const at = present[one.at % Math.max(1, present.length)]
      if (at !== undefined) writes.set(at, null)
    }
  }
  return writes
}

function toRepoWrite(
  model: ReadonlyMap<string, number>,
): (write: readonly [string, number | null]) => RepoWrite {
  return ([at, value]) => {
    if (value === null) return { action: 'delete', path: at }
    const body = { path: at, record: VALUES[value] }
    return model.has(at) ? { action: 'update', ...body } : { action: 'create', ...body }
  }
}

/** The same tree as two others build it. */
class Rivals {
  #reference: MST
  #atcute: string | null = null
  readonly #wrangler = new NodeWrangler(new NodeStore(new MemoryBlockStore()))

  private constructor(reference: MST) {
    this.#reference = reference
  }

  static async create(): Promise<Rivals> {
    return new Rivals(await MST.create(new MemoryBlockstore()))
  }

  /** `cid` null deletes. */
  async write(at: string, isThere: boolean, cid: Cid | null): Promise<void> {
    if (cid === null) {
      this.#reference = await withoutHeight(await this.#reference.delete(at))
      this.#atcute = await this.#wrangler.deleteRecord(this.#atcute, at)
      return
    }
    this.#reference = await (isThere
      ? this.#reference.update(at, cid)
      : this.#reference.add(at, cid))
    this.#atcute = await this.#wrangler.putRecord(this.#atcute, at, { $link: cid.toString() })
  }

  /** CIDs of the roots. */
  async roots(): Promise<{ readonly reference: string; readonly atcute: string }> {
    const reference = (await this.#reference.getPointer()).toString()
    // Nothing was ever written, so there is no root that it could name.
    return { reference, atcute: this.#atcute ?? reference }
  }
}

/**
 * In memory an emptied tree remembers its height, and what is added next would hang too deep. The
 * reference's repositories do not run into that, because they load their tree for every commit.
 */
async function withoutHeight(tree: MST): Promise<MST> {
  const entries = await tree.getEntries()
  return entries.length > 0 ? tree : MST.create(new MemoryBlockstore())
}
