/** A short run with real hosts; `npm run oracle -- --hosts --seeds N` is the long one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MOVES, REAL_FAULTS, runRealHosts } from './real-hosts.ts'

/** Enough for each move and each fault to have its turn. */
const ROUNDS = 12
const SEED = 1
const AGAIN = `npm run oracle -- --hosts --seed ${SEED} --rounds ${ROUNDS}`

test('I1, I2, I6, I11: real hosts hold and serve what was acknowledged, killed or not', async () => {
  const report = await runRealHosts({ seed: SEED, rounds: ROUNDS })
  assert.deepEqual(report.faults, [], AGAIN)

  // What did not happen proves nothing.
  assert.ok(report.events > 150, `${report.events} events`)
  const missing = [...MOVES, ...REAL_FAULTS].filter((name) => !report.made.has(name))
  assert.deepEqual(missing, [], `what was never done: ${AGAIN}`)
})
