/** The comparison finds each kind of fault, and finds none where there is none. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encode } from '@atproto/lex-cbor'

import type { ClientName, ForeignClient, Sighting } from '../clients/client.ts'
import type { StreamEvent } from '../streams/frame.ts'
import { readFrame } from '../streams/frame.ts'
import type { LedgerEntry } from './ledger.ts'
import type { Observations, ObserverName, Verdict } from './rows.ts'
import { compare, OBSERVER_NAMES } from './rows.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const COUNT = 5

/** The frame of the `n`-th event, as it stands under `seq` with `more` in its body. */
function frame(n: number, seq: number, more: Record<string, string> = {}): StreamEvent {
  const body = { seq, did: DID, time: `2026-01-01T00:00:0${n}.000Z`, ...more }
  return eventOf(Buffer.concat([encode({ t: '#identity', op: 1 }), encode(body)]))
}

function eventOf(bytes: Uint8Array): StreamEvent {
  const reading = readFrame(bytes)
  assert.ok('event' in reading)
  return reading.event
}

function client(name: ClientName, sightings: readonly Sighting[]): ForeignClient {
  return {
    name,
    sightings,
    errors: [],
    closeCodes: [],
    position: 0,
    order: 'arrival',
    delivery: name === '@atproto/sync' ? 'at-least-once' : 'once',
    stop: () => Promise.resolve(),
  }
}

/** What everybody sees of `frames`, when clients show what the frames say. */
function observe(frames: readonly StreamEvent[]): Observations {
  const sightings = frames.map(({ seq, fingerprint }) => ({ seq, did: DID, content: fingerprint }))
  return {
    frames,
    clients: {
      '@atproto/sync': client('@atproto/sync', sightings),
      skyware: client('skyware', sightings),
      atcute: client('atcute', sightings),
    },
  }
}

const sent: StreamEvent[] = Array.from({ length: COUNT }, (_, i) => frame(i + 1, i + 1))
const direct = { A: observe(sent), B: observe([]), S: observe([]) }
const step = { name: 'a step', run: () => Promise.resolve() }
const entries = sent.map((event): LedgerEntry => {
  return { step, pds: 'A', event, refusal: null, clients: 'connected' }
})

/** `[row, observer, verdict]` of everything that is not as it should be. */
function faultsOf(
  relayed: Observations,
  given: readonly LedgerEntry[] = entries,
): [number, ObserverName, Verdict][] {
  return compare(given, direct, relayed).flatMap((row, i) =>
    OBSERVER_NAMES.map((name): [number, ObserverName, Verdict] => [
      i,
      name,
      row.cells[name].verdict,
    ]).filter(([, , verdict]) => !['same', 'refused', 'apart'].includes(verdict)),
  )
}

function everybody(row: number, verdict: Verdict): [number, ObserverName, Verdict][] {
  return OBSERVER_NAMES.map((name) => [row, name, verdict])
}

/** The events under other seqs, as a relay sends them. */
const relayedFrames = sent.map((_, i) => frame(i + 1, 100 + i))

test('other seqs alone are no difference', () => {
  assert.deepEqual(faultsOf(observe(relayedFrames)), [])
})

test('a dropped event is missing for everybody', () => {
  const dropped = relayedFrames.filter((_, i) => i !== 2)
  assert.deepEqual(faultsOf(observe(dropped)), everybody(2, 'missing'))
})

test('an event under two seqs is repeated', () => {
  const repeated = [...relayedFrames, frame(3, 200)]
  assert.deepEqual(faultsOf(observe(repeated)), everybody(2, 'repeated'))
})

test('an event with another field is altered', () => {
  const altered = relayedFrames.with(2, frame(3, 102, { extra: 'x' }))
  assert.deepEqual(faultsOf(observe(altered)), everybody(2, 'altered'))
})

test('an event that cannot be recognized is missing, and a stranger', () => {
  const changed = relayedFrames.with(2, frame(9, 102))
  assert.deepEqual(faultsOf(observe(changed)), [
    ...everybody(2, 'missing'),
    [COUNT, 'raw', 'unexpected'],
  ])
})

test('an event after a later one of its DID is disordered', () => {
  const [first, second, ...rest] = sent
  assert.ok(first !== undefined && second !== undefined)
  const frames = [frame(2, 100), frame(1, 101), ...rest.map((_, i) => frame(i + 3, 102 + i))]
  assert.deepEqual(faultsOf(observe(frames)), everybody(0, 'disordered'))
})

test('a refused event that comes is unexpected, and right when it does not', () => {
  const third = entries[2]
  assert.ok(third !== undefined)
  const refused = entries.with(2, { ...third, refusal: 'because' })
  assert.deepEqual(faultsOf(observe(relayedFrames), refused), everybody(2, 'unexpected'))
  const without = relayedFrames.filter((_, i) => i !== 2)
  assert.deepEqual(faultsOf(observe(without), refused), [])
})

test('what one client alone misses, repeats or sees otherwise is its own fault', () => {
  const all = observe(relayedFrames)
  const sightings = all.clients.atcute.sightings
  const third = sightings[2]
  assert.ok(third !== undefined)
  const faultsWith = (seen: readonly Sighting[]): [number, ObserverName, Verdict][] =>
    faultsOf({ ...all, clients: { ...all.clients, atcute: client('atcute', seen) } })
  assert.deepEqual(faultsWith(sightings.filter((_, i) => i !== 2)), [[2, 'atcute', 'missing']])
  assert.deepEqual(faultsWith(sightings.toSpliced(3, 0, third)), [[2, 'atcute', 'repeated']])
  const other = { ...third, content: 'other' }
  assert.deepEqual(faultsWith(sightings.with(2, other)), [[2, 'atcute', 'altered']])
  const stranger = { ...third, seq: 999 }
  assert.deepEqual(faultsWith([...sightings, stranger]), [[COUNT, 'atcute', 'unexpected']])
})

test('a client that delivers at least once may repeat a frame, but not in parts', () => {
  const two = sent.flatMap(({ seq }) => [sight(seq, 'first'), sight(seq, 'second')])
  const twoRelayed = two.map(({ seq, content }) => sight(seq + 99, content))
  const seenDirectly = { ...direct, A: withSync(direct.A, two) }
  const verdictOf = (more: readonly Sighting[]): Verdict | undefined => {
    const relayed = withSync(observe(relayedFrames), [...twoRelayed, ...more])
    return compare(entries, seenDirectly, relayed)[2]?.cells['@atproto/sync'].verdict
  }
  assert.equal(verdictOf([]), 'same')
  assert.equal(verdictOf([sight(102, 'first'), sight(102, 'second')]), 'same')
  assert.equal(verdictOf([sight(102, 'first')]), 'repeated')
  assert.equal(verdictOf([sight(102, 'second'), sight(102, 'first')]), 'altered')
})

function sight(seq: number, content: string): Sighting {
  return { seq, did: DID, content }
}

function withSync(observations: Observations, seen: readonly Sighting[]): Observations {
  const { frames, clients } = observations
  return { frames, clients: { ...clients, '@atproto/sync': client('@atproto/sync', seen) } }
}

test('bytes that are not canonical are altered, though they say the same', () => {
  const pairs = [
    ['time', sent[2]?.time ?? ''],
    ['seq', 102],
    ['did', DID],
  ].flatMap(([key, value]) => [encode(key ?? ''), encode(value ?? '')])
  const header = encode({ t: '#identity', op: 1 })
  const unsorted = eventOf(Buffer.concat([header, Uint8Array.of(0xa3), ...pairs]))
  assert.equal(unsorted.fingerprint, relayedFrames[2]?.fingerprint)
  assert.deepEqual(faultsOf(observe(relayedFrames.with(2, unsorted))), [[2, 'raw', 'altered']])
})
