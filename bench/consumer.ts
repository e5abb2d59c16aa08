/**
 * How fast a stream is consumed and verified on one thread, what verifying a whole repository
 * takes, and what a consumer holds that falls behind.
 *
 * - verified: traffic that was signed before, served by another process over loopback, to a handler
 *   that looks at every record; beside `Firehose` of `@atproto/sync` in its authenticated mode.
 *   Both have the keys at hand. Ours checks continuity too, keeps heads and moves a cursor.
 * - decoding: as in ./decode.ts.
 * - repository: a CAR of 100,000 records from a file, as a stream, in a process of its own; beside
 *   `verifyRepoCar` of `@atproto/repo`, which takes it as one piece.
 * - behind: a handler that is far slower than the stream, for half a minute.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { assert, must } from '../src/lib/assert.ts'
import { recordTraffic } from '../src/sim/record-traffic.ts'
import { type Bench, type BenchContext, type Cost, median } from './bench.ts'
import type { BehindFindings } from './consumer-behind.ts'
import { loadRivalConsumer, loadSkeinConsumer } from './consumer-sides.ts'
import { decodeBench } from './decode.ts'
import { type CarOrder, REPO_DID, type RepoCars, writeRepoCars } from './repo-cars.ts'
import { type ReplayProcess, startReplayProcess } from './replay-process.ts'
import type { RepoVerifyFindings } from './repo-verify.ts'

/** Some 3 % of the events are no commits. */
const EVENTS = 20_000
const ACCOUNTS = 200
const RECORDS = 3_000
const START_MS = Date.UTC(2026, 0, 1)
/** Rounds of each side, in turn, so that both see the same weather on a shared machine. */
const ROUNDS = 5
const ROUND = { warmUp: 4_000, commits: 15_000 } as const
/** A round of the rival takes about as long. */
const RIVAL_ROUND = { warmUp: 200, commits: 800 } as const
const REPO_RECORDS = 100_000
const REPO_ROUNDS = 3
const ORDERS: readonly CarOrder[] = ['streamable', 'reference']

export const consumerBench: Bench = {
  run,
}

async function run({ format, print }: BenchContext): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-bench-'))
  const say = (line: string): void => void (format === 'text' && print(line))
  try {
    const path = join(directory, 'traffic')
    await recordTraffic(path, {
      seed: 1,
      accounts: ACCOUNTS,
      records: RECORDS,
      rate: 50,
      startMs: START_MS,
      hosts: 1,
      events: EVENTS,
    })
    await using hosts = await startReplayProcess(path)
    const verified = await measureVerified(hosts)
    sayVerified(say, verified)
    const decoding = await measureDecoding(format, print)
    const repository = await measureRepository(join(directory, 'repository'))
    sayRepository(say, repository)
    const behind = await measureBehind(hosts)
    sayBehind(say, behind)
    if (format === 'json') print(JSON.stringify({ verified, decoding, repository, behind }))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

// ---- The stream

interface Verified {
  readonly per_s: number
  readonly per_cpu_s: number
  readonly rival_per_s: number
  readonly rival_per_cpu_s: number
  readonly ratio: number
  readonly ratio_cpu: number
  readonly rounds: number
}

async function measureVerified(hosts: ReplayProcess): Promise<Verified> {
  const skein = await loadSkeinConsumer(hosts)
  const rival = loadRivalConsumer(hosts)
  const ours: Cost[] = []
  const theirs: Cost[] = []
  // One round more than is counted: the compiler has to have seen the code.
  for (let round = 0; round <= ROUNDS; round++) {
    const own = await skein(ROUND)
    const other = await rival(RIVAL_ROUND)
    if (round === 0) continue
    ours.push(own)
    theirs.push(other)
  }
  const [wall, cpu] = [middle(ours, 'wallUs'), middle(ours, 'cpuUs')]
  const [rivalWall, rivalCpu] = [middle(theirs, 'wallUs'), middle(theirs, 'cpuUs')]
  return {
    per_s: rate(wall),
    per_cpu_s: rate(cpu),
    rival_per_s: rate(rivalWall),
    rival_per_cpu_s: rate(rivalCpu),
    ratio: rounded(rivalWall / wall),
    ratio_cpu: rounded(rivalCpu / cpu),
    rounds: ROUNDS,
  }
}

type Say = (line: string) => void

function sayVerified(say: Say, found: Verified): void {
  say(`verified consumption over a socket, medians of ${ROUNDS} rounds, one thread`)
  say(`${''.padEnd(20)}${['commits/CPU s', 'commits/s'].map(cell).join('')}`)
  const row = (name: string, cpu: number, wall: number): void =>
    say(`${name.padEnd(20)}${[cpu, wall].map((n) => cell(n.toLocaleString('en'))).join('')}`)
  row('skein', found.per_cpu_s, found.per_s)
  row('@atproto/sync', found.rival_per_cpu_s, found.rival_per_s)
  say(`ratio ${found.ratio_cpu} (CPU), ${found.ratio} (wall)`)
  say('')
}

/** In text it prints by itself. */
async function measureDecoding(
  format: BenchContext['format'],
  print: BenchContext['print'],
): Promise<unknown> {
  let found: unknown = null
  const keep = (line: string): void => void (found = JSON.parse(line))
  if (format === 'text') print('unverified decoding')
  await decodeBench.run({ format, values: {}, print: format === 'json' ? keep : print })
  if (format === 'text') print('')
  return found
}

// ---- Repositories

interface RepoOutcome {
  readonly seconds: number
  readonly cpu_seconds: number
  readonly rss_growth_mib: number
  readonly rival_seconds: number
  readonly rival_cpu_seconds: number
  readonly rival_rss_growth_mib: number
  readonly ratio: number
  readonly ratio_cpu: number
}

interface Repository {
  readonly records: number
  readonly bytes: number
  readonly orders: Readonly<Record<CarOrder, RepoOutcome>>
}

async function measureRepository(path: string): Promise<Repository> {
  const cars = await writeRepoCars(path, REPO_RECORDS)
  const outcomes: [CarOrder, RepoOutcome][] = []
  for (const order of ORDERS) outcomes.push([order, await measureOrder(cars, order)])
  const orders = Object.fromEntries(outcomes) as Record<CarOrder, RepoOutcome>
  return { records: cars.records, bytes: cars.bytes, orders }
}

async function measureOrder(cars: RepoCars, order: CarOrder): Promise<RepoOutcome> {
  const ours: RepoVerifyFindings[] = []
  const theirs: RepoVerifyFindings[] = []
  for (let round = 0; round < REPO_ROUNDS; round++) {
    for (const [side, found] of [
      ['skein', ours],
      ['rival', theirs],
    ] as const) {
      const args = [side, cars.paths[order], REPO_DID, cars.key]
      const findings = (await runScript('./repo-verify.ts', args)) as RepoVerifyFindings
      assert(findings.records === cars.records, 'every record is verified')
      found.push(findings)
    }
  }
  return {
    seconds: rounded(middle(ours, 'wallUs') / 1e6),
    cpu_seconds: rounded(middle(ours, 'cpuUs') / 1e6),
    rss_growth_mib: rounded(Math.max(...ours.map(({ rssGrowthMib }) => rssGrowthMib))),
    rival_seconds: rounded(middle(theirs, 'wallUs') / 1e6),
    rival_cpu_seconds: rounded(middle(theirs, 'cpuUs') / 1e6),
    rival_rss_growth_mib: rounded(middle(theirs, 'rssGrowthMib')),
    ratio: rounded(middle(theirs, 'wallUs') / middle(ours, 'wallUs')),
    ratio_cpu: rounded(middle(theirs, 'cpuUs') / middle(ours, 'cpuUs')),
  }
}

function sayRepository(say: Say, { records, bytes, orders }: Repository): void {
  const size = `${records.toLocaleString('en')} records, ${(bytes / 1e6).toFixed(1)} MB`
  say(`verification of a CAR of ${size}, medians of ${REPO_ROUNDS} processes each`)
  for (const order of ORDERS) {
    const found = orders[order]
    say(`in ${order} order${['seconds', 'CPU s', 'RSS +MiB'].map(cell).join('')}`)
    const row = (name: string, cells: readonly number[]): void =>
      say(`${name.padEnd(19)}${cells.map((n) => cell(String(n))).join('')}`)
    row('skein', [found.seconds, found.cpu_seconds, found.rss_growth_mib])
    row('@atproto/repo', [found.rival_seconds, found.rival_cpu_seconds, found.rival_rss_growth_mib])
    say(`ratio ${found.ratio_cpu} (CPU), ${found.ratio} (wall)`)
  }
  say('')
}

// ---- Falling behind

async function measureBehind({ endpoint, plcUrl }: ReplayProcess): Promise<BehindFindings> {
  return (await runScript('./consumer-behind.ts', [endpoint, plcUrl])) as BehindFindings
}

function sayBehind(say: Say, found: BehindFindings): void {
  say(`a handler that has kept up and becomes too slow, for ${found.seconds} s`)
  say(`  ${found.handled} events handled, ${found.received} received`)
  say(`  held back ${Math.round(found.heldShare * 100)} % of the time`)
  const mib = (found.waitingBytesMost / 2 ** 20).toFixed(1)
  say(`  at most ${found.waitingFramesMost} frames waited, ${mib} MiB`)
  say(`  RSS every two seconds, MiB: ${found.rssMib.join(' ')}`)
  const growth = `${rounded(found.rssGrowthMib)} MiB from the first third to the last`
  say(`  growth: ${growth}, at most ${rounded(found.rssPeakMib)} MiB`)
}

/** Runs a script of this folder; gives the JSON that it prints. */
async function runScript(script: string, args: readonly string[]): Promise<unknown> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [path, ...args])
  return JSON.parse(must(stdout.split('\n')[0], 'line')) as unknown
}

function middle<T>(found: readonly (T & Readonly<Record<keyof T, number>>)[], of: keyof T): number {
  return median(found.map((findings) => findings[of]))
}

function cell(text: string): string {
  return text.padStart(15)
}

function rate(us: number): number {
  return Math.round(1e6 / us)
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
