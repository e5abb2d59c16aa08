/** Whether some test notices a bug. */
import { dirname } from 'node:path'
import type { Mutant } from './mutant.ts'
import { loadFault, runTest, type TestOutcome } from './test-run.ts'
import { plant, type TreeCopy } from './tree-copy.ts'

/** What came of one mutant. */
export type TrialOutcome =
  | {
      readonly kind: 'killed'
      /** `path: title of the test`. */
      readonly by: string
      readonly how: Exclude<TestOutcome['kind'], 'passed'>
      /** Whether the mutant names the test file, or the rest of the folder was needed. */
      readonly test: 'named' | 'wider'
      readonly ms: number
    }
  | { readonly kind: 'survived'; readonly testFiles: number; readonly ms: number }
  /** The mutant is at fault: its file cannot even be loaded. */
  | { readonly kind: 'unloadable'; readonly detail: string }

/** How long a test may take that passes in a second, ms: machines are busy at times. */
const LIMIT_MS_MIN = 45_000
/** How many times as long as without a bug. */
const LIMIT_FACTOR = 5
/** How long a test file may take of which nothing is known, ms. */
const UNKNOWN_LIMIT_MS = 300_000

/** What test files do without any bug: a failure counts only where there is none without it. */
export class CleanRuns {
  readonly #outcomes = new Map<string, TestOutcome>()
  readonly #leastMs: number

  /** @param bounds What a test file may take at least before it counts as hanging, ms. */
  constructor({ leastMs }: { readonly leastMs: number } = { leastMs: LIMIT_MS_MIN }) {
    this.#leastMs = leastMs
  }

  /** Runs the file in a copy without a bug, unless that has been done. */
  async run(test: string, copy: TreeCopy): Promise<TestOutcome> {
    return this.#outcomes.get(test) ?? this.runAgain(test, copy)
  }

  /** Runs the file once more: one that passed may fail now and then. */
  async runAgain(test: string, copy: TreeCopy): Promise<TestOutcome> {
    const outcome = await runTest(test, { ...copy, limitMs: UNKNOWN_LIMIT_MS })
    this.#outcomes.set(test, outcome)
    return outcome
  }

  /** How long the file may take with a bug, ms. */
  limitMs(test: string): number {
    const known = this.#outcomes.get(test)
    return known === undefined ? UNKNOWN_LIMIT_MS : Math.max(this.#leastMs, known.ms * LIMIT_FACTOR)
  }
}

/** Test files of a mutant's folder, and of the folder of `test` that has its layer's name. */
export function widerTests({ file, tests }: Mutant, files: readonly string[]): readonly string[] {
  const layer = file.split('/')[1] ?? ''
  return files.filter((path) => {
    if (!path.endsWith('.test.ts') || tests.includes(path)) return false
    return path.startsWith(`${dirname(file)}/`) || dirname(path) === `test/${layer}`
  })
}

export interface TrialOptions {
  /** Without a bug. */
  readonly copy: TreeCopy
  readonly clean: CleanRuns
  /** Paths of all files, for the tests of the folder. */
  readonly files: readonly string[]
  /** What killed the mutant last time; its test is tried first. */
  readonly expected: string | undefined
}

/** Tries one mutant. The copy is without a bug afterwards. */
export async function tryMutant(mutant: Mutant, options: TrialOptions): Promise<TrialOutcome> {
  const startedMs = performance.now()
  const { copy, files } = options
  const takeOut = plant(mutant, copy)
  try {
    const fault = await loadFault(mutant.file, { ...copy, limitMs: UNKNOWN_LIMIT_MS })
    if (fault !== null) return { kind: 'unloadable', detail: fault }
  } finally {
    takeOut()
  }
  const named = expectedFirst(mutant.tests, options.expected)
  const wider = widerTests(mutant, files)
  for (const test of [...named, ...wider]) {
    const killed = await killedBy(mutant, test, options)
    if (killed === null) continue
    const ms = performance.now() - startedMs
    return { ...killed, test: named.includes(test) ? 'named' : 'wider', ms }
  }
  const ms = performance.now() - startedMs
  return { kind: 'survived', testFiles: named.length + wider.length, ms }
}

function expectedFirst(tests: readonly string[], expected: string | undefined): readonly string[] {
  const first = tests.filter((test) => expected?.startsWith(`${test}: `) === true)
  return [...first, ...tests.filter((test) => !first.includes(test))]
}

/** Most runs of a test file with a mutant: a failure that is not the known one is seen twice. */
const RUNS_MAX = 3

/**
 * How a test file fails with the mutant; null when it does not, or fails without it as well. A
 * failure that the baseline does not know is not believed before it has come twice, with a pass
 * without the mutant after it.
 */
async function killedBy(
  mutant: Mutant,
  test: string,
  { copy, clean, expected }: TrialOptions,
): Promise<{ kind: 'killed'; by: string; how: Exclude<TestOutcome['kind'], 'passed'> } | null> {
  const seen = new Set<string>()
  for (let run = 0; run < RUNS_MAX; run++) {
    const outcome = await runPlanted(mutant, test, copy, clean)
    if (outcome.kind === 'passed') return null
    const by = `${test}: ${whatFailed(outcome)}`
    const killed = { kind: 'killed', by, how: outcome.kind } as const
    if (by === expected) return (await clean.run(test, copy)).kind === 'passed' ? killed : null
    const isSure = seen.has(by)
    seen.add(by)
    if ((await clean.runAgain(test, copy)).kind !== 'passed') return null
    if (isSure) return killed
  }
  return null
}

async function runPlanted(
  mutant: Mutant,
  test: string,
  copy: TreeCopy,
  clean: CleanRuns,
): Promise<TestOutcome> {
  const takeOut = plant(mutant, copy)
  try {
    return await runTest(test, { ...copy, limitMs: clean.limitMs(test) })
  } finally {
    takeOut()
  }
}

function whatFailed(outcome: Exclude<TestOutcome, { readonly kind: 'passed' }>): string {
  if (outcome.kind === 'failed') return outcome.title
  return outcome.kind === 'hung' ? '(hangs)' : '(the process ends with an error)'
}
