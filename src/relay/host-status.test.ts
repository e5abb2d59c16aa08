import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostStatus, IDLE_AFTER_MS, OFFLINE_AFTER_ATTEMPTS, type HostFacts } from './host-status.ts'

const GOOD: HostFacts = { banned: false, connected: true, attempt: 0, silentMs: 5, limited: false }

test('a status follows from the facts, the gravest first', () => {
  const away = { connected: false, attempt: OFFLINE_AFTER_ATTEMPTS }
  const cases: [Partial<HostFacts>, string][] = [
    [{}, 'active'],
    [{ silentMs: IDLE_AFTER_MS }, 'active'],
    [{ silentMs: IDLE_AFTER_MS + 1 }, 'idle'],
    [{ silentMs: null }, 'idle'],
    [{ limited: true }, 'throttled'],
    [{ limited: true, silentMs: null }, 'throttled'],
    [{ connected: false, attempt: OFFLINE_AFTER_ATTEMPTS - 1 }, 'active'],
    [{ attempt: OFFLINE_AFTER_ATTEMPTS }, 'active'],
    [away, 'offline'],
    [{ ...away, limited: true }, 'offline'],
    [{ ...away, limited: true, banned: true }, 'banned'],
  ]
  for (const [facts, status] of cases) {
    assert.equal(hostStatus({ ...GOOD, ...facts }), status, JSON.stringify(facts))
  }
})
