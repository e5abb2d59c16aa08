import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { WebSocketServer, type WebSocket } from 'ws'
import { FRAME_BYTES_MAX } from '../lib/limits.ts'
import { Subscriber, type SubscriberClose, subscribeReposUrl } from './subscriber.ts'
import type { BackoffState } from './subscriber-machine.ts'
import { ManualClock, settle, until } from './support.test.ts'
import { WsTransport } from './ws-transport.ts'

/** A host on loopback that does what a test says. */
class TestHost {
  readonly requests: IncomingMessage[] = []
  readonly clients: WebSocket[] = []
  readonly server: Server
  readonly #sockets = new Set<Socket>()
  onClient: (client: WebSocket) => void = () => {}

  constructor(autoPong: 'pong' | 'mute' = 'pong') {
    const wss = new WebSocketServer({ noServer: true, autoPong: autoPong === 'pong' })
    this.server = createServer()
    this.server.on('connection', (socket) => this.#sockets.add(socket))
    this.server.on('upgrade', (request, socket, head) => {
      this.requests.push(request)
      if (this.refuse(socket as Socket)) return
      wss.handleUpgrade(request, socket, head, (client) => {
        this.clients.push(client)
        client.on('error', () => {})
        this.onClient(client)
      })
    })
  }

  /** Overridden to answer something else than an upgrade. */
  refuse: (socket: Socket) => boolean = () => false

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  close(): void {
    this.server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

interface Log {
  readonly events: string[]
  readonly frames: Uint8Array[]
  readonly closes: SubscriberClose[]
  readonly backoffs: BackoffState[]
}

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Options {
  readonly backoff?: BackoffState
  readonly cursor?: () => number | null
  readonly connectOptions?: (url: URL) => object
}

function subscribe(endpoint: string, options: Options = {}) {
  const clock = new ManualClock()
  const log: Log = { events: [], frames: [], closes: [], backoffs: [] }
  const subscriber: Subscriber = new Subscriber({
    endpoint,
    cursor: options.cursor ?? (() => null),
    clock,
    random: { next: () => 0 },
    transport: new WsTransport({
      clock,
      userAgent: 'skein-test/1',
      handshakeTimeoutMs: 5_000,
      connectOptions: options.connectOptions ?? (() => ({})),
    }),
    ...(options.backoff === undefined ? {} : { backoff: options.backoff }),
    listener: {
      onConnecting: (attempt) => log.events.push(`connecting ${attempt}`),
      onOpen: () => log.events.push('open'),
      onFrame: (bytes) => {
        log.frames.push(bytes)
        log.events.push('frame')
      },
      onBadMessage: (reason) => log.events.push(reason),
      onClosed: (close) => {
        log.closes.push(close)
        log.events.push(`closed ${close.code}`)
      },
      onBackoff: (backoff) => log.backoffs.push(backoff),
    },
  })
  cleanups.push(async () => {
    void subscriber.stop()
    await clock.advance(10_000)
  })
  return { subscriber, clock, log }
}

async function hostAt(autoPong: 'pong' | 'mute' = 'pong') {
  const host = new TestHost(autoPong)
  const endpoint = await host.listen()
  cleanups.push(() => host.close())
  return { host, endpoint }
}

test('subscribeReposUrl', () => {
  const path = '/xrpc/com.atproto.sync.subscribeRepos'
  assert.equal(subscribeReposUrl('wss://pds.example', null), `wss://pds.example${path}`)
  assert.equal(subscribeReposUrl('wss://pds.example/', 0), `wss://pds.example${path}?cursor=0`)
})

describe('a subscription', () => {
  test('connects with cursor and User-Agent, uncompressed, and gets every frame', async () => {
    const { host, endpoint } = await hostAt()
    host.onClient = (client) => {
      for (let i = 0; i < 100; i++) client.send(Uint8Array.of(i))
    }
    let cursor: number | null = 41
    const { subscriber, clock, log } = subscribe(endpoint, { cursor: () => cursor })
    subscriber.start()
    await until(() => log.frames.length === 100, 'frames')
    assert.deepEqual(
      log.frames.map((frame) => frame[0]),
      Array.from({ length: 100 }, (_, i) => i),
    )
    const [request] = host.requests
    assert.equal(request?.url, '/xrpc/com.atproto.sync.subscribeRepos?cursor=41')
    assert.equal(request?.headers['user-agent'], 'skein-test/1')
    assert.equal(request?.headers['sec-websocket-extensions'], undefined)
    // The cursor is asked for again at every attempt.
    cursor = 141
    host.clients[0]?.close(1012)
    await until(() => log.closes.length === 1, 'close')
    await clock.advance(1_000)
    await until(() => host.requests.length === 2, 'reconnect')
    assert.equal(host.requests[1]?.url, '/xrpc/com.atproto.sync.subscribeRepos?cursor=141')
    assert.equal(log.closes[0]?.hadProgress, true)
  })

  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 4000]) {
    test(`reconnects after close code ${code}`, async () => {
      const { host, endpoint } = await hostAt()
      host.onClient = (client) => client.close(code, 'because')
      const { subscriber, clock, log } = subscribe(endpoint)
      subscriber.start()
      await until(() => log.closes.length === 1, 'close')
      const close = log.closes[0]
      assert.deepEqual([close?.code, close?.reason, close?.cause], [code, 'because', null])
      assert.equal(subscriber.phase, 'waiting')
      host.onClient = () => {}
      await clock.advance(1_000)
      await until(() => subscriber.phase === 'open', 'reconnect')
      assert.deepEqual(log.events, [
        'connecting 1',
        'open',
        `closed ${code}`,
        'connecting 2',
        'open',
      ])
    })
  }

  test('reconnects after a connection that is cut, or cannot be made', async () => {
    const { host, endpoint } = await hostAt()
    host.onClient = (client) => client.terminate()
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => log.closes.length === 1, 'cut')
    assert.equal(log.closes[0]?.code, 1006)
    host.close()
    await clock.advance(1_000)
    await until(() => log.closes.length === 2, 'refused')
    assert.match(log.closes[1]?.reason ?? '', /ECONNREFUSED/)
    assert.deepEqual(
      log.backoffs.map((backoff) => backoff.attempt),
      [1, 2],
    )
    assert.equal(log.backoffs[1]?.nextAttemptAtMs, clock.nowMs() + 2_000)
  })

  test('reports an HTTP refusal and honours its Retry-After', async () => {
    const { host, endpoint } = await hostAt()
    host.refuse = (socket) => {
      socket.end('HTTP/1.1 429 Too Many\r\nRetry-After: 300\r\nContent-Length: 0\r\n\r\n')
      return true
    }
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => log.closes.length === 1, 'refusal')
    assert.equal(log.closes[0]?.httpStatus, 429)
    assert.equal(log.backoffs[0]?.nextAttemptAtMs, clock.nowMs() + 300_000)
    await clock.advance(299_000)
    assert.equal(host.requests.length, 1)
    await clock.advance(1_000)
    await until(() => host.requests.length === 2, 'second attempt')
  })

  test('does not follow redirects', async () => {
    const { host, endpoint } = await hostAt()
    host.refuse = (socket) => {
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${endpoint}/other\r\n\r\n`)
      return true
    }
    const { subscriber, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => log.closes.length === 1, 'refusal')
    assert.equal(log.closes[0]?.httpStatus, 302)
    assert.equal(host.requests.length, 1)
  })

  test('gives up a handshake that never ends', async () => {
    const { host, endpoint } = await hostAt()
    host.refuse = () => true
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => host.requests.length === 1, 'request')
    await clock.advance(15_000)
    await until(() => log.closes.length === 1, 'time-out')
    assert.equal(log.closes[0]?.cause, 'connect-timeout')
  })

  test('an address that policy refuses is a failed attempt', async () => {
    const { subscriber, clock, log } = subscribe('ws://127.0.0.1:9', {
      connectOptions: (url) => {
        throw new Error(`blocked ${url.hostname}`)
      },
    })
    subscriber.start()
    assert.equal(log.closes.length, 0)
    await clock.advance(0)
    assert.equal(log.closes[0]?.reason, 'blocked 127.0.0.1')
    assert.equal(subscriber.phase, 'waiting')
  })
})

describe('liveness', () => {
  test('a host that says nothing for hours but answers pings stays connected', async () => {
    const { endpoint } = await hostAt()
    const { subscriber, clock, log } = subscribe(endpoint, {
      backoff: { attempt: 4, nextAttemptAtMs: null },
    })
    subscriber.start()
    await until(() => subscriber.phase === 'open', 'open')
    for (let i = 0; i < 40; i++) await clock.advance(30_000)
    assert.deepEqual(log.events, ['connecting 5', 'open'])
    assert.deepEqual(log.backoffs, [{ attempt: 0, nextAttemptAtMs: null }])
  })

  test('a host that never pongs is dropped after 90 s', async () => {
    const { endpoint } = await hostAt('mute')
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => subscriber.phase === 'open', 'open')
    await clock.advance(89_999)
    assert.equal(subscriber.phase, 'open')
    await clock.advance(1)
    await until(() => log.closes.length === 1, 'close')
    assert.equal(log.closes[0]?.cause, 'silent')
    assert.equal(log.closes[0]?.hadProgress, false)
  })

  test('a host that never pongs but sends frames is alive', async () => {
    const { host, endpoint } = await hostAt('mute')
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => subscriber.phase === 'open', 'open')
    for (let i = 1; i <= 5; i++) {
      await clock.advance(80_000)
      host.clients[0]?.send(Uint8Array.of(1))
      await until(() => log.frames.length === i, 'frame')
    }
    assert.equal(subscriber.phase, 'open')
  })
})

describe('messages that are no frames', () => {
  test('text is reported and the connection kept', async () => {
    const { host, endpoint } = await hostAt()
    const { subscriber, log } = subscribe(endpoint)
    host.onClient = (client) => {
      client.send('hello')
      client.send(Uint8Array.of(1))
    }
    subscriber.start()
    await until(() => log.frames.length === 1, 'frame')
    assert.deepEqual(log.events, ['connecting 1', 'open', 'frame-not-binary', 'frame'])
  })

  test('a message over the limit is reported, and the stream is taken up again', async () => {
    const { host, endpoint } = await hostAt()
    host.onClient = (client) => client.send(new Uint8Array(FRAME_BYTES_MAX))
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => log.frames.length === 1, 'largest frame')
    host.onClient = () => {}
    host.clients[0]?.send(new Uint8Array(FRAME_BYTES_MAX + 1))
    await until(() => log.closes.length === 1, 'close')
    assert.deepEqual(log.events.slice(2, 5), ['frame', 'frame-too-large', 'closed 1006'])
    assert.equal(log.closes[0]?.cause, 'frame-too-large')
    await clock.advance(1_000)
    await until(() => subscriber.phase === 'open', 'reconnect')
  })
})

describe('back-pressure', () => {
  // Small frames share one read of the socket, large ones take many.
  for (const size of [10, 1_000, 64 * 1024]) {
    test(`no frame of ${size} bytes arrives while paused, and none is lost`, async () => {
      const { host, endpoint } = await hostAt()
      const total = 400
      host.onClient = (client) => {
        for (let i = 0; i < total; i++) {
          const frame = new Uint8Array(size)
          new DataView(frame.buffer).setUint32(0, i)
          client.send(frame)
        }
      }
      const { subscriber, log } = subscribe(endpoint)
      const seen: number[] = []
      const push = log.frames.push.bind(log.frames)
      // Pauses inside the callback, at every third frame.
      log.frames.push = (...frames) => {
        for (const frame of frames) {
          seen.push(new DataView(frame.buffer, frame.byteOffset).getUint32(0))
          if (seen.length % 3 === 0) subscriber.pause()
        }
        return push(...frames)
      }
      subscriber.start()
      await until(() => seen.length === 3, 'three frames')
      await settle()
      assert.equal(seen.length, 3)
      const held = host.clients[0]?.bufferedAmount ?? 0
      if (size === 64 * 1024) assert.ok(held > 0, 'the host still holds what was not read')
      for (let rounds = 0; seen.length < total && rounds < total; rounds++) {
        const before = seen.length
        subscriber.resume()
        await until(() => seen.length > before, 'progress')
        assert.ok(seen.length <= before + 3, 'paused in time')
      }
      assert.deepEqual(
        seen,
        Array.from({ length: total }, (_, i) => i),
      )
    })
  }

  test('a pause outlasts a reconnect, and silence in it is not held against the host', async () => {
    const { host, endpoint } = await hostAt()
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => subscriber.phase === 'open', 'open')
    host.clients[0]?.terminate()
    await until(() => log.closes.length === 1, 'cut')
    subscriber.pause()
    host.onClient = (client) => client.send(Uint8Array.of(9))
    await clock.advance(1_000)
    await until(() => subscriber.phase === 'open', 'reconnect')
    for (let i = 0; i < 10; i++) await clock.advance(30_000)
    assert.equal(subscriber.phase, 'open')
    assert.equal(log.frames.length, 0)
    subscriber.resume()
    await until(() => log.frames.length === 1, 'frame')
  })
})

describe('backoff', () => {
  test('a flapping host is asked less and less, and what to keep is reported', async () => {
    const { host, endpoint } = await hostAt()
    host.onClient = (client) => {
      client.send(Uint8Array.of(1))
      client.close(1011)
    }
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    for (const [index, seconds] of [1, 2, 4, 8].entries()) {
      await until(() => log.closes.length === index + 1, 'close')
      assert.equal(log.backoffs.at(-1)?.nextAttemptAtMs, clock.nowMs() + seconds * 1_000)
      await clock.advance(seconds * 1_000)
    }
    await until(() => log.closes.length === 5, 'close')
    await subscriber.stop()
    // A later process goes on where this one was.
    const kept = log.backoffs.at(-1)
    assert.ok(kept !== undefined)
    const second = subscribe(endpoint, { backoff: kept })
    second.subscriber.start()
    assert.equal(second.subscriber.phase, 'waiting')
    assert.equal(second.subscriber.attempt, 5)
    second.subscriber.wakeNow()
    await until(() => second.log.closes.length === 1, 'woken')
  })
})

describe('stop', () => {
  test('closes politely, says nothing more, and leaves nothing running', async () => {
    const { host, endpoint } = await hostAt()
    const { subscriber, clock, log } = subscribe(endpoint)
    subscriber.start()
    await until(() => host.clients.length === 1 && subscriber.phase === 'open', 'open')
    const closed = new Promise<number>((resolve) => host.clients[0]?.on('close', resolve))
    const events = log.events.length
    host.clients[0]?.send(Uint8Array.of(1))
    await subscriber.stop()
    assert.equal(await closed, 1000)
    await clock.advance(10_000_000)
    assert.equal(log.events.length, events)
    assert.equal(host.requests.length, 1)
    assert.equal(clock.pending, 0)
    await subscriber.stop()
  })

  test('ends an attempt, a wait, and a host that does not answer the close', async () => {
    const { host, endpoint } = await hostAt()
    host.refuse = () => true
    const attempt = subscribe(endpoint)
    attempt.subscriber.start()
    await attempt.subscriber.stop()
    host.refuse = () => false
    const deaf = subscribe(endpoint)
    deaf.subscriber.start()
    await until(() => deaf.subscriber.phase === 'open', 'open')
    host.clients.at(-1)?.pause()
    const gone = deaf.subscriber.stop()
    await deaf.clock.advance(2_000)
    await gone
    const waiting = subscribe('ws://127.0.0.1:9')
    waiting.subscriber.start()
    await until(() => waiting.subscriber.phase === 'waiting', 'waiting')
    await waiting.subscriber.stop()
    assert.equal(waiting.clock.pending, 0)
  })
})
