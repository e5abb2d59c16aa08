import assert from 'node:assert/strict'
import { test } from 'node:test'

import { tidOf } from '../../syntax/tid.ts'
import type { AccountView } from './account-view.ts'
import { differences } from './account-command.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const at = (offsetMs: number): string => tidOf((NOW_MS + offsetMs) * 1_000, 1)

const HOST: AccountView = {
  service: 'https://pds.example.com',
  role: 'host',
  status: 'active',
  rev: at(0),
  commit: 'bafyhost',
  error: null,
}

const CASES: readonly [string, Partial<AccountView>, Partial<AccountView>, RegExp | null][] = [
  ['all is equal', {}, {}, null],
  ['an event is on its way', {}, { rev: at(-5_000), commit: 'bafyold' }, null],
  ['the relay is behind', {}, { rev: at(-60_000) }, /^relay\.example: its rev is 1 m behind/],
  ['the relay is ahead', {}, { rev: at(7_200_000) }, /2 h ahead: the host has lost commits/],
  ['another commit', {}, { commit: 'bafyother' }, /rewritten/],
  ['no commit', {}, { rev: null, commit: null }, /knows no commit/],
  ['not known', {}, { status: 'not-found' }, /does not know the account: it has seen no event/],
  ['throttled', {}, { status: 'throttled' }, /over its limit of accounts/],
  ['taken down', {}, { status: 'takendown' }, /by the operator of the relay/],
  ['missed activation', {}, { status: 'deactivated' }, /missed an #account event/],
  ['missed deactivation', { status: 'deactivated' }, {}, /active there, deactivated at the host/],
  ['inactive at both', { status: 'deactivated' }, { status: 'deactivated', rev: null }, null],
]

for (const [name, host, relay, expected] of CASES) {
  test(`an account at host and relay: ${name}`, () => {
    const own = { ...HOST, ...host }
    const other = { ...HOST, role: 'relay', service: 'https://relay.example', ...relay } as const
    const found = differences([own, other], own.service)
    if (expected === null) assert.deepEqual(found, [])
    else {
      assert.equal(found.length, 1)
      assert.match(found[0] ?? '', expected)
    }
  })
}

test('a document without a host', () => {
  assert.deepEqual(differences([], null), [
    'the DID document names no host: relays drop its events',
  ])
})
