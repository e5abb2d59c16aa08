import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SafeResponse } from '../identity/http-client.ts'
import { createFakeClock, type FakeClock } from '../identity/testing/fake-clock.ts'
import { utf8 } from '../lib/bytes.ts'
import { Crawl } from './crawl.ts'
import type { CrawlOutcome } from './relay-view.ts'
import { openMemoryStore } from './testing/fixtures.ts'

interface Fake extends Disposable {
  readonly crawl: Crawl
  readonly clock: FakeClock
  readonly known: Map<string, 'woken' | 'banned'>
  readonly woken: string[]
  /** Hosts that were probed, in order. */
  readonly probed: string[]
  /** Answers every probe that is under way. */
  readonly answer: () => void
}

async function create(newHostsPerDay = 100): Promise<Fake> {
  const memory = await openMemoryStore()
  const clock = createFakeClock()
  const known = new Map<string, 'woken' | 'banned'>()
  const woken: string[] = []
  const probed: string[] = []
  const waiting: ((response: SafeResponse) => void)[] = []
  const crawl = new Crawl({
    enabled: true,
    newHostsPerDay,
    allowPrivateNetwork: false,
    http: {
      fetch(url) {
        probed.push(new URL(url).host)
        return new Promise((resolve) => waiting.push(resolve))
      },
    },
    store: memory.store,
    clock,
    wake(hostname) {
      woken.push(hostname)
      return known.get(hostname) ?? null
    },
    add({ hostname, endpoint }) {
      const createdAtMs = clock.nowMs()
      memory.store.addHost({ hostname, endpoint, createdAtMs, requested: true })
      known.set(hostname, 'woken')
    },
  })
  const bytes = utf8('{"did":"did:web:x"}')
  return {
    crawl,
    clock,
    known,
    woken,
    probed,
    answer() {
      for (const resolve of waiting.splice(0)) {
        resolve({ url: '', status: 200, headers: new Map(), bytes })
      }
    },
    [Symbol.dispose]: () => memory[Symbol.dispose](),
  }
}

const kinds = (outcomes: readonly CrawlOutcome[]): string[] => outcomes.map(({ kind }) => kind)

test('requests for one host share a probe, and it is added once', async () => {
  using fake = await create()
  const { crawl, probed, answer } = fake
  const requests = ['pds.example.com', 'https://pds.example.com/', 'PDS.example.com'].map((name) =>
    crawl.request(name),
  )
  answer()
  assert.deepEqual(kinds(await Promise.all(requests)), ['accepted', 'accepted', 'accepted'])
  assert.deepEqual(probed, ['pds.example.com'])
  assert.deepEqual(kinds([await crawl.request('pds.example.com')]), ['accepted'])
  assert.equal(probed.length, 1, 'a known host is woken, not probed')
})

test('I9: so many hosts are probed at once, and the rest is told to come again', async () => {
  using fake = await create()
  const { crawl, probed, answer } = fake
  const requests = Array.from({ length: 20 }, (_, i) => crawl.request(`pds${i}.example.com`))
  answer()
  const outcomes = kinds(await Promise.all(requests))
  assert.equal(probed.length, 16)
  assert.deepEqual(outcomes.slice(16), ['limited', 'limited', 'limited', 'limited'])
})

test('I9: new hosts a day are limited, also when their probes overlap', async () => {
  using fake = await create(2)
  const { crawl, clock, probed, answer } = fake
  const requests = ['a', 'b', 'c'].map((name) => crawl.request(`${name}.example.com`))
  answer()
  const outcomes = kinds(await Promise.all(requests))
  assert.deepEqual(outcomes, ['accepted', 'accepted', 'limited'])
  assert.deepEqual(kinds([await crawl.request('d.example.com')]), ['limited'])
  assert.equal(probed.length, 3, 'a request over the limit costs nothing')
  clock.advance(86_400_000)
  const later = crawl.request('d.example.com')
  answer()
  assert.equal((await later).kind, 'accepted')
})

test('a bad name and a banned host are refused without a request', async () => {
  using fake = await create()
  const { crawl, probed, known } = fake
  known.set('bad.example.com', 'banned')
  const names = ['', 'localhost:2583', '10.0.0.1', 'http://pds.example.com', 'bad.example.com']
  const outcomes = await Promise.all(names.map((name) => crawl.request(name)))
  const invalid = 'invalid-hostname'
  assert.deepEqual(kinds(outcomes), [invalid, invalid, invalid, invalid, 'banned'])
  assert.deepEqual(probed, [])
})
