/** A short run of the consumers' oracle; `npm run oracle -- --consumer` is the long one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runConsumerOracle } from './consumer.ts'

const SEED = 2
const ROUNDS = 10

test('through lies and faults, what consumers are told is what is true', async () => {
  const repeat = `npm run oracle -- --consumer --seed ${SEED} --rounds ${ROUNDS}`
  const report = await runConsumerOracle({ seed: SEED, rounds: ROUNDS })
  assert.deepEqual(report.faults, [], repeat)
  // What did not happen proves nothing.
  assert.ok(report.events > 200, `${report.events} events`)
  assert.ok(report.delivered > 300, `${report.delivered} deliveries`)
  assert.ok(report.refused > 5, `${report.refused} refusals`)
  assert.ok(report.repairs > 15, `${report.repairs} repositories fetched`)
  assert.ok(Object.keys(report.fired).length >= 6, JSON.stringify(report.fired))
})
