/** What is known to kill each mutant, and how a run differs from it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TrialOutcome } from './trial.ts'

/** By the mutant's name: the test that kills it, as `path: title`. */
export type Baseline = Readonly<Record<string, string>>

const PATH = fileURLToPath(new URL('baseline.json', import.meta.url))

export function readBaseline(): Baseline {
  return JSON.parse(readFileSync(PATH, 'utf8')) as Baseline
}

/** Sorted by name, so that a change of one mutant is a change of one line. */
export function writeBaseline(baseline: Baseline): void {
  const sorted = Object.entries(baseline).sort(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(PATH, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`)
}

/** How a run stands to the baseline. */
export interface Comparison {
  /** What makes the run fail. */
  readonly faults: readonly string[]
  /** What is worth a look. */
  readonly notes: readonly string[]
}

export function compare(
  outcomes: ReadonlyMap<string, TrialOutcome>,
  baseline: Baseline,
): Comparison {
  const faults: string[] = []
  const notes: string[] = []
  for (const [name, outcome] of outcomes) {
    const before = baseline[name]
    if (outcome.kind === 'unloadable') faults.push(`${name}: the mutant cannot be loaded`)
    else if (outcome.kind === 'survived') {
      faults.push(
        before === undefined
          ? `${name}: survives; no test notices it`
          : `${name}: survives; it was killed by ${before}`,
      )
    } else if (before === undefined) {
      faults.push(`${name}: not in the baseline; killed by ${outcome.by} (--update takes it in)`)
    } else if (before !== outcome.by) {
      notes.push(`${name}: killed by ${outcome.by}, in the baseline by ${before}`)
    }
  }
  return { faults, notes }
}
