/** What a run over one set of test vectors found, and where the vectors are. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** One set of vectors: `passed` of `total`, and a line for each that failed. */
export interface SuiteResult {
  readonly name: string
  readonly passed: number
  readonly total: number
  readonly failures: readonly string[]
}

/** Runs `check` over `cases`; it returns null for a pass, or what went wrong (so does a throw). */
export function runCases<T>(
  name: string,
  cases: readonly T[],
  check: (value: T) => string | null,
): SuiteResult {
  const failures: string[] = []
  for (const value of cases) {
    let failure: string | null
    try {
      failure = check(value)
    } catch (thrown) {
      failure = `threw ${String(thrown)}`
    }
    if (failure !== null) failures.push(failure)
  }
  return { name, passed: cases.length - failures.length, total: cases.length, failures }
}

/** The directory that holds `vectors/`, beside the repository; null when it is absent. */
export function findSharedDirectory(): string | null {
  const directory = fileURLToPath(new URL('../../../shared', import.meta.url))
  return existsSync(`${directory}/vectors`) ? directory : null
}
