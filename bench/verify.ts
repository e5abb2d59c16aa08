/**
 * How fast commits are verified on one thread: frames of a relay of the whole network, from the
 * bytes of a WebSocket message to the verdict, beside the authenticated parsing of `@atproto/sync`.
 *
 * Both sides decode the frame, check it against the lexicon, hash every block, verify the signature
 * and check the operations. Keys are at hand, as they are for nearly every event of a running
 * relay. The rival proves each record to be in the new tree; ours also undoes the operations and
 * compares the outcome with `prevData`, which the rival does not do.
 */
import { formatDidKey, type PublicKey } from '../src/crypto/public-key.ts'
import { loadVerifier, type SignatureVerifier } from '../src/crypto/verifier.ts'
import { assert, must } from '../src/lib/assert.ts'
import { verifyCommit, type VerifyContext } from '../src/repo/verify.ts'
import { parseFrame } from '../src/stream/frame.ts'
import type { CommitBody } from '../src/stream/frame-types.ts'
import { RELAY_FRAMES_NOW_MS } from '../test/vectors/suite-relay-frames.ts'
import { findSharedDirectory } from '../test/vectors/suite-result.ts'
import { readFrames, readKeys } from '../test/vectors/vector-files.ts'
import { type Bench, type BenchContext, type Cost, costOf, median } from './bench.ts'
import { loadRival, type Rival } from './verify-rival.ts'

/** Rounds of each side, in turn, so that both see the same weather on a shared machine. */
const ROUNDS = 9
/** Passes over the frames in a round of ours: a round of either side takes about as long. */
const PASSES = 25
/** Passes before anything is measured: the compiler has to have seen the code. */
const WARM_UP_PASSES = 20

/** A frame with the key of its account. */
interface Item {
  readonly frame: Uint8Array
  readonly key: PublicKey
}

export const verifyBench: Bench = {
  run,
}

async function run({ format, print }: BenchContext): Promise<void> {
  const directory = findSharedDirectory()
  if (directory === null) {
    const message = 'The vectors are absent (../shared/vectors): nothing was measured.'
    print(format === 'json' ? JSON.stringify({ skipped: message }) : message)
    return
  }
  const vectors = `${directory}/vectors/relay-frames`
  const frames = await readFrames(`${vectors}/frames.bin.gz`)
  const keys = await readKeys(`${vectors}/did-docs.json`)
  const items = frames.map((frame) => {
    return { frame, key: must(keys.get(commitOf(frame).repo), 'key') }
  })
  const verifier = await loadVerifier()
  const rival = await loadRival(new Map([...keys].map(([did, key]) => [did, formatDidKey(key)])))
  await proveRival(items, rival)
  for (let i = 0; i < WARM_UP_PASSES; i++) verifyAll(items, verifier)
  const measured = await measure(items, verifier, rival)
  const stages = measureStages(items, verifier)
  report({ format, print }, { ...measured, stages, verifier, frames })
}

function commitOf(frame: Uint8Array): CommitBody {
  const parsed = parseFrame(frame)
  assert(parsed.ok && parsed.value.kind === 'message', 'a message')
  assert(parsed.value.type === '#commit', 'a commit')
  return parsed.value.body
}

function verifyAll(items: readonly Item[], verifier: SignatureVerifier): void {
  for (const { frame, key } of items)
    verifyOne(frame, { key, verifier, nowMs: RELAY_FRAMES_NOW_MS })
}

function verifyOne(frame: Uint8Array, context: VerifyContext): void {
  const verdict = verifyCommit(commitOf(frame), context)
  assert(verdict.ok, 'the commit is good')
}

/** The rival must find every operation of every frame, or it would be measured doing nothing. */
async function proveRival(items: readonly Item[], rival: Rival): Promise<void> {
  for (const { frame } of items) {
    const found = await rival.parse(frame)
    assert(found === commitOf(frame).ops.length, 'the rival has verified every operation')
  }
}

interface Measured {
  readonly ours: readonly Cost[]
  readonly rival: readonly Cost[]
}

/** Costs of one commit, a value a round. */
async function measure(
  items: readonly Item[],
  verifier: SignatureVerifier,
  rival: Rival,
): Promise<Measured> {
  const ours: Cost[] = []
  const theirs: Cost[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const own = await costOf(() => {
      for (let pass = 0; pass < PASSES; pass++) verifyAll(items, verifier)
    })
    ours.push(perCommit(own, PASSES * items.length))
    const other = await costOf(async () => {
      for (const { frame } of items) await rival.parse(frame)
    })
    theirs.push(perCommit(other, items.length))
  }
  return { ours, rival: theirs }
}

function perCommit({ cpuUs, wallUs }: Cost, commits: number): Cost {
  return { cpuUs: cpuUs / commits, wallUs: wallUs / commits }
}

/** Microseconds of wall time a commit, by stage, in order: decoding the frame comes first. */
function measureStages(
  items: readonly Item[],
  verifier: SignatureVerifier,
): Readonly<Record<string, number>> {
  const rounds = Array.from({ length: ROUNDS }, () => stageRound(items, verifier))
  const names = Object.keys(must(rounds[0], 'round'))
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map((costs) => costs[name] ?? 0))]),
  )
}

function stageRound(items: readonly Item[], verifier: SignatureVerifier): Record<string, number> {
  const totals: Record<string, number> = { frame: 0 }
  let last = 0
  const onStage = (stage: string): void => {
    const now = performance.now()
    totals[stage] = (totals[stage] ?? 0) + now - last
    last = now
  }
  for (let pass = 0; pass < PASSES; pass++) {
    for (const { frame, key } of items) {
      last = performance.now()
      const body = commitOf(frame)
      onStage('frame')
      verifyCommit(body, { key, verifier, nowMs: RELAY_FRAMES_NOW_MS, onStage })
    }
  }
  const commits = PASSES * items.length
  for (const stage of Object.keys(totals)) {
    totals[stage] = ((totals[stage] ?? 0) * 1_000) / commits
  }
  return totals
}

interface Findings extends Measured {
  readonly stages: Readonly<Record<string, number>>
  readonly verifier: SignatureVerifier
  readonly frames: readonly Uint8Array[]
}

function report(
  { format, print }: Pick<BenchContext, 'format' | 'print'>,
  findings: Findings,
): void {
  const { ours, rival, stages, verifier, frames } = findings
  const cpu = median(ours.map(({ cpuUs }) => cpuUs))
  const rivalCpu = median(rival.map(({ cpuUs }) => cpuUs))
  const wall = median(ours.map(({ wallUs }) => wallUs))
  const rivalWall = median(rival.map(({ wallUs }) => wallUs))
  if (format === 'json') {
    print(
      JSON.stringify({
        ours_per_s: Math.round(1e6 / cpu),
        rival_per_s: Math.round(1e6 / rivalCpu),
        ratio: rounded(rivalCpu / cpu),
        us_per_commit: rounded(cpu),
        rival_us_per_commit: rounded(rivalCpu),
        ours_wall_per_s: Math.round(1e6 / wall),
        rival_wall_per_s: Math.round(1e6 / rivalWall),
        stages_us: Object.fromEntries(Object.entries(stages).map(([k, us]) => [k, rounded(us)])),
        backends: verifier.backends,
        commits: frames.length,
        rounds: ROUNDS,
      }),
    )
    return
  }
  print(`${frames.length} commits, medians of ${ROUNDS} rounds, one thread`)
  const heads = ['commits/CPU s'.padStart(15), 'us/commit'.padStart(12), 'commits/s'.padStart(15)]
  print(`${''.padEnd(16)}${heads.join('')}`)
  print(row('skein', cpu, wall))
  print(row('@atproto/sync', rivalCpu, rivalWall))
  print(`ratio ${rounded(rivalCpu / cpu)} (CPU), ${rounded(rivalWall / wall)} (wall)`)
  print('The rival does not undo the operations (sync 1.1); skein does.')
  print('')
  for (const [stage, us] of Object.entries(stages)) print(`${stage.padEnd(16)}${fixed(us, 8)} us`)
  print(`backends: k256 ${verifier.backends.k256}, p256 ${verifier.backends.p256}`)
}

function row(name: string, cpuUs: number, wallUs: number): string {
  return `${name.padEnd(16)}${perSecond(cpuUs)}${fixed(cpuUs, 12)}${perSecond(wallUs)}`
}

function perSecond(us: number): string {
  return Math.round(1e6 / us)
    .toLocaleString('en')
    .padStart(15)
}

function fixed(value: number, width: number): string {
  return value.toFixed(1).padStart(width)
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
