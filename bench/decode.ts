/**
 * How fast frames are decoded without being verified, on one thread: from the bytes of a WebSocket
 * message to an event, beside `@atcute/firehose` and `@skyware/firehose` on the same frames.
 *
 * - messages: the frame is decoded and held against the lexicon; records are left alone. So does
 *   `@atcute/firehose` as it comes. Ours also demands strict DRISL.
 * - records: each operation's CIDs are turned into text and each record is decoded.
 *   `@skyware/firehose` does that with every block of the CAR, and checks nothing.
 */
import { decodeEvent } from '../src/client/events/decode-event.ts'
import type { CommitEvent } from '../src/client/events/events.ts'
import { assert } from '../src/lib/assert.ts'
import { findSharedDirectory } from '../test/vectors/suite-result.ts'
import { readFrames } from '../test/vectors/vector-files.ts'
import { type Bench, type BenchContext, type Cost, costOf, median } from './bench.ts'
import { type DecodeFrame, loadAtcute, loadSkyware } from './decode-rivals.ts'

/** Rounds of each side, in turn, so that all see the same weather on a shared machine. */
const ROUNDS = 9
/** Passes over the frames in one round. */
const PASSES = 40
/** Passes before anything is measured: the compiler has to have seen the code. */
const WARM_UP_PASSES = 60

export const decodeBench: Bench = {
  run,
}

const SIDES = {
  skein: 'skein: messages',
  atcute: '@atcute/firehose',
  atcuteUnchecked: '@atcute/firehose, validateEvents: false',
  skeinRecords: 'skein: messages and records',
  skyware: '@skyware/firehose',
} as const

type Side = keyof typeof SIDES

async function run({ format, print }: BenchContext): Promise<void> {
  const directory = findSharedDirectory()
  if (directory === null) {
    const message = 'The vectors are absent (../shared/vectors): nothing was measured.'
    print(format === 'json' ? JSON.stringify({ skipped: message }) : message)
    return
  }
  const frames = await readFrames(`${directory}/vectors/relay-frames/frames.bin.gz`)
  const sides: Readonly<Record<Side, DecodeFrame>> = {
    skein: (bytes) => commitOf(bytes).body.ops.length,
    atcute: await loadAtcute(),
    atcuteUnchecked: await loadAtcute({ validateEvents: false }),
    skeinRecords: readRecords,
    skyware: loadSkyware(),
  }
  await proveSides(frames, sides)
  const costs = await measure(frames, sides)
  report({ format, print }, frames, costs)
}

function commitOf(bytes: Uint8Array): CommitEvent {
  const decoded = decodeEvent(bytes)
  assert(decoded.ok && decoded.value.type === '#commit', 'a commit')
  return decoded.value
}

function readRecords(bytes: Uint8Array): number {
  const { ops, commit } = commitOf(bytes)
  assert(commit !== '', 'the CID of the commit')
  let count = 0
  for (const { cid, prev, record } of ops) {
    if (record === null ? cid === null : record.valid && cid !== null && prev !== '') count++
  }
  return count
}

/** All must find every operation of every frame, or one would be measured doing nothing. */
async function proveSides(
  frames: readonly Uint8Array[],
  sides: Readonly<Record<Side, DecodeFrame>>,
): Promise<void> {
  for (const frame of frames) {
    const expected = commitOf(frame).ops.length
    for (const [side, decode] of Object.entries(sides)) {
      assert((await decode(frame)) === expected, () => `${side} finds every operation`)
    }
  }
}

type Costs = Readonly<Record<Side, Cost>>

/** The median cost of one commit on each side. */
async function measure(
  frames: readonly Uint8Array[],
  sides: Readonly<Record<Side, DecodeFrame>>,
): Promise<Costs> {
  const names = Object.keys(sides) as Side[]
  const rounds = new Map<Side, Cost[]>(names.map((side) => [side, []]))
  for (const side of names) await decodeAll(frames, sides[side], WARM_UP_PASSES)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [side, costs] of rounds) {
      costs.push(await costOf(() => decodeAll(frames, sides[side], PASSES)))
    }
  }
  const commits = frames.length * PASSES
  return Object.fromEntries(
    [...rounds].map(([side, costs]) => {
      const cpuUs = median(costs.map((cost) => cost.cpuUs)) / commits
      const wallUs = median(costs.map((cost) => cost.wallUs)) / commits
      return [side, { cpuUs, wallUs }]
    }),
  ) as Costs
}

async function decodeAll(
  frames: readonly Uint8Array[],
  decode: DecodeFrame,
  passes: number,
): Promise<void> {
  for (let pass = 0; pass < passes; pass++) {
    for (const frame of frames) {
      const found = decode(frame)
      // Waiting costs, so only who answers later is waited for.
      if (typeof found !== 'number') await found
    }
  }
}

function report(
  { format, print }: Pick<BenchContext, 'format' | 'print'>,
  frames: readonly Uint8Array[],
  costs: Costs,
): void {
  const ratios = {
    atcute: ratio(costs.atcute, costs.skein),
    atcute_unchecked: ratio(costs.atcuteUnchecked, costs.skein),
    skyware: ratio(costs.skyware, costs.skeinRecords),
  }
  if (format === 'json') {
    const perSecond = Object.entries(costs).map(([side, { cpuUs }]) => [side, rate(cpuUs)])
    print(
      JSON.stringify({
        per_s: Object.fromEntries(perSecond) as unknown,
        ratios,
        commits: frames.length,
        rounds: ROUNDS,
      }),
    )
    return
  }
  print(`${frames.length} commits, medians of ${ROUNDS} rounds, one thread`)
  print(`${''.padEnd(42)}${['commits/CPU s', 'us/commit', 'commits/s'].map(head).join('')}`)
  for (const [side, { cpuUs, wallUs }] of Object.entries(costs) as [Side, Cost][]) {
    const cells = [
      rate(cpuUs).toLocaleString('en'),
      cpuUs.toFixed(1),
      rate(wallUs).toLocaleString('en'),
    ]
    print(`${SIDES[side].padEnd(42)}${cells.map(head).join('')}`)
  }
  print(
    `ratios (CPU): ${ratios.atcute} to @atcute/firehose (${ratios.atcute_unchecked} when it does ` +
      `not validate), ${ratios.skyware} to @skyware/firehose`,
  )
}

function head(text: string): string {
  return text.padStart(15)
}

function rate(us: number): number {
  return Math.round(1e6 / us)
}

function ratio(theirs: Cost, ours: Cost): number {
  return Math.round((theirs.cpuUs / ours.cpuUs) * 100) / 100
}
