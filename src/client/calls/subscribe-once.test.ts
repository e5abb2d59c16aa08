import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createFakeClock, type FakeClock } from '../../identity/testing/fake-clock.ts'
import { must } from '../../lib/assert.ts'
import { encodeErrorFrame, encodeInfoFrame, encodeMessageFrame } from '../../stream/own-frames.ts'
import {
  CONNECT_TIMEOUT_MS,
  PING_INTERVAL_MS,
  SILENCE_MS_MAX,
} from '../../stream/subscriber-machine.ts'
import type { Transport, TransportClose, TransportListener } from '../../stream/transport.ts'
import type { SyncEvent } from '../events/events.ts'
import { subscribeOnce } from './subscribe-once.ts'
import { codeOf } from '../testing/service-kit.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const TARGET = { nsid: 'com.atproto.sync.subscribeRepos', service: 'https://relay.example' }

/** A connection that a test speaks for. */
interface Line {
  readonly clock: FakeClock
  readonly urls: readonly string[]
  /** What was asked of the connection. */
  readonly asked: readonly string[]
  readonly abort: () => void
  readonly events: AsyncGenerator<SyncEvent>
  /** The listener of the connection, which begins with the first `next`. */
  peer(): TransportListener
}

function start(cursor?: number): Line {
  const clock = createFakeClock()
  const urls: string[] = []
  const asked: string[] = []
  const control = new AbortController()
  let listener: TransportListener | null = null
  const note = (what: string) => (): void => void asked.push(what)
  const transport: Transport = {
    connect(url, given) {
      urls.push(url)
      listener = given
      return {
        ping: note('ping'),
        pause: note('pause'),
        resume: note('resume'),
        close: note('close'),
        terminate: note('terminate'),
      }
    },
  }
  const signals = [control.signal]
  const endpoint = 'wss://relay.example'
  const events = subscribeOnce({ transport, clock, target: TARGET, endpoint, cursor, signals })
  const abort = (): void => control.abort()
  return { clock, urls, asked, abort, events, peer: () => must(listener, 'connection') }
}

function identity(seq: number): Uint8Array {
  const time = '2026-01-01T00:00:00.000Z'
  return encodeMessageFrame('#identity', { seq, did: DID, time })
}

function closeWith(code: number, more: Partial<TransportClose> = {}): TransportClose {
  return { code, reason: '', httpStatus: null, retryAfterMs: null, ...more }
}

test('events come in order, from after the cursor, until the service closes', async () => {
  const line = start(41)
  const first = line.events.next()
  assert.deepEqual(line.urls, [
    'wss://relay.example/xrpc/com.atproto.sync.subscribeRepos?cursor=41',
  ])
  line.peer().onOpen()
  for (const seq of [42, 43]) line.peer().onMessage(identity(seq))
  line.peer().onMessage(encodeInfoFrame('OutdatedCursor'))
  line.peer().onClose(closeWith(1000))
  const events = [(await first).value, (await line.events.next()).value]
  assert.deepEqual(
    events.map((event: SyncEvent) => event.type),
    ['#identity', '#identity'],
  )
  assert.equal(((await line.events.next()).value as SyncEvent).type, '#info')
  assert.equal((await line.events.next()).done, true)
})

test('every way in which it ends badly has its code', async () => {
  const endings: readonly (readonly [string, (line: Line) => void])[] = [
    ['Unreachable', (line) => line.peer().onClose(closeWith(1006))],
    ['RateLimited', (line) => line.peer().onClose(closeWith(1006, { httpStatus: 429 }))],
    ['NotFound', (line) => line.peer().onClose(closeWith(1006, { httpStatus: 404 }))],
    ['Timeout', (line) => line.clock.advance(CONNECT_TIMEOUT_MS)],
    ['Aborted', (line) => line.abort()],
    ['InvalidResponse', (line) => line.peer().onText()],
    ['TooLarge', (line) => line.peer().onTooLarge()],
    ['InvalidResponse', (line) => line.peer().onMessage(new Uint8Array([1, 2, 3]))],
    ['FutureCursor', (line) => line.peer().onMessage(encodeErrorFrame('FutureCursor'))],
    ['ConsumerTooSlow', (line) => line.peer().onMessage(encodeErrorFrame('ConsumerTooSlow'))],
    ['OtherError', (line) => line.peer().onMessage(encodeErrorFrame('Strange', 'very'))],
    [
      'Truncated',
      (line) => {
        line.peer().onOpen()
        line.peer().onClose(closeWith(1006))
      },
    ],
  ]
  for (const [code, end] of endings) {
    const line = start()
    const next = line.events.next()
    end(line)
    assert.equal(await codeOf(next), code)
    assert(line.asked.includes('terminate'), code)
  }
})

test('a connection is dead without a pong, not without events', async () => {
  const line = start()
  const next = line.events.next()
  line.peer().onOpen()
  for (let waitedMs = 0; waitedMs < 4 * SILENCE_MS_MAX; waitedMs += PING_INTERVAL_MS) {
    line.clock.advance(PING_INTERVAL_MS)
    line.peer().onPong()
  }
  assert(line.asked.filter((what) => what === 'ping').length > 10)
  line.clock.advance(SILENCE_MS_MAX + PING_INTERVAL_MS)
  assert.equal(await codeOf(next), 'Timeout')
})

test('a slow reader holds the service back, and its silence meanwhile is no fault', async () => {
  const line = start()
  const first = line.events.next()
  line.peer().onOpen()
  const frame = identity(1)
  const count = Math.ceil((5 * 1_024 * 1_024) / frame.length)
  for (let i = 0; i < count; i++) line.peer().onMessage(frame)
  assert.deepEqual(
    line.asked.filter((what) => what !== 'ping'),
    ['pause'],
  )
  line.clock.advance(10 * SILENCE_MS_MAX)
  await first
  for (let i = 1; i < count; i++) await line.events.next()
  assert.equal(line.asked.filter((what) => what === 'resume').length, 1)
  await line.events.return(undefined)
  assert.equal(line.asked.at(-1), 'terminate')
})
