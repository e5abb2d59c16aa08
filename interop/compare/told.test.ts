/** The comparison with what was told finds each kind of fault, and none where there is none. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { canonicalText } from '../clients/canonical.ts'
import type { Sighting } from '../clients/client.ts'
import type { ToldEntry, ToldEvent } from './told.ts'
import {
  accountThing,
  eventDifferences,
  eventsSeen,
  IDENTITY,
  inCommit,
  missingOf,
  operationThing,
  syncThing,
} from './told.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const head = { rev: '3k', cid: 'bafyhead' }
const at = { rev: head.rev, commit: head.cid, collection: 'a.b.c' }
const record = { n: 1, a: [null, 'x'] }

const told: readonly ToldEvent[] = [
  [IDENTITY],
  [accountThing('active')],
  [syncThing(head)],
  [
    inCommit(
      operationThing('create', 'a.b.c/1', { cid: 'bafy1', text: canonicalText(record) }),
      head,
    ),
    inCommit(operationThing('delete', 'a.b.c/2', null), head),
  ],
  [accountThing('takendown')],
]

/** Things as the client hands them over, each with the seq of its frame. */
const things: readonly (readonly [number, Readonly<Record<string, unknown>>])[] = [
  [1, { event: 'identity', did: DID }],
  [2, { event: 'account', active: true }],
  [3, { event: 'sync', ...head }],
  // In another order than told.
  [4, { event: 'delete', rkey: '2', ...at }],
  [4, { event: 'create', rkey: '1', cid: 'bafy1', record, ...at }],
  [5, { event: 'account', active: false, status: 'takendown' }],
]

function faultsOf(changed: typeof things): string[] {
  const sightings = changed.map(([seq, thing]): Sighting => ({
    seq,
    did: DID,
    content: canonicalText(thing),
  }))
  return eventDifferences(eventsSeen(sightings), told)
}

test('what is as it was told has no faults', () => {
  assert.deepEqual(faultsOf(things), [])
  const [identity, ...others] = things
  assert(identity !== undefined)
  assert.deepEqual(faultsOf([...others, [9, identity[1]]]), [], 'identities have no order')
})

test('every thing that is left out is found', () => {
  for (const left of things) {
    const faults = faultsOf(things.filter((thing) => thing !== left))
    assert.notDeepEqual(faults, [], JSON.stringify(left))
  }
})

test('every thing that comes once more is found', () => {
  for (const [, thing] of things) assert.notDeepEqual(faultsOf([...things, [9, thing]]), [])
})

test('every field that is another is found', () => {
  for (const [i, [seq, thing]] of things.entries()) {
    for (const field of Object.keys(thing)) {
      if (field === 'did') continue
      const value = field === 'active' ? thing[field] !== true : 'another'
      const changed = things.with(i, [seq, { ...thing, [field]: value }])
      assert.notDeepEqual(faultsOf(changed), [], `${field} of ${JSON.stringify(thing)}`)
    }
  }
})

test('another order of events is found', () => {
  const swapped = things.map(
    ([seq, thing]) => [seq === 2 ? 3 : seq === 3 ? 2 : seq, thing] as const,
  )
  assert.notDeepEqual(faultsOf(swapped), [])
})

test('what is missing of one kind is found, and of no other', () => {
  const entries = told.map((event): ToldEntry => ({ did: DID, occasion: 'write', things: event }))
  for (const left of entries) {
    const seen = new Map([[DID, told.filter((event) => event !== left.things)]])
    const found = entries.filter((entry) => missingOf([entry], entries, seen).length > 0)
    assert.deepEqual(found, [left])
  }
  const seen = new Map([[DID, told]])
  assert.deepEqual(missingOf(entries, entries, seen), [])
  assert.notDeepEqual(missingOf([], entries, seen), [], 'what was never done')
  const others = new Map([['did:plc:other', told]])
  assert.equal(missingOf(entries, entries, others).length, entries.length, 'of another account')
  const twice = new Map([[DID, [...told, ...told]]])
  assert.equal(missingOf(entries, entries, twice).length, entries.length, 'each came twice')
})
