import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeClock, type FakeClock } from '../identity/testing/fake-clock.ts'
import { IdentityResolver } from '../identity/identity-resolver.ts'
import type { DocumentOutcome } from '../identity/identity.ts'
import { SkeinError } from '../lib/errors.ts'
import type { Reason } from '../lib/reasons.ts'
import { PrivateKey } from '../crypto/private-key.ts'
import { Admission, DEFER_MS_MAX, DEFERRED_PER_DID_MAX } from './admission.ts'
import type { Arrival, HostLink } from './host-link.ts'
import type { Judge } from './judge.ts'
import type { Decision } from './outcome.ts'
import type { FrameVerifier } from './verifiers/frame-verifier.ts'
import { accountRow, arrivedFrame } from './testing/fixtures.ts'

const HOST = 'a.example.com'
const KEY = PrivateKey.import('k256', new Uint8Array(32).fill(1)).publicKey
const did = (name: string): string => `did:plc:${name.padEnd(24, 'a')}`

interface Fake {
  readonly admission: Admission
  readonly clock: FakeClock
  /** Outcomes in order: `pass 3` or `drop 3 reason`, by the seq of the event at its host. */
  readonly outcomes: string[]
  readonly failures: unknown[]
  readonly defects: unknown[]
  /** What the directory answers from now on; null: nothing. */
  answers: ((did: string) => DocumentOutcome) | null
  decide: (seq: number) => Decision
  readonly crowding: string[]
  /** Lets requests go on that found no answer. */
  wake(): void
  arrive(seq: number, name: string, kind?: '#account' | '#identity'): void
}

const found = (subject: string): DocumentOutcome => ({
  kind: 'found',
  document: {
    did: subject,
    signingKey: KEY,
    pdsHostname: HOST,
    pdsEndpoint: `https://${HOST}`,
    handle: null,
  },
})
const unresolved: DocumentOutcome = { kind: 'unresolved', detail: 'down', retryAfterMs: null }

const pass: Decision = { kind: 'pass', account: () => accountRow(), remarks: [] }

function create(): Fake {
  const clock = createFakeClock()
  const waiting: (() => void)[] = []
  const fake: Fake = {
    admission: undefined as unknown as Admission,
    clock,
    outcomes: [],
    failures: [],
    defects: [],
    answers: found,
    decide: () => pass,
    crowding: [],
    wake() {
      for (const resume of waiting.splice(0)) resume()
    },
    arrive(seq, name, kind = '#account') {
      const body = { seq, did: did(name), time: '2026-01-01T00:00:00Z' }
      const frame =
        kind === '#account'
          ? arrivedFrame(kind, { ...body, active: true })
          : arrivedFrame('#identity', body)
      const link = {
        id: 1,
        hostname: HOST,
        requested: false,
        defer: () => undefined,
        undefer: () => undefined,
        crowd: (what: string) => void fake.crowding.push(what),
      } as unknown as HostLink
      const arrival: Arrival = { link, frame, hostSeq: seq, hostEpoch: 0, receivedAtMs: 0 }
      fake.admission.submit(arrival)
    },
  }
  const plc = {
    async resolve(subject: string): Promise<DocumentOutcome> {
      while (fake.answers === null) await new Promise<void>((resolve) => waiting.push(resolve))
      return fake.answers(subject)
    },
  }
  const limits = { unresolvedMsMax: 30_000 }
  const identities = new IdentityResolver({ plc, web: plc, clock, limits })
  const judge = {
    decide: (frame: { readonly seq: number }) => fake.decide(frame.seq),
  } as unknown as Judge
  const verifier: FrameVerifier = {
    backlog: { events: 0, bytes: 0 },
    verify: () => assert.fail('nothing here has to be verified'),
  }
  const admission = new Admission({
    judge,
    verifier,
    identities,
    clock,
    recheckStatus: () => Promise.resolve(false),
    onPass: ({ hostSeq }) => void fake.outcomes.push(`pass ${hostSeq}`),
    onDrop: ({ hostSeq }, reason: Reason) => void fake.outcomes.push(`drop ${hostSeq} ${reason}`),
    onDeferred: () => undefined,
    onDefect: (error) => void fake.defects.push(error),
    onFailed: (error) => void fake.failures.push(error),
  })
  return Object.assign(fake, { admission })
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function pass5Minutes({ clock }: Fake): Promise<void> {
  for (let ms = 0; ms <= DEFER_MS_MAX + 60_000; ms += 1_000) {
    clock.advance(1_000)
    if (ms % 5_000 === 0) await settle()
  }
}

test('I6: events of an account wait in order, and nobody waits for another account', async () => {
  const fake = create()
  fake.answers = (subject) => (subject === did('slow') ? unresolved : found(subject))
  for (const [seq, name] of ['slow', 'slow', 'b', 'slow', 'c', 'b'].entries()) {
    fake.arrive(seq + 1, name)
  }
  await settle()
  assert.deepEqual(fake.outcomes.toSorted(), ['pass 3', 'pass 5', 'pass 6'])
  assert.ok(fake.outcomes.indexOf('pass 3') < fake.outcomes.indexOf('pass 6'), 'b before b')
  assert.equal(fake.admission.deferred.events, 3)
  assert.ok(fake.admission.deferred.bytes > 100)
  fake.arrive(7, 'b')
  assert.equal(fake.outcomes.at(-1), 'pass 7', 'what is at hand is decided at once')
  fake.answers = found
  await pass5Minutes(fake)
  assert.deepEqual(fake.outcomes.slice(4), ['pass 1', 'pass 2', 'pass 4'])
  assert.deepEqual(fake.admission.deferred, { events: 0, bytes: 0 })
})

test('I3, I9: an event that cannot be checked is dropped at its deadline, not passed', async () => {
  const fake = create()
  fake.answers = () => unresolved
  fake.arrive(1, 'x')
  await settle()
  const startedMs = fake.clock.monotonicMs()
  fake.clock.advance(60_000)
  fake.arrive(2, 'x')
  let droppedMs = 0
  while (fake.outcomes.length === 0) {
    fake.clock.advance(1_000)
    await settle()
    droppedMs = fake.clock.monotonicMs() - startedMs
    assert.ok(droppedMs <= DEFER_MS_MAX, 'within the bound')
  }
  assert.ok(droppedMs > DEFER_MS_MAX - 60_000, 'not long before it')
  assert.deepEqual(fake.outcomes, ['drop 1 deferred-expired'])
  fake.answers = found
  await pass5Minutes(fake)
  assert.deepEqual(fake.outcomes.slice(1), ['pass 2'], 'each has a deadline of its own')
})

test('I9: a host is held back for one account for a moment, then what is too much is dropped', async () => {
  const fake = create()
  fake.answers = () => unresolved
  for (let seq = 1; seq <= DEFERRED_PER_DID_MAX; seq++) fake.arrive(seq, 'x')
  assert.deepEqual([fake.crowding, fake.outcomes], [['begin'], []])
  fake.arrive(500, 'x')
  assert.deepEqual(fake.outcomes, [], 'what was on its way is kept')
  fake.clock.advance(10_000)
  await settle()
  assert.deepEqual(fake.crowding, ['begin', 'end'])
  fake.arrive(501, 'x')
  assert.deepEqual(fake.outcomes, ['drop 501 deferred-overflow'])
})

test('I9: a host is held back for as long as nobody has answered, and nothing is dropped', async () => {
  const fake = create()
  fake.answers = null
  for (let seq = 1; seq <= DEFERRED_PER_DID_MAX; seq++) fake.arrive(seq, 'x')
  await settle()
  fake.clock.advance(8_000)
  await settle()
  assert.deepEqual(fake.crowding, ['begin'])
  fake.arrive(500, 'x')
  assert.equal(fake.outcomes.length, 0)
  fake.answers = found
  fake.wake()
  await settle()
  const seqs = [...Array.from({ length: DEFERRED_PER_DID_MAX }, (_, i) => i + 1), 500]
  assert.deepEqual(
    fake.outcomes,
    seqs.map((seq) => `pass ${seq}`),
  )
  assert.deepEqual(fake.crowding, ['begin', 'end'])
})

test('a DID that is none, or does not exist, is refused', async () => {
  const fake = create()
  fake.answers = () => ({ kind: 'missing', detail: 'not found' })
  fake.arrive(1, 'x')
  const frame = arrivedFrame('#identity', {
    seq: 2,
    did: 'did:example:x',
    time: '2026-01-01T00:00:00Z',
  })
  const link = { id: 1, hostname: HOST } as unknown as HostLink
  fake.admission.submit({ link, frame, hostSeq: 2, hostEpoch: 0, receivedAtMs: 0 })
  await settle()
  assert.deepEqual(fake.outcomes, ['drop 2 did-invalid', 'drop 1 identity-missing'])
})

test('I5: a defect in deciding drops the event, and is told', async () => {
  const fake = create()
  const defect = new TypeError('undefined is not a function')
  fake.decide = (seq) => {
    if (seq === 1) throw defect
    return pass
  }
  fake.arrive(1, 'x')
  fake.arrive(2, 'x')
  await settle()
  assert.deepEqual(fake.outcomes, ['drop 1 frame-malformed', 'pass 2'])
  assert.deepEqual(fake.defects, [defect])
})

test('I7: an event has no outcome when state cannot be read', async () => {
  const fake = create()
  const failure = new SkeinError('STORE_FAILED', 'read account: disk I/O error')
  fake.decide = () => {
    throw failure
  }
  fake.arrive(1, 'x')
  await settle()
  fake.arrive(2, 'x')
  await settle()
  assert.deepEqual([fake.outcomes, fake.defects], [[], []])
  assert.equal(fake.failures[0], failure)
})

test('I7: what waits at a stop has no outcome', async () => {
  const fake = create()
  fake.answers = () => unresolved
  fake.arrive(1, 'x')
  fake.arrive(2, 'x')
  await settle()
  await fake.admission.close()
  assert.deepEqual(fake.outcomes, [])
})
