import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMultikey } from '../crypto/public-key.ts'
import { readDidDocument } from './did-document.ts'
import { IdentityResolver } from './identity-resolver.ts'
import type { IdentityLimits } from './identity-resolver.ts'
import type { DidResolver, DocumentOutcome, IdentityStore, Resolution } from './identity.ts'
import type { StoredIdentity } from './identity.ts'
import { createIdentityResolver } from './create-identity-resolver.ts'
import { didDocument, OTHER_KEY, plcDid, TEST_KEY } from './testing/documents.ts'
import type { DocumentParts } from './testing/documents.ts'
import { createFakeClock } from './testing/fake-clock.ts'
import type { FakeClock } from './testing/fake-clock.ts'
import { sendJson, startLoopbackServer } from './testing/loopback-server.ts'

const DID = plcDid(1)
const HOUR_MS = 3_600_000

function found(did: string, parts: DocumentParts = {}): DocumentOutcome {
  const parsed = readDidDocument(did, didDocument(did, parts))
  assert.ok(parsed.ok)
  return { kind: 'found', document: parsed.value }
}
const down: DocumentOutcome = { kind: 'unresolved', detail: 'down', retryAfterMs: null }
const gone: DocumentOutcome = { kind: 'missing', detail: 'not found' }

/** A directory whose answers a test sets, or holds back. */
class FakeDirectory implements DidResolver {
  asked = 0
  answer: (did: string) => DocumentOutcome | Promise<DocumentOutcome> = (did) => found(did)

  async resolve(did: string): Promise<DocumentOutcome> {
    this.asked++
    return this.answer(did)
  }
}

class MemoryStore implements IdentityStore {
  readonly rows = new Map<string, StoredIdentity>()
  closed = false
  get(did: string): StoredIdentity | undefined {
    assert.ok(!this.closed)
    return this.rows.get(did)
  }
  put(row: StoredIdentity): void {
    assert.ok(!this.closed)
    this.rows.set(row.did, row)
  }
  delete(did: string): void {
    assert.ok(!this.closed)
    this.rows.delete(did)
  }
}

interface Setup {
  readonly clock: FakeClock
  readonly plc: FakeDirectory
  readonly web: FakeDirectory
  readonly store: MemoryStore
  readonly seen: string[]
  readonly resolver: IdentityResolver
}

function setUp(limits: Partial<IdentityLimits> = {}, before?: Partial<Setup>): Setup {
  const clock = before?.clock ?? createFakeClock()
  const store = before?.store ?? new MemoryStore()
  const plc = new FakeDirectory()
  const web = new FakeDirectory()
  const seen: string[] = []
  const hooks = {
    onLookup: (source: string, outcome: string) => void seen.push(`${source} ${outcome}`),
    onOverflow: (limit: string) => void seen.push(`overflow ${limit}`),
  }
  const resolver = new IdentityResolver({ plc, web, store, clock, hooks, limits })
  return { clock, plc, web, store, seen, resolver }
}

function keyOf(resolution: Resolution): string | null {
  assert.ok(resolution.ok, resolution.ok ? '' : resolution.detail)
  const { signingKey } = resolution.identity
  return signingKey === null ? null : formatMultikey(signingKey)
}

test('memory, then disk, then the network', async () => {
  const first = setUp()
  assert.equal(first.resolver.peek(DID), undefined)
  const resolution = await first.resolver.resolve(DID)
  assert.ok(resolution.ok && !resolution.stale)
  assert.equal(resolution.identity.pdsHostname, 'pds.example.com')
  assert.equal(resolution.identity.fetchedAtMs, first.clock.nowMs())
  assert.equal(first.resolver.peek(DID), resolution.identity)
  await first.resolver.resolve(DID)
  assert.deepEqual(first.seen, ['network fresh', 'memory fresh', 'memory fresh'])

  const second = setUp({}, first)
  assert.deepEqual(await second.resolver.resolve(DID), resolution)
  assert.equal(second.plc.asked, 0)
  await second.resolver.resolve(DID)
  assert.deepEqual(second.seen, ['disk fresh', 'memory fresh'])
})

test('concurrent calls share one look-up', async () => {
  const { plc, resolver } = setUp()
  const gate = Promise.withResolvers<DocumentOutcome>()
  plc.answer = () => gate.promise
  const all = Array.from({ length: 100 }, () => resolver.resolve(DID))
  gate.resolve(found(DID))
  for (const resolution of await Promise.all(all)) assert.ok(resolution.ok)
  assert.equal(plc.asked, 1)
})

test('an identity is current for a day, then asked for again', async () => {
  const { clock, plc, resolver } = setUp()
  await resolver.resolve(DID)
  clock.advance(24 * HOUR_MS - 1)
  assert.ok(resolver.peek(DID) !== undefined)
  clock.advance(1)
  assert.equal(resolver.peek(DID), undefined)
  plc.answer = (did) => found(did, { key: OTHER_KEY })
  assert.equal(keyOf(await resolver.resolve(DID)), OTHER_KEY)
  assert.equal(plc.asked, 2)
})

test('directories down: the old identity serves for a week, marked, then none does', async () => {
  const { clock, plc, resolver, seen } = setUp()
  await resolver.resolve(DID)
  plc.answer = () => down
  clock.advance(25 * HOUR_MS)
  const stale = await resolver.resolve(DID)
  assert.ok(stale.ok && stale.stale)
  assert.equal(resolver.peek(DID), undefined)
  assert.equal(plc.asked, 2)
  assert.ok((await resolver.resolve(DID)).ok)
  assert.equal(plc.asked, 2, 'backed off: nobody is asked')
  assert.deepEqual(seen.slice(1), ['memory stale', 'memory stale'])
  clock.advance(6 * 24 * HOUR_MS)
  const failed = await resolver.resolve(DID)
  assert.ok(!failed.ok)
  assert.equal(failed.reason, 'identity-unresolved')
  plc.answer = (did) => found(did)
  clock.advance(HOUR_MS)
  const again = await resolver.resolve(DID)
  assert.ok(again.ok && !again.stale)
})

test('a stale row on disk serves too', async () => {
  const first = setUp()
  await first.resolver.resolve(DID)
  first.clock.advance(48 * HOUR_MS)
  const { plc, resolver, seen } = setUp({}, first)
  plc.answer = () => down
  const resolution = await resolver.resolve(DID)
  assert.ok(resolution.ok && resolution.stale)
  assert.equal(plc.asked, 1)
  assert.deepEqual(seen, ['memory stale'])
})

test('a DID that does not exist is not asked for again for five minutes', async () => {
  const { clock, plc, store, resolver } = setUp()
  await resolver.resolve(DID)
  clock.advance(25 * HOUR_MS)
  plc.answer = () => gone
  const missing = await resolver.resolve(DID)
  assert.ok(!missing.ok && missing.reason === 'identity-missing')
  assert.equal(missing.retryAfterMs, 300_000)
  assert.equal(store.rows.size, 0, 'final: what was known is forgotten')
  clock.advance(299_999)
  const again = await resolver.resolve(DID)
  assert.ok(!again.ok && again.retryAfterMs === 1)
  assert.equal(plc.asked, 2)
  clock.advance(1)
  plc.answer = (did) => found(did)
  assert.ok((await resolver.resolve(DID)).ok)
})

test('failures back off, longer each time, up to the cap; success starts over', async () => {
  const { clock, plc, resolver } = setUp()
  plc.answer = () => down
  for (const seconds of [30, 60, 120, 240, 300, 300]) {
    const failed = await resolver.resolve(DID)
    assert.ok(!failed.ok && failed.reason === 'identity-unresolved')
    assert.equal(failed.retryAfterMs, seconds * 1_000)
    const before = plc.asked
    clock.advance(seconds * 1_000 - 1)
    assert.ok(!(await resolver.resolve(DID)).ok)
    assert.equal(plc.asked, before)
    clock.advance(1)
  }
  plc.answer = (did) => found(did)
  assert.ok((await resolver.resolve(DID)).ok)
  plc.answer = () => down
  clock.advance(8 * 24 * HOUR_MS)
  const failed = await resolver.resolve(DID)
  assert.ok(!failed.ok && failed.retryAfterMs === 30_000)
})

test('a failure that is not the DID’s is not held against it', async () => {
  const { plc, resolver } = setUp()
  plc.answer = () => ({ kind: 'unresolved', detail: 'paused', retryAfterMs: 1_234 })
  const failed = await resolver.resolve(DID)
  assert.ok(!failed.ok && failed.retryAfterMs === 1_234)
  plc.answer = (did) => found(did)
  assert.ok((await resolver.resolve(DID)).ok)
})

test('refresh asks whatever is cached, once a minute', async () => {
  const { clock, plc, seen, resolver } = setUp()
  await resolver.resolve(DID)
  plc.answer = (did) => found(did, { key: OTHER_KEY })
  const refreshed = await resolver.refresh(DID)
  assert.equal(keyOf(refreshed), OTHER_KEY)
  assert.ok(refreshed.ok && refreshed.refreshLimited === undefined)
  clock.advance(59_999)
  const limited = await resolver.refresh(DID)
  assert.ok(limited.ok && limited.refreshLimited === true && !limited.stale)
  assert.equal(plc.asked, 2)
  assert.ok(seen.includes('overflow refresh'))
  clock.advance(1)
  await resolver.refresh(DID)
  assert.equal(plc.asked, 3)
})

test('a refresh that fails leaves the old identity in doubt, also after a restart', async () => {
  const first = setUp()
  await first.resolver.resolve(DID)
  first.plc.answer = () => down
  const refreshed = await first.resolver.refresh(DID)
  assert.ok(refreshed.ok && refreshed.stale)
  assert.equal(first.resolver.peek(DID), undefined)
  const second = setUp({}, first)
  second.plc.answer = () => down
  const resolution = await second.resolver.resolve(DID)
  assert.ok(resolution.ok && resolution.stale)
  assert.equal(second.plc.asked, 1)
})

test('a refresh supersedes a look-up that was under way', async () => {
  const { plc, resolver } = setUp()
  const gates = [1, 2].map(() => Promise.withResolvers<DocumentOutcome>())
  plc.answer = () => gates[plc.asked - 1]?.promise ?? down
  const plain = resolver.resolve(DID)
  const refreshed = resolver.refresh(DID)
  assert.equal(plc.asked, 2)
  gates[0]?.resolve(found(DID))
  gates[1]?.resolve(found(DID, { key: OTHER_KEY }))
  assert.equal(keyOf(await plain), OTHER_KEY, 'whoever waited gets the newer answer')
  assert.equal(keyOf(await refreshed), OTHER_KEY)
  assert.equal(keyOf(await resolver.resolve(DID)), OTHER_KEY)
})

test('purge forgets, also what is under way', async () => {
  const { plc, store, resolver } = setUp()
  await resolver.resolve(DID)
  resolver.purge(DID)
  assert.equal(resolver.peek(DID), undefined)
  assert.equal(store.rows.size, 0)
  const gate = Promise.withResolvers<DocumentOutcome>()
  plc.answer = () => gate.promise
  const lookup = resolver.resolve(DID)
  resolver.purge(DID)
  gate.resolve(found(DID))
  assert.ok((await lookup).ok)
  assert.equal(resolver.peek(DID), undefined)
  assert.equal(store.rows.size, 0)
})

test('an equal key stays the same object', async () => {
  const { clock, resolver } = setUp()
  const before = await resolver.resolve(DID)
  clock.advance(25 * HOUR_MS)
  const after = await resolver.resolve(DID)
  assert.ok(before.ok && after.ok)
  assert.notEqual(after.identity, before.identity)
  assert.equal(after.identity.signingKey, before.identity.signingKey)
})

test('the queue is bounded: what does not fit is refused at once and not remembered', async () => {
  const { plc, web, seen, resolver } = setUp({ plcQueue: { concurrencyMax: 2, waitingMax: 3 } })
  const gate = Promise.withResolvers<void>()
  plc.answer = async (did) => {
    await gate.promise
    return found(did)
  }
  const all = Array.from({ length: 10 }, (_, i) => resolver.resolve(plcDid(i)))
  const refused = await Promise.all(all.slice(5))
  for (const resolution of refused) {
    assert.ok(!resolution.ok && resolution.reason === 'identity-unresolved')
    assert.ok(resolution.retryAfterMs > 0)
  }
  assert.equal(plc.asked, 2)
  assert.equal(seen.filter((event) => event === 'overflow plc-queue').length, 5)
  assert.ok((await resolver.resolve('did:web:example.com')).ok, 'did:web has a queue of its own')
  assert.equal(web.asked, 1)
  gate.resolve()
  for (const resolution of await Promise.all(all.slice(0, 5))) assert.ok(resolution.ok)
  assert.ok((await resolver.resolve(plcDid(9))).ok)
})

test('aborting ends one wait, not the look-up', async () => {
  const { plc, resolver } = setUp()
  const gate = Promise.withResolvers<DocumentOutcome>()
  plc.answer = () => gate.promise
  const controller = new AbortController()
  const aborted = resolver.resolve(DID, { signal: controller.signal })
  const other = resolver.resolve(DID)
  controller.abort()
  const resolution = await aborted
  assert.ok(!resolution.ok && resolution.reason === 'identity-unresolved')
  assert.ok(!(await resolver.resolve(DID, { signal: controller.signal })).ok)
  gate.resolve(found(DID))
  assert.ok((await other).ok)
  assert.equal(plc.asked, 1)
})

test('other DID methods and malformed DIDs are missing without a look-up', async () => {
  const { plc, web, resolver } = setUp()
  const bad = ['', 'did:plc:x', 'did:key:zQ3sh', 'did:web:a.com:path', `did:web:${'a'.repeat(4e3)}`]
  for (const did of bad) {
    for (const resolution of [await resolver.resolve(did), await resolver.refresh(did)]) {
      assert.ok(!resolution.ok && resolution.reason === 'identity-missing', did)
    }
  }
  assert.equal(plc.asked + web.asked, 0)
})

test('a document without a key or host resolves, and shows the lack', async () => {
  const { plc, store, resolver } = setUp()
  const parsed = readDidDocument(DID, { id: DID })
  assert.ok(parsed.ok)
  plc.answer = () => ({ kind: 'found', document: parsed.value })
  const resolution = await resolver.resolve(DID)
  assert.ok(resolution.ok)
  assert.equal(resolution.identity.signingKey, null)
  assert.equal(resolution.identity.pdsHostname, null)
  const second = setUp({}, { store })
  const again = await second.resolver.resolve(DID)
  assert.ok(again.ok && again.identity.signingKey === null)
})

test('memory is bounded by estimated size', async () => {
  const { plc, seen, resolver } = setUp({ memoryBytesMax: 20_000 })
  for (let i = 0; i < 200; i++) await resolver.resolve(plcDid(i))
  assert.ok(resolver.cacheBytes > 10_000 && resolver.cacheBytes <= 20_000)
  seen.length = 0
  // The newest first: what is read from disk takes the place of others.
  for (let i = 199; i >= 0; i--) assert.ok(resolver.peek(plcDid(i)) !== undefined)
  const kept = seen.filter((line) => line === 'memory fresh').length
  assert.ok(kept > 10 && kept < 60, String(kept))
  assert.equal(seen.filter((line) => line === 'disk fresh').length, 200 - kept)
  assert.ok(resolver.cacheBytes <= 20_000)
  assert.ok((await resolver.resolve(plcDid(0))).ok)
  assert.equal(plc.asked, 200, 'what memory gave up, disk has')
})

test('rows that make no sense, or come from the future, are asked for again', async () => {
  const { clock, plc, store, resolver } = setUp()
  const row = { did: DID, key: null, pdsEndpoint: null, handle: null, fetchedAtMs: clock.nowMs() }
  const rows: readonly StoredIdentity[] = [
    { ...row, key: { curve: 'k256', bytes: new Uint8Array(33) } },
    { ...row, pdsEndpoint: 'nonsense/' },
    { ...row, fetchedAtMs: clock.nowMs() + HOUR_MS },
    { ...row, fetchedAtMs: 0 },
  ]
  for (const [i, bad] of rows.entries()) {
    store.rows.set(DID, bad)
    assert.equal(keyOf(await resolver.resolve(DID)), TEST_KEY)
    assert.equal(plc.asked, i + 1)
    resolver.purge(DID)
  }
})

test('a failing store is an error, not an answer', async () => {
  const { store, resolver } = setUp()
  store.put = () => {
    throw new Error('disk full')
  }
  await assert.rejects(resolver.resolve(DID), /disk full/)
})

test('close ends what is under way and leaves the store alone', async () => {
  const { plc, store, resolver } = setUp()
  await resolver.resolve(plcDid(2))
  const gate = Promise.withResolvers<DocumentOutcome>()
  plc.answer = () => gate.promise
  const lookup = resolver.resolve(DID)
  const closing = resolver.close()
  gate.resolve(found(DID))
  await closing
  store.closed = true
  assert.ok((await lookup).ok)
  for (const did of [DID, plcDid(3)]) {
    for (const resolution of [await resolver.resolve(did), await resolver.refresh(did)]) {
      assert.ok(!resolution.ok && resolution.reason === 'identity-unresolved')
    }
  }
  assert.ok((await resolver.resolve(plcDid(2))).ok, 'memory still answers')
})

function documentAt(path = '/'): unknown {
  return didDocument(path.slice(1))
}

test('all of it over sockets: one request a DID, a mirror in need, did:web', async () => {
  await using main = await startLoopbackServer((request, response) => {
    sendJson(response, documentAt(request.url))
  })
  await using mirror = await startLoopbackServer((request, response) => {
    sendJson(response, documentAt(request.url))
  })
  await using web = await startLoopbackServer((_, response) => {
    sendJson(response, didDocument(`did:web:localhost%3A${web.port}`))
  })
  await using resolver = createIdentityResolver({
    userAgent: 'skein/0.0.0',
    plcDirectories: [main.origin, mirror.origin],
    allowPrivateNetwork: true,
  })
  const all = Array.from({ length: 60 }, (_, i) => resolver.resolve(plcDid(i % 20)))
  for (const resolution of await Promise.all(all)) assert.ok(resolution.ok)
  assert.equal(main.requests.length, 20)
  assert.equal(mirror.requests.length, 0)
  main.handle((_, response) => void response.writeHead(503).end())
  assert.ok((await resolver.refresh(plcDid(0))).ok)
  assert.equal(mirror.requests.length, 1)
  assert.ok((await resolver.resolve(`did:web:localhost%3A${web.port}`)).ok)
  assert.equal(web.requests.length, 1)
})
