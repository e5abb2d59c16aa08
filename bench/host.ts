/**
 * How fast a repository host commits and exports.
 *
 * Commits: single records on a repository of 5,000, signed, with the covering proof, as a CAR; ours
 * durable in database and log and published besides. `@atproto/repo` does the same in memory and
 * keeps nothing durable. Both sign with secp256k1, each with what it comes with.
 *
 * Export: a repository of 100,000 records, in a process of its own, beside a copy of the same bytes
 * as a file.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

import { blocksToCarFile, MemoryBlockstore, Repo, WriteOpAction } from '@atproto/repo'

import { PrivateKey } from '../src/crypto/private-key.ts'
import { sha256 } from '../src/crypto/sha256.ts'
import { assert } from '../src/lib/assert.ts'
import { utf8 } from '../src/lib/bytes.ts'
import { systemClock } from '../src/lib/clock.ts'
import { RepoHost } from '../src/repo-host/repo-host.ts'
import { type Bench, type BenchContext, type Cost, costOf, median } from './bench.ts'
import type { ExportFindings } from './host-export.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const COLLECTION = 'app.bsky.feed.post'
const COMMIT_RECORDS = 5_000
const EXPORT_RECORDS = 100_000
/** Rounds of each side, in turn, so that both see the same weather on a shared machine. */
const ROUNDS = 7
const COMMITS = 600
/** The rival takes about three times as long. */
const RIVAL_COMMITS = 200
/** Calls at once: what a busy host has waiting. */
const CONCURRENT = 50

export const hostBench: Bench = {
  run,
}

/** A record of about the size of a post. */
function recordOf(n: number): Record<string, unknown> {
  return {
    $type: COLLECTION,
    text: `${n}: ${'a few words of a post that nobody will read '.repeat(3)}`,
    langs: ['en'],
    reply: { root: { uri: `at://${DID}/${COLLECTION}/${n}` }, parent: { depth: n % 7 } },
    createdAt: '2026-01-01T00:00:00.000Z',
  }
}

/** Record keys as authors make them: rising, like TIDs. */
const rkeyOf = (n: number): string => `3kabc${n.toString(32).padStart(8, '0')}`

async function run(context: BenchContext): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-bench-'))
  try {
    const commits = await measureCommits(join(directory, 'commits'))
    const exported = await measureExport(join(directory, 'export'))
    report(context, commits, exported)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function openHost(directory: string, records: number): Promise<RepoHost> {
  const host = await RepoHost.open({ directory, clock: systemClock })
  const key = PrivateKey.import('k256', sha256(utf8('bench')))
  assert((await host.createAccount({ did: DID, key })).ok, 'the account is created')
  for (let start = 0; start < records; start += 200) {
    const writes = Array.from({ length: 200 }, (_, i) => ({
      action: 'create' as const,
      path: `${COLLECTION}/${rkeyOf(start + i)}`,
      record: recordOf(start + i),
    }))
    assert((await host.applyWrites(DID, writes)).ok, 'the records are written')
  }
  return host
}

interface CommitFindings {
  readonly ours: readonly Cost[]
  readonly rival: readonly Cost[]
}

async function measureCommits(directory: string): Promise<CommitFindings> {
  await using host = await openHost(directory, COMMIT_RECORDS)
  const rival = await openRival()
  let next = COMMIT_RECORDS
  const ours: Cost[] = []
  const theirs: Cost[] = []
  // One round more than is counted: the compiler has to have seen the code.
  for (let round = 0; round <= ROUNDS; round++) {
    const own = await costOf(() => commitAll(host, next, COMMITS))
    next += COMMITS
    const other = await costOf(() => rival(RIVAL_COMMITS))
    if (round === 0) continue
    ours.push(each(own, COMMITS))
    theirs.push(each(other, RIVAL_COMMITS))
  }
  return { ours, rival: theirs }
}

const each = ({ cpuUs, wallUs }: Cost, count: number): Cost => ({
  cpuUs: cpuUs / count,
  wallUs: wallUs / count,
})

async function commitAll(host: RepoHost, from: number, count: number): Promise<void> {
  const before = host.log.publishedSeq
  for (let start = from; start < from + count; start += CONCURRENT) {
    const calls = Array.from({ length: CONCURRENT }, (_, i) =>
      host.putRecord(DID, `${COLLECTION}/${rkeyOf(start + i)}`, { record: recordOf(start + i) }),
    )
    for (const answer of await Promise.all(calls)) assert(answer.ok, 'the record is written')
  }
  assert(host.log.publishedSeq === before + count, 'each is a commit of its own')
}

interface RivalCrypto {
  readonly Secp256k1Keypair: {
    create(): Promise<Parameters<typeof Repo.create>[2]>
  }
}

/** A repository of the reference implementation; the function makes so many commits on it. */
async function openRival(): Promise<(count: number) => Promise<void>> {
  // Its own cryptography, found through it.
  const require = createRequire(import.meta.resolve('@atproto/repo'))
  const url = pathToFileURL(require.resolve('@atproto/crypto')).href
  const { Secp256k1Keypair } = (await import(url)) as RivalCrypto
  const key = await Secp256k1Keypair.create()
  const action = WriteOpAction.Create as const
  const write = (n: number) => ({
    action,
    collection: COLLECTION,
    rkey: rkeyOf(n),
    record: recordOf(n) as never,
  })
  const first = Array.from({ length: COMMIT_RECORDS }, (_, n) => write(n)) as never
  let repo = await Repo.create(new MemoryBlockstore(), DID, key, first)
  let next = COMMIT_RECORDS
  return async (count) => {
    for (let i = 0; i < count; i++) {
      const commit = await repo.formatCommit(write(next++) as never, key)
      const blocks = commit.newBlocks
      blocks.addMap(commit.relevantBlocks)
      const car = await blocksToCarFile(commit.cid, blocks)
      assert(car.length > 1_000, 'the commit has its proof')
      repo = await repo.applyCommit(commit)
    }
  }
}

async function measureExport(directory: string): Promise<ExportFindings> {
  const host = await openHost(directory, EXPORT_RECORDS)
  await host.close()
  const script = fileURLToPath(new URL('./host-export.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script, directory, DID])
  return JSON.parse(stdout) as ExportFindings
}

function report(
  { format, print }: BenchContext,
  { ours, rival }: CommitFindings,
  exported: ExportFindings,
): void {
  const wall = median(ours.map(({ wallUs }) => wallUs))
  const cpu = median(ours.map(({ cpuUs }) => cpuUs))
  const rivalWall = median(rival.map(({ wallUs }) => wallUs))
  const rivalCpu = median(rival.map(({ cpuUs }) => cpuUs))
  const copies = exported.megabytesPerSecond / exported.copyMegabytesPerSecond
  if (format === 'json') {
    print(
      JSON.stringify({
        commits_per_s: Math.round(1e6 / wall),
        rival_commits_per_s: Math.round(1e6 / rivalWall),
        ratio: rounded(rivalWall / wall),
        us_cpu_per_commit: rounded(cpu),
        rival_us_cpu_per_commit: rounded(rivalCpu),
        commit_repository_records: COMMIT_RECORDS,
        export_records: EXPORT_RECORDS,
        export_bytes: exported.bytes,
        export_mb_per_s: rounded(exported.megabytesPerSecond),
        export_mb_per_cpu_s: rounded(exported.megabytesPerCpuSecond),
        export_to_file_mb_per_s: rounded(exported.toFileMegabytesPerSecond),
        copy_mb_per_s: rounded(exported.copyMegabytesPerSecond),
        export_per_copy: rounded(copies),
        export_rss_growth_mib: rounded(exported.rssGrowthMib),
        rounds: ROUNDS,
      }),
    )
    return
  }
  print(`commits of one record on ${COMMIT_RECORDS} records, medians of ${ROUNDS} rounds`)
  print(`${''.padEnd(16)}${'commits/s'.padStart(12)}${'CPU us each'.padStart(14)}`)
  print(row('skein', wall, cpu))
  print(row('@atproto/repo', rivalWall, rivalCpu))
  print(`ratio ${rounded(rivalWall / wall)} (wall), ${rounded(rivalCpu / cpu)} (CPU)`)
  print('Ours is durable and published; the rival keeps its blocks in memory.')
  print('')
  print(`export of ${EXPORT_RECORDS} records, ${(exported.bytes / 1e6).toFixed(1)} MB`)
  print(`${'to nowhere'.padEnd(16)}${exported.megabytesPerSecond.toFixed(1).padStart(12)} MB/s`)
  print(`${'by CPU time'.padEnd(16)}${exported.megabytesPerCpuSecond.toFixed(1).padStart(12)} MB/s`)
  print(
    `${'to a file'.padEnd(16)}${exported.toFileMegabytesPerSecond.toFixed(1).padStart(12)} MB/s`,
  )
  print(
    `${'copy of a file'.padEnd(16)}${exported.copyMegabytesPerSecond.toFixed(1).padStart(12)} MB/s`,
  )
  print(`ratio to the copy ${rounded(copies)}; RSS grew by ${rounded(exported.rssGrowthMib)} MiB`)
}

function row(name: string, wallUs: number, cpuUs: number): string {
  const perSecond = Math.round(1e6 / wallUs).toLocaleString('en')
  return `${name.padEnd(16)}${perSecond.padStart(12)}${cpuUs.toFixed(1).padStart(14)}`
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
