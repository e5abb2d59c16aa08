/**
 * Every suite over the vectors, and the outcome of a run once the known differences are set apart.
 */
import { KNOWN_DIFFERENCES } from './known-differences.ts'
import { run as runCrypto } from './suite-crypto.ts'
import { run as runDasl } from './suite-dasl.ts'
import { run as runDataModel } from './suite-data-model.ts'
import { run as runInteropMst } from './suite-interop-mst.ts'
import { run as runLegacyCommits } from './suite-legacy-commits.ts'
import { run as runMstDiff } from './suite-mst-diff.ts'
import { run as runPdsCapture } from './suite-pds-capture.ts'
import { run as runRelayFrames } from './suite-relay-frames.ts'
import type { SuiteResult } from './suite-result.ts'
import { run as runSyntax } from './suite-syntax.ts'

/** By name; each takes the directory that holds `vectors/`. */
export const SUITES: Readonly<
  Record<string, (sharedDirectory: string) => Promise<readonly SuiteResult[]>>
> = {
  syntax: runSyntax,
  crypto: runCrypto,
  'data-model': runDataModel,
  dasl: runDasl,
  'interop-mst': runInteropMst,
  'mst-diff': runMstDiff,
  'legacy-commits': runLegacyCommits,
  'relay-frames': runRelayFrames,
  'pds-capture': runPdsCapture,
}

/** A suite's failures, parted into those that are expected and those that are not. */
export interface JudgedResult extends SuiteResult {
  readonly known: readonly { readonly failure: string; readonly reason: string }[]
  readonly unexpected: readonly string[]
}

/** Sets the known differences of a result apart. A listed one that did not occur is unexpected. */
export function judge(result: SuiteResult): JudgedResult {
  const known: { readonly failure: string; readonly reason: string }[] = []
  const rest = new Set(result.failures)
  const unexpected: string[] = []
  for (const { suite, reason, cases } of KNOWN_DIFFERENCES) {
    if (suite !== result.name) continue
    for (const start of cases) {
      const failure = [...rest].find((line) => line.startsWith(`${start}:`))
      if (failure === undefined) unexpected.push(`${start}: passes, but is a known difference`)
      else {
        known.push({ failure, reason })
        rest.delete(failure)
      }
    }
  }
  return { ...result, known, unexpected: [...unexpected, ...rest] }
}
