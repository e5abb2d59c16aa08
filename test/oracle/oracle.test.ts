/** A short run of the oracle; `npm run oracle -- --seeds N` is the long one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHANGES } from '../../src/sim/account-changes.ts'
import { DNS_FAULTS, QUIET_FAULTS, STREAM_FAULTS } from '../../src/sim/faults.ts'
import { LIES } from '../../src/sim/lies.ts'
import { type OracleReport, runOracle } from './oracle.ts'

/** Enough for each fault and each lie to have its turn. */
const ROUNDS = 22
const SEED = 1

async function run(seed: number): Promise<OracleReport> {
  try {
    return await runOracle({ seed, rounds: ROUNDS })
  } catch (error) {
    throw new Error(`seed ${seed}: npm run oracle -- --seed ${seed}`, { cause: error })
  }
}

function missing(wanted: readonly string[], found: ReadonlySet<string>): string[] {
  return wanted.filter((name) => !found.has(name))
}

test('I3, I4, I6: through lies and faults, what a relay sends on is what is true', async () => {
  const report = await run(SEED)
  assert.deepEqual(report.faults, [], `npm run oracle -- --seed ${SEED}`)

  // What did not happen proves nothing.
  assert.ok(report.events > 500, `${report.events} events`)
  const names = LIES.map(({ name }) => name)
  assert.deepEqual(missing(names, report.told), [], 'lies that were not told')
  const fired = new Set(Object.keys(report.fired))
  assert.deepEqual(missing([...STREAM_FAULTS, ...QUIET_FAULTS, ...DNS_FAULTS], fired), [], 'faults')
  assert.deepEqual(missing(CHANGES, report.changed), [], 'changes of accounts')
})
