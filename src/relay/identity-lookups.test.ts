import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeClock, type FakeClock } from '../identity/testing/fake-clock.ts'
import type { IdentityResolver } from '../identity/identity-resolver.ts'
import type { Identity, Resolution } from '../identity/identity.ts'
import { IdentityLookups } from './identity-lookups.ts'

const STRANGER = { id: 1, requested: true }
const OTHER_STRANGER = { id: 2, requested: true }
const NAMED = { id: 3, requested: false }

interface Fake {
  readonly lookups: IdentityLookups
  readonly clock: FakeClock
  /** What reached the resolver. */
  readonly asked: string[]
  /** DIDs that are in memory. */
  readonly known: Set<string>
}

function create(): Fake {
  const clock = createFakeClock()
  const asked: string[] = []
  const known = new Set<string>()
  const answer = (did: string): Promise<Resolution> => {
    asked.push(did)
    return Promise.resolve({ ok: false, reason: 'identity-missing', detail: did } as Resolution)
  }
  const identities = {
    peek: (did: string) => (known.has(did) ? ({ did } as Identity) : undefined),
    resolve: answer,
    refresh: answer,
  } as unknown as IdentityResolver
  const { signal } = new AbortController()
  return { lookups: new IdentityLookups(identities, clock, signal), clock, asked, known }
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function pass({ clock }: Fake, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 10) clock.advance(10)
  await settle()
}

const deadlineMs = 60_000

test('I9: a host that came by request causes 100 look-ups at once, then 10 a second', async () => {
  const fake = create()
  const { lookups, asked } = fake
  for (let i = 0; i < 150; i++) void lookups.resolve(STRANGER, `did:web:${i}.test`)
  await settle()
  assert.equal(asked.length, 100)
  await pass(fake, 1_000)
  assert.equal(asked.length, 110)
  await pass(fake, 4_000)
  assert.equal(asked.length, 150)
})

test('I9: a host that the operator named causes 1,000 look-ups at once, then 50 a second', async () => {
  const fake = create()
  for (let i = 0; i < 1_200; i++) void fake.lookups.resolve(NAMED, `did:web:${i}.test`)
  await settle()
  assert.equal(fake.asked.length, 1_000)
  await pass(fake, 1_000)
  assert.equal(fake.asked.length, 1_050)
})

test('one host’s look-ups do not hold up another’s', async () => {
  const fake = create()
  const { lookups, asked } = fake
  for (let i = 0; i < 1_000; i++) void lookups.resolve(STRANGER, `did:web:${i}.test`)
  await settle()
  const before = asked.length
  void lookups.resolve(OTHER_STRANGER, 'did:web:other.test')
  void lookups.resolve(NAMED, 'did:web:named.test')
  await settle()
  assert.deepEqual(asked.slice(before), ['did:web:other.test', 'did:web:named.test'])
})

test('I9: every way to ask counts, and what is in memory costs nothing', async () => {
  const fake = create()
  const { lookups, asked, known } = fake
  known.add('did:web:known.test')
  for (let i = 0; i < 500; i++) {
    const resolution = await lookups.resolve(STRANGER, 'did:web:known.test')
    assert.equal(resolution.ok, true)
  }
  assert.deepEqual(asked, [])
  for (let i = 0; i < 50; i++) {
    void lookups.fresh(STRANGER, 'did:web:known.test', `event ${i}`)
    void lookups.again(STRANGER, `did:web:${i}.test`, 'event', deadlineMs)
  }
  await settle()
  assert.equal(asked.length, 100)
  void lookups.fresh(STRANGER, 'did:web:fresh.test', 'event')
  void lookups.again(STRANGER, 'did:web:again.test', 'announcement', deadlineMs)
  void lookups.resolve(STRANGER, 'did:web:resolved.test')
  await settle()
  assert.equal(asked.length, 100)
  await pass(fake, 300)
  assert.deepEqual(asked.slice(100), [
    'did:web:fresh.test',
    'did:web:again.test',
    'did:web:resolved.test',
  ])
})
