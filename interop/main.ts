/** Entry point: runs the harness once for each format of DID documents and reports. */

// oxlint-disable-next-line import/no-unassigned-import -- it is imported for what it sets
import './quiet.ts'

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { monotonicMs, withTimeout } from './net/wait.ts'
import type { Options } from './options.ts'
import { parseOptions, USAGE } from './options.ts'
import { checkRandomTrees } from './checks/random-trees.ts'
import { countOutcomes, formatChecks, formatReport } from './report/table.ts'
import type { RunReport } from './run.ts'
import { run } from './run.ts'
import type { DocumentFormat } from './world/plc.ts'

/** How long one run may take, ms; it takes two to three minutes. */
const RUN_TIMEOUT_MS = 10 * 60_000

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function runOne(format: DocumentFormat, options: Options): Promise<RunReport> {
  const directory = makeDirectory(options)
  const startMs = monotonicMs()
  let relayOutput = ''
  try {
    const work = run({
      format,
      entry: options.entry,
      directory,
      progress: (text) => {
        const seconds = ((monotonicMs() - startMs) / 1_000).toFixed(1).padStart(5)
        print(`${seconds} s  ${format}  ${text}`)
      },
      onRelayOutput: (text) => {
        relayOutput = (relayOutput + text).slice(-10_000)
        if (options.output === 'verbose') process.stdout.write(text)
      },
    })
    return await withTimeout(`the run with ${format} documents`, work, RUN_TIMEOUT_MS)
  } catch (error) {
    print(`the last that the relay printed:\n${relayOutput.slice(-4_000)}`)
    throw error
  }
}

/** A directory that is removed when this process exits, whatever the cause, after its children. */
function makeDirectory(options: Options): string {
  const directory = mkdtempSync(join(tmpdir(), 'skein-interop-'))
  if (options.files === 'keep') print(`files of the run: ${directory}`)
  else process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function main(options: Options): Promise<number> {
  const reports: RunReport[] = []
  for (const format of options.formats) reports.push(await runOne(format, options))
  const trees = await checkRandomTrees(options, print)
  const detail = options.output === 'verbose' ? 'every-event' : 'by-step'
  for (const report of reports) print(formatReport(report, detail).join('\n'))
  print(
    formatChecks(`random writes at the repository host, --seed ${options.seed}`, trees).join('\n'),
  )
  const { passed, failed } = countOutcomes(reports, trees)
  print(`\n${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Ends through the exit handlers, which kill the relay.
  process.once(signal, () => process.exit(130))
}
try {
  const options = parseOptions(process.argv.slice(2))
  if (options === null) print(USAGE)
  const code = options === null ? 0 : await main(options)
  // Foreign clients leave timers behind; nothing of the run is still at work.
  process.exit(code)
} catch (error) {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  process.exit(2)
}
