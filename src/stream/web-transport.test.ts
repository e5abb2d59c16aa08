/** The built-in WebSocket is Node's here; browser.test.ts in test/ has one of a browser. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, test } from 'node:test'

import { type WebSocket, WebSocketServer } from 'ws'

import { systemClock } from '../lib/clock.ts'
import { FRAME_BYTES_MAX } from '../lib/limits.ts'
import { Subscriber, type SubscriberClose } from './subscriber.ts'
import { ManualClock, settle, until } from './support.test.ts'
import type { TransportClose, TransportConnection } from './transport.ts'
import { WebTransport, type WebTransportOptions } from './web-transport.ts'

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A WebSocket server on loopback. */
class TestServer {
  readonly requests: IncomingMessage[] = []
  readonly clients: WebSocket[] = []
  readonly #server: Server = createServer()
  readonly #sockets = new Set<Socket>()

  /** Does something with each client; an HTTP status refuses the upgrade. */
  onClient: (client: WebSocket) => void = () => {}
  refuseWith: number | null = null

  async listen(): Promise<string> {
    const wss = new WebSocketServer({ noServer: true })
    this.#server.on('connection', (socket) => this.#sockets.add(socket))
    this.#server.on('upgrade', (request, socket, head) => {
      this.requests.push(request)
      if (this.refuseWith !== null) {
        socket.end(`HTTP/1.1 ${this.refuseWith} No\r\nContent-Length: 0\r\n\r\n`)
        return
      }
      wss.handleUpgrade(request, socket, head, (client) => {
        this.clients.push(client)
        client.on('error', () => {})
        this.onClient(client)
      })
    })
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => this.close())
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

interface Log {
  readonly events: string[]
  readonly messages: Uint8Array[]
  readonly closes: TransportClose[]
}

interface Connected extends Log {
  readonly connection: TransportConnection
}

function connect(
  url: string,
  options: Partial<WebTransportOptions> = {},
  onMessage: (connection: TransportConnection) => void = () => {},
): Connected {
  const log: Log = { events: [], messages: [], closes: [] }
  const transport = new WebTransport({ clock: systemClock, ...options })
  const connection: TransportConnection = transport.connect(url, {
    onOpen: () => log.events.push('open'),
    onMessage: (bytes) => {
      log.messages.push(bytes)
      onMessage(connection)
    },
    onText: () => log.events.push('text'),
    onPong: () => log.events.push('pong'),
    onTooLarge: () => log.events.push('too large'),
    onClose: (close) => log.closes.push(close),
  })
  cleanups.push(() => connection.terminate())
  return { ...log, connection }
}

const numbered = (n: number, length = 8): Uint8Array => {
  const bytes = new Uint8Array(length)
  new DataView(bytes.buffer).setUint32(0, n)
  return bytes
}

const numbersOf = (messages: readonly Uint8Array[]): number[] =>
  messages.map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0))

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)

describe('one connection', () => {
  test('binary and text messages in order, and the peer’s close code and reason', async () => {
    const server = new TestServer()
    server.onClient = (client) => {
      client.send(numbered(1))
      client.send('text')
      client.send(numbered(2))
      client.close(1012, 'restarting')
    }
    const { events, messages, closes } = connect(await server.listen())
    await until(() => closes.length > 0, 'close')
    assert.deepEqual(events, ['open', 'text'])
    assert.deepEqual(numbersOf(messages), [1, 2])
    const expected = { code: 1012, reason: 'restarting', httpStatus: null, retryAfterMs: null }
    assert.deepEqual(closes, [expected])
  })

  test('attempts that cannot succeed end in onClose, after connect has returned', async () => {
    const refused = new TestServer()
    refused.refuseWith = 503
    const urls = [await refused.listen(), 'ws://127.0.0.1:1', 'not a URL', 'ftp://127.0.0.1/']
    for (const url of urls) {
      const { events, closes } = connect(url)
      assert.equal(closes.length, 0, url)
      await until(() => closes.length > 0, url)
      assert.deepEqual([closes[0]?.code, closes[0]?.renewal, events], [1006, undefined, []], url)
    }
  })

  test('a message over 5 MB is reported and ends the connection; one of 5 MB passes', async () => {
    const server = new TestServer()
    server.onClient = (client) => {
      client.send(numbered(1, FRAME_BYTES_MAX))
      client.send(numbered(2, FRAME_BYTES_MAX + 1))
      client.send(numbered(3))
    }
    const { events, messages, closes } = connect(await server.listen())
    await until(() => closes.length > 0, 'close')
    assert.deepEqual(events, ['open', 'too large'])
    assert.deepEqual(numbersOf(messages), [1])
    assert.deepEqual([closes[0]?.code, closes[0]?.renewal], [1006, undefined])
  })

  test('a polite close says 1000, and delivers nothing more', async () => {
    const server = new TestServer()
    const codes: number[] = []
    server.onClient = (client) => {
      client.on('close', (code) => codes.push(code))
      client.send(numbered(1))
    }
    const { messages, closes, connection } = connect(await server.listen())
    await until(() => messages.length === 1, 'message')
    server.clients[0]?.send(numbered(2))
    connection.close()
    connection.ping()
    await until(() => closes.length > 0 && codes.length > 0, 'close')
    assert.deepEqual([numbersOf(messages), closes[0]?.code, codes], [[1], 1000, [1000]])
    await settle()
    assert.equal(closes.length, 1)
  })

  test('a peer that does not answer a close is left after two seconds', async () => {
    const clock = new ManualClock()
    const server = new TestServer()
    server.onClient = (client) => client.pause()
    const { events, closes, connection } = connect(await server.listen(), { clock })
    await until(() => events.includes('open'), 'open')
    connection.close()
    await clock.advance(1_999)
    assert.equal(closes.length, 0)
    await clock.advance(1)
    assert.deepEqual(
      closes.map(({ code }) => code),
      [1006],
    )
    assert.equal(clock.pending, 0)
  })

  test('terminate ends it, with onClose after the call, also before it is open', async () => {
    const server = new TestServer()
    const url = await server.listen()
    for (const moment of ['before', 'open'] as const) {
      const { events, closes, connection } = connect(url)
      if (moment === 'open') await until(() => events.includes('open'), 'open')
      connection.terminate()
      assert.equal(closes.length, 0)
      await until(() => closes.length > 0, 'close')
      await settle()
      assert.equal(closes.length, 1)
    }
  })
})

describe('back-pressure', () => {
  test('what comes while paused waits for resume', async () => {
    const server = new TestServer()
    const { events, messages, connection } = connect(await server.listen())
    await until(() => events.includes('open'), 'open')
    connection.pause()
    for (const n of upTo(20)) server.clients[0]?.send(numbered(n))
    await settle()
    assert.equal(messages.length, 0)
    connection.resume()
    await until(() => messages.length === 20, 'messages')
    assert.deepEqual(numbersOf(messages), upTo(20))
  })

  test('over the bound the socket is closed, and onClose follows what was kept', async () => {
    const server = new TestServer()
    const url = await server.listen()
    const { events, messages, closes, connection } = connect(url, { heldBytesMax: FRAME_BYTES_MAX })
    await until(() => events.includes('open'), 'open')
    connection.pause()
    const client = server.clients[0] ?? assert.fail()
    const gone = new Promise((resolve) => client.on('close', resolve))
    for (const n of upTo(8)) client.send(numbered(n, 1_000_000))
    await gone
    assert.deepEqual([messages.length, closes.length], [0, 0])
    connection.resume()
    assert.deepEqual(numbersOf(messages), [1, 2, 3, 4])
    assert.deepEqual([closes[0]?.code, closes[0]?.renewal, closes.length], [1006, 'held-back', 1])
  })

  test('a connection that was held back can still be given up', async () => {
    const server = new TestServer()
    const url = await server.listen()
    for (const end of ['close', 'terminate'] as const) {
      server.onClient = (client) => {
        for (const n of upTo(8)) client.send(numbered(n, 1_000_000))
      }
      const clock = new ManualClock()
      const { messages, closes, connection } = connect(url, {
        heldBytesMax: FRAME_BYTES_MAX,
        clock,
      })
      connection.pause()
      const held = server.clients.length
      await until(() => server.clients.length > held, 'client')
      const client = server.clients.at(-1) ?? assert.fail()
      await until(() => client.readyState === client.CLOSED, 'the socket to go')
      connection[end]()
      await clock.advance(2_000)
      connection.resume()
      assert.deepEqual([messages.length, closes.length], [0, 1], end)
      assert.equal(closes[0]?.renewal, undefined)
    }
  })
})

describe('liveness without pings', () => {
  test('silence of a minute renews the connection; messages put it off', async () => {
    const clock = new ManualClock()
    const server = new TestServer()
    const { events, messages, closes, connection } = connect(await server.listen(), { clock })
    await until(() => events.includes('open'), 'open')
    await clock.advance(50_000)
    connection.ping()
    server.clients[0]?.send(numbered(1))
    await until(() => messages.length === 1, 'message')
    await clock.advance(59_999)
    assert.deepEqual([closes.length, events], [0, ['open']])
    await clock.advance(1)
    assert.deepEqual([closes[0]?.code, closes[0]?.renewal], [1006, 'unheard'])
    assert.equal(clock.pending, 0)
  })
})

/** Sends the seqs after the cursor, as a host does. */
function replaying(server: TestServer, count: number, bytes: number): void {
  server.onClient = (client) => {
    const url = new URL(server.requests.at(-1)?.url ?? '', 'http://localhost')
    const cursor = Number(url.searchParams.get('cursor') ?? 0)
    for (let n = cursor + 1; n <= count; n++) client.send(numbered(n, bytes))
  }
}

interface Subscribed {
  readonly subscriber: Subscriber
  readonly seen: number[]
  readonly closes: SubscriberClose[]
  readonly attempts: number[]
}

function subscribe(endpoint: string, clock: ManualClock): Subscribed {
  const seen: number[] = []
  const closes: SubscriberClose[] = []
  const attempts: number[] = []
  const subscriber: Subscriber = new Subscriber({
    endpoint,
    cursor: () => seen.at(-1) ?? 0,
    clock,
    random: { next: () => 0 },
    transport: new WebTransport({ clock, heldBytesMax: FRAME_BYTES_MAX }),
    listener: {
      onConnecting: (attempt) => attempts.push(attempt),
      onFrame: (bytes) => {
        seen.push(...numbersOf([bytes]))
        // A reader that takes one at a time.
        subscriber.pause()
      },
      onClosed: (close) => closes.push(close),
    },
  })
  cleanups.push(async () => {
    const stopped = subscriber.stop()
    await clock.advance(5_000)
    await stopped
  })
  return { subscriber, seen, closes, attempts }
}

describe('a subscription on it', () => {
  test('a slow reader gets each message once, over renewals that cost no wait', async () => {
    const server = new TestServer()
    replaying(server, 20, 1_000_000)
    const clock = new ManualClock()
    const { subscriber, seen, closes, attempts } = subscribe(await server.listen(), clock)
    subscriber.start()
    for (let n = 1; n <= 20; n++) {
      await until(() => seen.length === n, `message ${n}`)
      const client = server.clients.at(-1)
      // Four more are kept behind the first of a connection; the rest is too much.
      const isFirst = [1, 6, 11].includes(n)
      if (isFirst) await until(() => client?.readyState === client?.CLOSED, 'the socket to go')
      subscriber.resume()
    }
    assert.deepEqual(seen, upTo(20))
    assert.deepEqual(
      closes.map(({ renewal }) => renewal),
      ['held-back', 'held-back', 'held-back'],
    )
    assert.deepEqual(new Set(attempts), new Set([1]))
  })

  test('a quiet host is asked again each minute at the cursor, without backoff', async () => {
    const server = new TestServer()
    replaying(server, 1, 8)
    const clock = new ManualClock()
    const { subscriber, seen, closes } = subscribe(await server.listen(), clock)
    subscriber.start()
    await until(() => seen.length === 1, 'message')
    subscriber.resume()
    for (let minute = 1; minute <= 3; minute++) {
      await clock.advance(60_000)
      await until(() => server.clients.length > minute && subscriber.phase === 'open', 'a new one')
    }
    assert.deepEqual(seen, [1])
    assert.deepEqual(
      closes.map(({ renewal }) => renewal),
      ['unheard', 'unheard', 'unheard'],
    )
    assert.equal(subscriber.attempt, 0)
    assert.match(server.requests.at(-1)?.url ?? '', /cursor=1$/)
  })
})
