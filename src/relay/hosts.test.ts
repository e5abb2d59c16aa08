import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHostname } from '../identity/hostname.ts'
import { createFakeClock } from '../identity/testing/fake-clock.ts'
import { must } from '../lib/assert.ts'
import { seededRandom } from '../lib/random.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import type { TransportListener } from '../stream/transport.ts'
import { STARTS_PER_SECOND } from './connect-pacer.ts'
import { Hosts } from './hosts.ts'
import { openMemoryStore } from './testing/fixtures.ts'

/** A connection to a host that delivers as a socket does: nothing while it is paused. */
class FakeConnection {
  readonly #listener: TransportListener
  readonly #waiting: Uint8Array[] = []
  #paused = false

  constructor(listener: TransportListener) {
    this.#listener = listener
  }

  open(): void {
    this.#listener.onOpen()
  }

  send(seq: number): void {
    const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
    const body = { seq, did, time: '2026-01-01T00:00:00Z' }
    this.#waiting.push(encodeMessageFrame('#identity', body))
    this.#deliver()
  }

  ping(): void {}

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliver()
  }

  close(): void {
    this.terminate()
  }

  terminate(): void {
    const end = { code: 1000, reason: '', httpStatus: null, retryAfterMs: null }
    this.#listener.onClose(end)
  }

  #deliver(): void {
    while (!this.#paused) {
      const bytes = this.#waiting.shift()
      if (bytes === undefined) return
      this.#listener.onMessage(bytes)
    }
  }
}

test('I9: a host that is added while all are held back waits with them, and gets through', async () => {
  using memory = await openMemoryStore()
  const connections = new Map<string, FakeConnection>()
  const arrived: string[] = []
  const hosts = new Hosts({
    store: memory.store,
    transport: {
      connect(url, listener) {
        const connection = new FakeConnection(listener)
        connections.set(new URL(url).hostname, connection)
        return connection
      },
    },
    clock: createFakeClock(),
    random: seededRandom(1),
    eventsPerSecond: 1_000,
    hostAccountLimit: 1_000,
    newHostsFrom: 'oldest',
    activeAccounts: () => 0,
    events: (hostname) => ({
      onArrival: ({ hostSeq }) => void arrived.push(`${hostname} ${hostSeq}`),
      onReceived: () => undefined,
      onDropped: (reason) => assert.fail(reason),
      onConnection: () => undefined,
      onNotice: () => undefined,
    }),
    onFailed: (error) => assert.fail(String(error)),
  })
  const add = (hostname: string): FakeConnection => {
    const parsed = parseHostname(hostname)
    hosts.add(must(parsed.ok ? parsed.value : null, 'a host name'), 'requested')
    return must(connections.get(hostname), 'a connection')
  }
  const first = add('first.example.com')
  first.open()
  first.send(1)
  hosts.hold()
  first.send(2)
  const late = add('late.example.com')
  late.open()
  late.send(1)
  assert.deepEqual(arrived, ['first.example.com 1'], 'nothing more is taken in, from nobody')
  hosts.release()
  assert.deepEqual(arrived.slice(1).sort(), ['first.example.com 2', 'late.example.com 1'])
  late.send(2)
  add('later.example.com').open()
  must(connections.get('later.example.com'), 'a connection').send(1)
  assert.deepEqual(arrived.slice(3), ['late.example.com 2', 'later.example.com 1'])
  await hosts.stop()
})

const unexpected = (reason: string): void => assert.fail(reason)

test('after a start hosts are connected to at a pace, those that spoke last first', async () => {
  using memory = await openMemoryStore()
  const clock = createFakeClock()
  const count = 500
  for (let i = 1; i <= count; i++) memory.addHost(`pds${i}.example.com`)
  const nowMs = clock.nowMs()
  const progress = Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    epoch: 0,
    cursor: 5,
    aheadFromSeq: null,
    lastEventAtMs: i % 7 === 0 ? null : nowMs - 1_000_000 + i,
  }))
  memory.store.apply({ accounts: [], hosts: progress, appliedSeq: 0 })
  memory.store.setBanned(9, 'banned')
  // One waits out its backoff, and takes nobody's turn.
  memory.store.setBackoff(10, 3, nowMs + 1_000)
  const connected: number[] = []
  const hosts = new Hosts({
    store: memory.store,
    transport: {
      connect(url, listener) {
        connected.push(Number(/pds(\d+)\./u.exec(url)?.[1]))
        const connection = new FakeConnection(listener)
        connection.open()
        return connection
      },
    },
    clock,
    random: seededRandom(1),
    eventsPerSecond: 1_000,
    hostAccountLimit: 1_000,
    newHostsFrom: 'oldest',
    activeAccounts: () => 0,
    events: () => ({
      onArrival: ({ hostSeq }) => unexpected(String(hostSeq)),
      onReceived: () => undefined,
      onDropped: unexpected,
      onConnection: () => undefined,
      onNotice: () => undefined,
    }),
    onFailed: (error) => unexpected(String(error)),
  })
  const rows = memory.store.hosts()
  const place = { epoch: 0, cursor: 5, ahead: new Map<number, number>() }
  hosts.start(rows, new Map(rows.map(({ id }) => [id, place])))
  assert.equal(connected.length, STARTS_PER_SECOND)
  assert.equal(hosts.toStart, count - 2 - STARTS_PER_SECOND)
  const lately = progress
    .filter(({ id, lastEventAtMs }) => lastEventAtMs !== null && id !== 9 && id !== 10)
    .map(({ id }) => id)
    .reverse()
  assert.deepEqual(connected, lately.slice(0, STARTS_PER_SECOND))
  await hosts.ban('pds1.example.com')
  clock.advance(1_000)
  assert.ok(connected.length <= 2 * STARTS_PER_SECOND + 1)
  assert.ok(connected.includes(10), 'its backoff is over')
  clock.advance(5_000)
  assert.equal(hosts.toStart, 0)
  const all = new Set(connected)
  assert.equal(all.size, count - 2, 'all but the banned')
  assert.ok(!all.has(9) && !all.has(1))
  assert.equal(connected.length, all.size, 'each once')
  await hosts.stop()
})
