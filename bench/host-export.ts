/** Exports one repository in a fresh process, so that its memory is that of the export. */
import { copyFile, open, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { assert, must } from '../src/lib/assert.ts'
import { systemClock } from '../src/lib/clock.ts'
import { RepoHost } from '../src/repo-host/repo-host.ts'
import { type Cost, costOf, median } from './bench.ts'

const ROUNDS = 5
const MIB = 2 ** 20
/** Pieces between two looks at the memory: 4 MiB. */
const LOOK_PIECES = 64

/** What was found, as one line of JSON on standard output. */
export interface ExportFindings {
  readonly bytes: number
  readonly megabytesPerSecond: number
  /** By the CPU time that it took: says more on a machine that others use too. */
  readonly megabytesPerCpuSecond: number
  readonly toFileMegabytesPerSecond: number
  readonly copyMegabytesPerSecond: number
  /** The most over what the process had before the first export. */
  readonly rssGrowthMib: number
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1_000
}

let rssPeak = 0

/** Calls `take` with each piece; gives the number of bytes. */
async function exportTo(
  host: RepoHost,
  did: string,
  take: (piece: Uint8Array) => Promise<unknown> | null,
): Promise<number> {
  const opened = host.repoCar(did, null)
  assert(opened !== null && opened !== 'busy', 'an export is opened')
  let bytes = 0
  let pieces = 0
  for await (const piece of opened.chunks) {
    bytes += piece.length
    if (++pieces % LOOK_PIECES === 0) rssPeak = Math.max(rssPeak, process.memoryUsage.rss())
    await take(piece)
  }
  return bytes
}

async function measure(directory: string, did: string): Promise<ExportFindings> {
  await using host = await RepoHost.open({ directory, clock: systemClock })
  const before = process.memoryUsage().rss
  let bytes = 0
  const nowhere: Cost[] = []
  const toFile: number[] = []
  const copy: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    nowhere.push(
      await costOf(async () => {
        bytes = await exportTo(host, did, () => null)
      }),
    )
  }
  const rssGrowthMib = (rssPeak - before) / MIB
  const [target, copied] = [join(directory, 'bench.car'), join(directory, 'bench-copy.car')]
  for (let round = 0; round < ROUNDS; round++) {
    toFile.push(
      await secondsOf(async () => {
        await using file = await open(target, 'w')
        await exportTo(host, did, (piece) => file.write(piece))
      }),
    )
    await rm(copied, { force: true })
    copy.push(await secondsOf(() => copyFile(target, copied)))
  }
  const speed = (seconds: readonly number[]): number => bytes / 1e6 / median(seconds)
  return {
    bytes,
    megabytesPerSecond: speed(nowhere.map(({ wallUs }) => wallUs / 1e6)),
    megabytesPerCpuSecond: speed(nowhere.map(({ cpuUs }) => cpuUs / 1e6)),
    toFileMegabytesPerSecond: speed(toFile),
    copyMegabytesPerSecond: speed(copy),
    rssGrowthMib,
  }
}

const [directory, did] = process.argv.slice(2)
const findings = await measure(must(directory, 'directory'), must(did, 'DID'))
process.stdout.write(`${JSON.stringify(findings)}\n`)
