/**
 * A whole relay under load, killed at each of its crash points and then by chance;
 * `npm run oracle -- --kill N` is the long version.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CRASH_POINTS, type CrashPoint } from '../../src/lib/crash-point.ts'
import { runKills } from '../oracle/kill.ts'
import { LOG_POINTS, RELAY_POINTS } from './crash-point-lists.ts'

const SEED = 1
/** Events a second: enough for several batches in each life. */
const RATE = 100
/** Kills by chance, after those at the points. */
const MORE = 2
/** How long a point may take: each is sure to be come to. */
const PATIENCE_MS = 10_000

test('every crash point is driven, here or in the test of the log', () => {
  const driven = new Set<CrashPoint>([...LOG_POINTS, ...RELAY_POINTS].map(([point]) => point))
  assert.deepEqual([...driven].sort(), Object.keys(CRASH_POINTS).sort())
})

test('I1, I2, I6, I7, I8: killed at each crash point, a relay loses and repeats nothing', async () => {
  const report = await runKills({
    seed: SEED,
    rate: RATE,
    kills: RELAY_POINTS.length + MORE,
    plans: RELAY_POINTS.map(([point, nth]) => {
      return { kind: 'point', point, nth, patienceMs: PATIENCE_MS }
    }),
  })
  assert.deepEqual(report.violations, [])
  const missed = RELAY_POINTS.filter(([point]) => !report.struck.has(point))
  assert.deepEqual(missed, [], 'crash points that have not struck')
  assert.ok(report.kills === RELAY_POINTS.length + MORE, `${report.kills} kills`)
  // What did not happen proves nothing.
  assert.ok(report.events > 200, `${report.events} events`)
  assert.ok(report.replayed > 500, `${report.replayed} frames were read again`)
  assert.ok(report.cursors > 10, `${report.cursors} cursors were checked`)
})
