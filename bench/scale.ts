/**
 * A relay that knows millions of accounts and thousands of hosts: what its state takes on disk and
 * in memory, how long a start takes, what look-ups and writes cost, and how many commits a second
 * it takes in from accounts drawn at random.
 *
 * State and traffic are made once and kept in the directory for temporary files, and used again for
 * half a day. Identities are in the state, so that nobody asks a directory; hosts without traffic
 * refuse connections. A process each: the hosts, the relay, and this one, which is its subscriber.
 */
import { closeSync, copyFileSync, existsSync, fsyncSync, mkdirSync, mkdtempSync } from 'node:fs'
import { openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'

import { assert } from '../src/lib/assert.ts'
import type { Bench, BenchContext } from './bench.ts'
import type { LookupCost, LookupFindings } from './scale-lookups.ts'
import { ScaleProcess } from './scale-process.ts'
import type { RelayFigures } from './scale-relay.ts'
import { buildState, FIRST_PORT, type ScaleState } from './scale-state.ts'
import { prepareTraffic, writeTraffic } from './scale-traffic.ts'

const ACCOUNTS = 5_000_000
const HOSTS = 5_000
const ACTIVE_HOSTS = 8
/** Accounts with a commit each: 20 seconds of the aim of 6,000 a second. */
const SIGNERS = 120_000
/** Identities are current for a day. */
const KEPT_MS = 12 * 3_600_000
/** Raised whenever what is made changes. */
const FORMAT = 1
/** How long the load lasts at most. */
const SECONDS = 60
const POLL_MS = 2_000
const PATIENCE_MS = 10 * 60_000

export const scaleBench: Bench = {
  options: {
    accounts: { value: 'N', text: `accounts that are known [${ACCOUNTS}]` },
    hosts: { value: 'H', text: `hosts that are known [${HOSTS}]` },
    commits: { value: 'N', text: `accounts that send a commit [${SIGNERS}]` },
    rate: { value: 'R', text: 'commits a second that are offered [as many as are taken]' },
    seconds: { value: 'S', text: `longest load [${SECONDS}]` },
  },
  run,
}

/** How traffic is offered. */
interface Load {
  /** Commits a second; null for as many as are taken. */
  readonly rate: number | null
  readonly seconds: number
}

interface Built extends ScaleState {
  readonly directory: string
  /** Null when it was there. */
  readonly buildSeconds: number | null
}

interface Run {
  readonly boot_s: number
  readonly rss_mib_after_boot: number
  readonly hosts_tried_s: number
  readonly stall_ms_while_starting: number
  readonly commits_per_s: number
  readonly commits: number
  /** Null for as many as are taken. */
  readonly commits_offered_per_s: number | null
  readonly cpu_us_per_commit: number
  readonly stall_ms_under_load: number
  readonly stall_p99_ms_under_load: number
  readonly rss_mib_peak: number
  readonly account_cache_mib: number
  readonly identity_cache_mib: number
  readonly checkpoints: number
  readonly checkpoints_held: number
  readonly restart_s: number
}

async function run({ format, print, values }: BenchContext): Promise<void> {
  const say = (line: string): void => void (format === 'text' && print(line))
  const accounts = integer(values['accounts'], ACCOUNTS)
  const state: ScaleState = {
    accounts,
    hosts: Math.max(ACTIVE_HOSTS + 1, integer(values['hosts'], HOSTS)),
    signers: Math.min(accounts, integer(values['commits'], SIGNERS)),
    activeHosts: ACTIVE_HOSTS,
  }
  const built = await build(state)
  const load: Load = {
    rate: values['rate'] === undefined ? null : integer(values['rate'], 0),
    seconds: integer(values['seconds'], SECONDS),
  }
  const directory = mkdtempSync(join(tmpdir(), 'skein-scale-run-'))
  try {
    const file = join(directory, 'state.sqlite')
    copyToDisk(join(built.directory, 'state.sqlite'), file)
    const diskBytes = statSync(file).size
    sayState(say, built, diskBytes)
    const relay = await runRelay(built, directory, load)
    sayRelay(say, relay, state)
    const lookups = await measureLookups(directory, state)
    sayLookups(say, lookups)
    const disk = { bytes: diskBytes, bytes_per_account: Math.round(diskBytes / accounts) }
    if (format === 'json') print(JSON.stringify({ ...state, disk, relay, lookups }))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Copies, and waits for the disk, which is not to be busy with the copy while others measure. */
function copyToDisk(from: string, to: string): void {
  copyFileSync(from, to)
  const copy = openSync(to, 'r+')
  fsyncSync(copy)
  closeSync(copy)
}

function integer(text: unknown, otherwise: number): number {
  const value = Number(text ?? otherwise)
  assert(Number.isInteger(value) && value > 0, 'a whole number over 0')
  return value
}

// ---- What is made

async function build(state: ScaleState): Promise<Built> {
  const { accounts, hosts, signers } = state
  const directory = join(tmpdir(), `skein-bench-scale-${FORMAT}-${accounts}-${hosts}-${signers}`)
  const done = join(directory, 'done')
  const isThere = existsSync(done) && Date.now() - Number(readFileSync(done, 'utf8')) < KEPT_MS
  if (isThere) return { ...state, directory, buildSeconds: null }
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const startedMs = performance.now()
  const parts = await prepareTraffic()
  await buildState(join(directory, 'state.sqlite'), state, parts.keys, parts.head)
  await writeTraffic(join(directory, 'traffic'), state, parts)
  writeFileSync(done, String(Date.now()))
  return { ...state, directory, buildSeconds: (performance.now() - startedMs) / 1_000 }
}

// ---- What is measured

async function runRelay(built: Built, directory: string, { rate, seconds }: Load): Promise<Run> {
  await using hosts = new ScaleProcess('./scale-hosts.ts', [
    join(built.directory, 'traffic'),
    ...(rate === null ? [] : [String(rate)]),
  ])
  const { frames } = (await hosts.next()) as { readonly frames: number }
  const args = [directory, `http://localhost:${FIRST_PORT}`]
  const first = await start(args, async (relay, booted) => {
    const tried = await untilHostsAreTried(relay)
    const stream = await Stream.open(booted.address)
    const before = (await relay.ask('figures')) as RelayFigures
    hosts.send('start')
    const counted = await stream.count(frames, seconds)
    const after = (await relay.ask('figures')) as RelayFigures
    stream.close()
    return { tried, counted, before, after }
  })
  const again = await start(args, () => Promise.resolve(null))
  const { tried, counted, before, after } = first.found
  return {
    boot_s: rounded(first.bootSeconds),
    rss_mib_after_boot: Math.round(first.booted.rssMib),
    hosts_tried_s: rounded(tried.seconds),
    stall_ms_while_starting: Math.round(tried.stallMs),
    commits_per_s: Math.round(counted.perSecond),
    commits: counted.commits,
    commits_offered_per_s: rate,
    cpu_us_per_commit: Math.round(((after.cpuMs - before.cpuMs) * 1_000) / counted.commits),
    stall_ms_under_load: Math.round(after.stallMs),
    stall_p99_ms_under_load: Math.round(after.stallP99Ms),
    rss_mib_peak: Math.round(after.rssPeakMib),
    account_cache_mib: rounded(metric(after, 'skein_account_cache_bytes') / 2 ** 20),
    identity_cache_mib: rounded(metric(after, 'skein_identity_cache_bytes') / 2 ** 20),
    checkpoints: metric(after, 'skein_checkpoints_total{writers="free"}'),
    checkpoints_held: metric(after, 'skein_checkpoints_total{writers="held"}'),
    restart_s: rounded(again.bootSeconds),
  }
}

interface Started<T> {
  readonly bootSeconds: number
  readonly booted: RelayFigures
  readonly found: T
}

/** Starts the relay's process, and ends it when `use` is through. */
async function start<T>(
  args: readonly string[],
  use: (relay: ScaleProcess, booted: RelayFigures) => Promise<T>,
): Promise<Started<T>> {
  const startedMs = performance.now()
  await using relay = new ScaleProcess('./scale-relay.ts', args)
  const booted = (await relay.next()) as RelayFigures
  const bootSeconds = (performance.now() - startedMs) / 1_000
  return { bootSeconds, booted, found: await use(relay, booted) }
}

async function untilHostsAreTried(
  relay: ScaleProcess,
): Promise<{ readonly seconds: number; readonly stallMs: number }> {
  const startedMs = performance.now()
  let stallMs = 0
  for (;;) {
    const figures = (await relay.ask('figures')) as RelayFigures
    stallMs = Math.max(stallMs, figures.stallMs)
    const elapsedMs = performance.now() - startedMs
    if (figures.hostsToStart === 0) return { seconds: elapsedMs / 1_000, stallMs }
    assert(elapsedMs < PATIENCE_MS, 'the hosts are tried in time')
    await setTimeout(POLL_MS)
  }
}

function metric({ metrics }: RelayFigures, name: string): number {
  const line = metrics.split('\n').find((text) => text.startsWith(`${name} `))
  return line === undefined ? 0 : Number(line.slice(name.length))
}

interface Counted {
  readonly commits: number
  readonly perSecond: number
}

/** A subscriber that counts. */
class Stream {
  readonly #socket: WebSocket

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  static async open(address: string): Promise<Stream> {
    const socket = new WebSocket(`ws://${address}/xrpc/com.atproto.sync.subscribeRepos`)
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    return new Stream(socket)
  }

  /** Counts messages from now on until `frames` have come, or for `seconds`. */
  async count(frames: number, seconds: number): Promise<Counted> {
    const startedMs = performance.now()
    let commits = 0
    const all = new Promise<void>((resolve, reject) => {
      this.#socket.on('message', () => {
        commits++
        if (commits === frames) resolve()
      })
      this.#socket.once('close', () => reject(new Error(`the stream ended after ${commits}`)))
    })
    await Promise.race([all, setTimeout(seconds * 1_000, undefined, { ref: false })])
    assert(commits > 0, 'commits come through')
    return { commits, perSecond: (commits * 1_000) / (performance.now() - startedMs) }
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.close()
  }
}

async function measureLookups(directory: string, state: ScaleState): Promise<LookupFindings> {
  const args = [directory, String(state.accounts)]
  await using lookups = new ScaleProcess('./scale-lookups.ts', args)
  return (await lookups.next()) as LookupFindings
}

// ---- What is said

type Say = (line: string) => void

function sayState(say: Say, built: Built, diskBytes: number): void {
  const made =
    built.buildSeconds === null ? 'made before' : `made in ${built.buildSeconds.toFixed(0)} s`
  say(`${count(built.accounts)} accounts and identities, ${count(built.hosts)} hosts; ${made}`)
  const each = Math.round(diskBytes / built.accounts)
  say(
    `  disk                ${(diskBytes / 1e6).toFixed(0)} MB, ${each} bytes an account with its identity`,
  )
}

function sayRelay(say: Say, found: Run, state: ScaleState): void {
  say('a relay on it, in a process of its own')
  say(
    `  serves after        ${found.boot_s} s from the start of its process; again ${found.restart_s} s`,
  )
  say(
    `  RSS                 ${found.rss_mib_after_boot} MiB then, ${found.rss_mib_peak} MiB at most`,
  )
  say(`  hosts               all ${count(state.hosts)} tried after ${found.hosts_tried_s} s`)
  say(`  longest stall       ${found.stall_ms_while_starting} ms meanwhile`)
  const rate = found.commits_offered_per_s
  const offered = rate === null ? 'as fast as they are taken' : `${count(rate)}/s offered`
  say(`${count(found.commits)} commits of as many accounts, spread over all, ${offered}`)
  say(
    `  taken in            ${count(found.commits_per_s)} commits/s, all of them seen by a subscriber`,
  )
  say(`  CPU                 ${found.cpu_us_per_commit} µs a commit, all threads`)
  say(
    `  longest stall       ${found.stall_ms_under_load} ms; 99 % under ${found.stall_p99_ms_under_load} ms`,
  )
  const held = `${found.checkpoints_held} of them held the writer up`
  say(`  checkpoints         ${found.checkpoints + found.checkpoints_held}; ${held}`)
  say(
    `  caches              accounts ${found.account_cache_mib} MiB, identities ${found.identity_cache_mib} MiB`,
  )
}

function sayLookups(say: Say, found: LookupFindings): void {
  say('accounts drawn at random, one thread         CPU µs   wall µs')
  const row = (name: string, { cpuUs, wallUs }: LookupCost): void =>
    say(`  ${name.padEnd(40)}${[cpuUs, wallUs].map((us) => us.toFixed(1).padStart(9)).join('')}`)
  row('account, first look-ups of a process', found.accountFirst)
  row('account from the database', found.accountCold)
  row('account from memory', found.accountWarm)
  row('identity from the database', found.identityCold)
  row('identity from memory', found.identityWarm)
  row('new head, in batches of 512', found.upsert)
  const ms = `${found.batchMedianMs.toFixed(1)} ms, ${found.batchLongestMs.toFixed(1)} ms at most`
  say(`  a batch takes ${ms}; ${found.passes} checkpoints beside ${found.batches} batches`)
}

function count(n: number): string {
  return n.toLocaleString('en')
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
