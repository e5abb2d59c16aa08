/** `npm run mutants`: plants each deliberate bug in a copy and shows that some test notices. */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { messageOf } from '../../src/lib/errors.ts'
import { readText } from '../support/repository.ts'
import { MUTANTS } from './all-mutants.ts'
import { compare, readBaseline, writeBaseline } from './baseline.ts'
import { anchorFault, type Mutant, mutate, unifiedDiff } from './mutant.ts'
import { killTests } from './test-run.ts'
import { copyTree, repositoryFiles, type TreeCopy } from './tree-copy.ts'
import { CleanRuns, type TrialOutcome, tryMutant } from './trial.ts'

const HELP = `Usage: npm run mutants -- [options]

Plants small deliberate bugs, one at a time, in copies of the working tree, and runs the tests that
are expected to notice; when none does, those of the folder. The working tree is not touched.
Compares what killed each mutant with test/mutants/baseline.json, and ends with 1 when one survives,
cannot be planted any more or is not in the baseline.

  --only <name...>  these mutants alone
  --show <name>     print the mutant as a patch, and run nothing
  --list            print every mutant with the failure that it models, and run nothing
  --update          take what killed each mutant into the baseline
  --jobs <n>        how many at once (default: as many as there are processors, at most 4)
  --help            print this
`

/** More at once would make tests wait for each other rather than for what they wait for. */
const JOBS_MAX = 4

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Arguments {
  readonly mutants: readonly Mutant[]
  readonly task: 'run' | 'show' | 'list' | 'help'
  readonly baseline: 'compare' | 'update'
  readonly jobs: number
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true },
      show: { type: 'string' },
      list: { type: 'boolean' },
      update: { type: 'boolean' },
      jobs: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  const { only = [], show, jobs } = values
  if (only.length === 0 && positionals.length > 0) {
    throw new Error(`not understood: ${positionals.join(' ')}`)
  }
  if (jobs !== undefined && !/^[1-9]\d?$/.test(jobs)) throw new Error('--jobs: not from 1 to 99')
  const names = show === undefined ? [...only, ...positionals] : [show]
  const unknown = names.filter((name) => !MUTANTS.some((mutant) => mutant.name === name))
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')} (see --list)`)
  const task = values.list === true ? 'list' : show === undefined ? 'run' : 'show'
  return {
    mutants: names.length === 0 ? MUTANTS : MUTANTS.filter(({ name }) => names.includes(name)),
    task: values.help === true ? 'help' : task,
    baseline: values.update === true ? 'update' : 'compare',
    jobs: jobs === undefined ? Math.min(availableParallelism(), JOBS_MAX) : Number(jobs),
  }
}

function showPatch(mutant: Mutant): void {
  const text = readText(mutant.file)
  print(`${mutant.name}: ${mutant.models}`)
  process.stdout.write(unifiedDiff(mutant.file, text, mutate(mutant, text)))
}

function list(mutants: readonly Mutant[]): void {
  for (const { name, models, invariants, file } of mutants) {
    print(`${name} (${[file, ...invariants].join(', ')})\n  ${models}`)
  }
}

/** Has every copy work through `items` until none is left. */
async function share<T>(
  copies: readonly TreeCopy[],
  items: readonly T[],
  work: (item: T, copy: TreeCopy) => Promise<void>,
): Promise<void> {
  const left = [...items]
  await Promise.all(
    copies.map(async (copy) => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item, copy)
    }),
  )
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

/** Runs the tests that mutants name without any bug; returns those that do not pass. */
async function runClean(
  mutants: readonly Mutant[],
  clean: CleanRuns,
  copies: readonly TreeCopy[],
): Promise<string[]> {
  const startedMs = performance.now()
  const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))]
  const broken: string[] = []
  await share(copies, tests, async (test, copy) => {
    let outcome = await clean.run(test, copy)
    if (outcome.kind === 'failed') {
      print(`note: ${test} fails without a bug, and is run once more: ${outcome.title}`)
      outcome = await clean.runAgain(test, copy)
    }
    if (outcome.kind === 'passed' && outcome.tests > 0) return
    const what = outcome.kind === 'failed' ? `failed: ${outcome.title}` : outcome.kind
    broken.push(`${test}: ${what === 'passed' ? 'holds no tests' : what}`)
  })
  const took = seconds(performance.now() - startedMs)
  print(`${tests.length} test files without a bug: ${broken.length} fail (${took})`)
  return broken
}

function report(at: string, { name }: Mutant, outcome: TrialOutcome): void {
  if (outcome.kind === 'unloadable') {
    print(`${at} UNLOADABLE ${name}\n    ${outcome.detail.replaceAll('\n', '\n    ')}`)
  } else if (outcome.kind === 'survived') {
    const { testFiles, ms } = outcome
    print(`${at} SURVIVES   ${name} (${testFiles} test files, ${seconds(ms)})`)
  } else {
    const { by, how, test, ms } = outcome
    const remarks = [how === 'failed' ? [] : [how], test === 'named' ? [] : ['not named']].flat()
    print(`${at} killed     ${name} by ${by} (${[...remarks, seconds(ms)].join(', ')})`)
  }
}

async function runMutants({ mutants, baseline, jobs }: Arguments): Promise<number> {
  const startedMs = performance.now()
  const known = readBaseline()
  const files = repositoryFiles(ROOT)
  const { copies, remove } = copyTree(ROOT, files, Math.min(jobs, mutants.length))
  process.once('exit', () => {
    killTests()
    remove()
  })
  const clean = new CleanRuns()
  const broken = await runClean(mutants, clean, copies)
  if (broken.length > 0) {
    for (const line of broken) print(`  ${line}`)
    print('Nothing can be told by tests that fail by themselves.')
    return 1
  }
  const outcomes = new Map<string, TrialOutcome>()
  await share(copies, mutants, async (mutant, copy) => {
    const expected = known[mutant.name]
    const outcome = await tryMutant(mutant, { copy, clean, files, expected })
    outcomes.set(mutant.name, outcome)
    report(`${outcomes.size}/${mutants.length}`.padStart(7), mutant, outcome)
  })
  const killed = [...outcomes].flatMap(([name, outcome]) =>
    outcome.kind === 'killed' ? [[name, outcome.by] as const] : [],
  )
  if (baseline === 'update') {
    const names = new Set(MUTANTS.map(({ name }) => name))
    const kept = Object.entries(known).filter(([name]) => names.has(name) && !outcomes.has(name))
    writeBaseline(Object.fromEntries([...kept, ...killed]))
  }
  const { faults, notes } = compare(outcomes, baseline === 'update' ? readBaseline() : known)
  for (const note of notes) print(`note: ${note}`)
  for (const fault of faults) print(`FAULT: ${fault}`)
  const took = seconds(performance.now() - startedMs)
  print(`${killed.length} killed, ${mutants.length - killed.length} not (${took})`)
  return faults.length === 0 ? 0 : 1
}

async function main(): Promise<number> {
  let options: Arguments
  try {
    options = readArguments()
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}`)
    return 2
  }
  const { mutants, task } = options
  if (task === 'help') process.stdout.write(HELP)
  else if (task === 'list') list(mutants)
  else {
    const stale = mutants.flatMap((mutant) => anchorFault(mutant, readText(mutant.file)) ?? [])
    for (const fault of stale) print(`STALE: ${fault}`)
    if (stale.length > 0) return 1
    if (task === 'run') return runMutants(options)
    for (const mutant of mutants) showPatch(mutant)
  }
  return 0
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Ends through the exit handlers, which remove the copies.
  process.once(signal, () => process.exit(130))
}
process.exitCode = await main()
