import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SkeinError } from '../lib/errors.ts'
import { REASONS } from '../lib/reasons.ts'
import { environmentNameOf, type OptionTable } from './option-table.ts'
import { parseRelayOptions, RELAY_OPTIONS, relayOptions } from './relay-options.ts'

const isInvalid = (error: unknown): boolean =>
  error instanceof SkeinError && error.code === 'OPTION_INVALID'

test('the defaults are those of the documentation', () => {
  const options = parseRelayOptions()
  assert.deepEqual(options.bind, { host: '127.0.0.1', port: 2470 })
  assert.deepEqual(options.metricsBind, { host: '127.0.0.1', port: 2471 })
  assert.equal(options.data, './data')
  assert.equal(options.replayWindow, 72 * 60 * 60 * 1_000)
  assert.deepEqual(options.plc, ['https://plc.directory'])
  assert.equal(options.allowPrivateNetwork, false)
  assert.equal(options.requestCrawl, true)
  assert.deepEqual(options.checks, {})
})

test('every check that can be loosened is a reason, and none says whose event it is', () => {
  for (const name of RELAY_OPTIONS.checks.names) assert(Object.hasOwn(REASONS, name), name)
  const names: readonly string[] = RELAY_OPTIONS.checks.names
  for (const kept of ['signature-invalid', 'host-mismatch', 'rev-stale', 'did-invalid']) {
    assert(Object.hasOwn(REASONS, kept) && !names.includes(kept), kept)
  }
})

test('flags and variables do not collide', () => {
  const table: OptionTable = RELAY_OPTIONS
  const names = Object.entries(table).map(([key, spec]) => environmentNameOf(key, spec))
  assert.equal(new Set(names).size, names.length)
  assert(names.includes('SKEIN_HOST') && names.includes('SKEIN_CHECK'))
})

test('checks are set one by one', () => {
  const flags = { checks: ['rev-future=warn', 'inversion-mismatch=off'] }
  const { checks } = parseRelayOptions({ flags })
  assert.deepEqual(checks, { 'rev-future': 'warn', 'inversion-mismatch': 'off' })
})

test('no TLS needs the word of the operator', () => {
  for (const flags of [{ hosts: 'http://localhost:2583' }, { plc: 'http://localhost:2582' }]) {
    assert.throws(() => parseRelayOptions({ flags }), isInvalid)
    parseRelayOptions({ flags: { ...flags, allowPrivateNetwork: true } })
  }
})

test('no directory, or one port for two servers, is refused', () => {
  assert.throws(() => relayOptions({ plc: [] }), isInvalid)
  assert.throws(() => parseRelayOptions({ flags: { metricsBind: '127.0.0.1:2470' } }), isInvalid)
  relayOptions({
    bind: { host: '127.0.0.1', port: 0 },
    metricsBind: { host: '127.0.0.1', port: 0 },
  })
})
