import assert from 'node:assert/strict'
import { get } from 'node:http'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as realDelay } from 'node:timers/promises'
import { systemClock } from '../lib/clock.ts'
import { bareClient, Client, PATH, payloadText, serve } from './broadcaster-support.test.ts'
import { addressGroup } from './refusal.ts'
import { PENDING_BYTES_HIGH, SESSION_LIMITS } from './session-rules.ts'
import { ManualClock, settle, until } from './support.test.ts'

describe('slow subscribers', () => {
  test('one that stands still is told and dropped, and holds no more than its bound', async () => {
    const clock = new ManualClock()
    const { log, port, broadcaster } = await serve(clock)
    const socket = await bareClient(port, '?cursor=0')
    await until(() => broadcaster.sessions().length === 1, 'session')
    let most = 0
    for (let i = 0; i < 400; i++) {
      log.publish(10, 8_000)
      if (i % 10 === 0) await clock.advance(1)
      most = Math.max(most, broadcaster.sessions()[0]?.pendingBytes ?? 0)
    }
    const [view] = broadcaster.sessions()
    assert.ok(view !== undefined && view.pendingBytes >= PENDING_BYTES_HIGH, 'it does stand still')
    assert.ok(view.lagEvents > 1_000)
    assert.ok(most < 2 * PENDING_BYTES_HIGH + 100_000, `held ${most}`)
    await clock.advance(30_000)
    assert.equal(broadcaster.stats().ended['slow-stalled'], undefined)
    await clock.advance(2_000)
    assert.equal(broadcaster.stats().ended['slow-stalled'], 1)
    // Once it reads, it finds whole frames, the error and the close frame at the end.
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await until(() => payloadText(chunks).includes('ConsumerTooSlow'), 'error frame')
    await settle()
    const closeFrame = '\x88\x11\x03\xf0ConsumerTooSlow'
    assert.ok(payloadText(chunks).endsWith(closeFrame), 'the close frame is the last')
    const sent = broadcaster.sessions()[0]?.bytesSent
    log.publish(10)
    assert.equal(broadcaster.sessions()[0]?.bytesSent, sent, 'nothing is written after the end')
    await clock.advance(5_000)
    await until(() => broadcaster.stats().subscribers === 0, 'gone')
  })

  test('one that never reads again is destroyed after the grace', async () => {
    const clock = new ManualClock()
    const { log, port, broadcaster } = await serve(clock)
    await bareClient(port, '?cursor=0')
    await until(() => broadcaster.sessions().length === 1, 'session')
    for (let i = 0; i < 300; i++) log.publish(10, 8_000)
    await clock.advance(32_000)
    assert.equal(broadcaster.stats().ended['slow-stalled'], 1)
    assert.equal(broadcaster.stats().subscribers, 1)
    await clock.advance(5_000)
    await until(() => broadcaster.stats().subscribers === 0, 'gone', 1_000)
  })

  test('one that takes a little now and then is dropped for its rate', async () => {
    const clock = new ManualClock()
    // The kernel of a loopback socket opens its window by a megabyte or more at a time, which is
    // too coarse for the default rate.
    const limits = { ...SESSION_LIMITS, slowBytesPerSecondMin: 200_000 }
    const { log, port, broadcaster } = await serve(clock, { limits })
    const socket = await bareClient(port, '?cursor=0')
    await until(() => broadcaster.sessions().length === 1, 'session')
    for (let i = 0; i < 300; i++) log.publish(10, 8_000)
    let taken = 0
    for (let second = 0; second < 70; second++) {
      const most = second % 10 === 5 ? 10 : 0
      for (let reads = 0; reads < most; reads++) {
        const chunk = socket.read() as Buffer | null
        taken += chunk?.length ?? 0
        await realDelay(5)
      }
      await clock.advance(1_000)
    }
    assert.ok(taken > 1_000_000, 'it did take something')
    assert.deepEqual(broadcaster.stats().ended, { 'slow-trickling': 1 })
  })

  test('one whose next events are dropped is told so', async () => {
    const clock = new ManualClock()
    const { log, port, broadcaster } = await serve(clock)
    const socket = await bareClient(port, '?cursor=0')
    await until(() => broadcaster.sessions().length === 1, 'session')
    for (let i = 0; i < 300; i++) log.publish(10, 8_000)
    const cursor = broadcaster.sessions()[0]?.cursor ?? 0
    assert.ok(cursor > 0 && cursor < 2_000)
    log.dropBefore(2_500)
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await until(() => payloadText(chunks).includes('ConsumerTooSlow'), 'error frame')
    assert.equal(broadcaster.stats().ended['slow-overtaken'], 1)
  })

  test('a live one that fell behind and was overtaken is told so, too', async () => {
    const clock = new ManualClock()
    const { log, port, broadcaster } = await serve(clock)
    const socket = await bareClient(port, '')
    await until(() => broadcaster.sessions().length === 1, 'session')
    for (let i = 0; i < 300; i++) log.publish(10, 8_000)
    log.dropBefore(2_500)
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await until(() => payloadText(chunks).includes('ConsumerTooSlow'), 'error frame')
    assert.equal(broadcaster.stats().ended['slow-overtaken'], 1)
  })

  test('what is dropped while it is being fetched is not jumped over', async () => {
    const { log, url, broadcaster } = await serve(systemClock)
    log.publish(100)
    const fetched = Promise.withResolvers<void>()
    const read = log.read.bind(log)
    log.read = async (afterSeq, bytesMax) => {
      await fetched.promise
      const chunk = await read(afterSeq, bytesMax)
      assert.ok(chunk !== null)
      return chunk
    }
    const client = new Client(`${url}?cursor=10`)
    await until(() => broadcaster.sessions().length === 1, 'session')
    log.dropBefore(50)
    fetched.resolve()
    await until(() => client.closed, 'close')
    assert.deepEqual(client.seqs, [])
    assert.deepEqual(client.notes, ['error ConsumerTooSlow', 'close 1008 ConsumerTooSlow'])
  })

  test('a slow one does not hold the others back', async () => {
    const { log, port, url, broadcaster } = await serve(systemClock)
    await bareClient(port, '?cursor=0')
    const fast = new Client(`${url}?cursor=0`)
    await until(() => broadcaster.sessions().length === 2, 'sessions')
    for (let i = 0; i < 200; i++) log.publish(10, 8_000)
    await until(() => fast.seqs.length === 2_000, 'all events')
  })
})

describe('liveness and limits', () => {
  test('an idle client that pongs stays, one that does not goes after 90 s', async () => {
    const clock = new ManualClock()
    const { url, broadcaster } = await serve(clock)
    const alive = new Client(url)
    const mute = new Client(url, { autoPong: false })
    await Promise.all([alive.opened(), mute.opened()])
    await until(() => broadcaster.sessions().length === 2, 'sessions')
    await clock.advance(88_000)
    assert.equal(broadcaster.sessions().length, 2)
    await clock.advance(4_000)
    await until(() => mute.closed, 'close')
    assert.deepEqual(mute.notes, ['close 1001 no pong'])
    await clock.advance(600_000)
    assert.equal(alive.closed, false)
  })

  test('a flood of messages ends with 1008', async () => {
    const { url, broadcaster } = await serve(new ManualClock())
    const client = new Client(url)
    await client.opened()
    for (let i = 0; i < 119; i++) client.socket.send('hi')
    await settle()
    assert.equal(client.closed, false)
    for (let i = 0; i < 5; i++) client.socket.send('hi')
    await until(() => client.closed, 'close')
    assert.deepEqual(client.notes, ['close 1008 too many client messages'])
    assert.equal(broadcaster.stats().ended['client-flood'], 1)
  })

  test('a large message ends with 1009', async () => {
    const { url, broadcaster } = await serve(new ManualClock())
    const client = new Client(url)
    await client.opened()
    client.socket.send(new Uint8Array(5_000))
    await until(() => client.closed, 'close')
    assert.deepEqual(client.notes, ['close 1009'])
    assert.equal(broadcaster.stats().ended['client-invalid'], 1)
  })

  test('any Origin may subscribe', async () => {
    const { log, url, broadcaster } = await serve(systemClock)
    const client = new Client(url, { origin: 'https://elsewhere.example' })
    await client.opened()
    await until(() => broadcaster.sessions().length === 1, 'session')
    log.publish(1)
    await until(() => client.seqs.length === 1, 'event')
  })

  test('too many from one address get 429, too many in all 503, and places come back', async () => {
    let remote = '192.0.2.1'
    const { url, broadcaster } = await serve(systemClock, {
      subscribersMax: 3,
      subscribersPerAddressMax: 2,
      remoteAddress: () => remote,
    })
    const first = new Client(url)
    const second = new Client(url)
    await Promise.all([first.opened(), second.opened()])
    const third = new Client(url)
    await until(() => third.closed, 'refusal')
    assert.match(third.notes[0] ?? '', /429/)
    remote = '192.0.2.2'
    const other = new Client(url)
    await other.opened()
    remote = '192.0.2.3'
    const last = new Client(url)
    await until(() => last.closed, 'refusal')
    assert.match(last.notes[0] ?? '', /503/)
    first.socket.close()
    await until(() => broadcaster.stats().subscribers === 2, 'gone')
    remote = '192.0.2.1'
    const again = new Client(url)
    await again.opened()
    assert.deepEqual(broadcaster.stats().refused, {
      full: 1,
      'address-full': 1,
      stopping: 0,
      handshake: 0,
    })
    assert.equal(broadcaster.stats().ended['client-closed'], 1)
  })

  test('refusals carry an XRPC error', async () => {
    const { port } = await serve(systemClock, { subscribersMax: 0 })
    const body = await new Promise<string>((resolve, reject) => {
      const headers = { Connection: 'Upgrade', Upgrade: 'websocket' }
      const request = get({ port, path: PATH, headers }, (response) => {
        assert.equal(response.statusCode, 503)
        assert.equal(response.headers['retry-after'], '30')
        assert.equal(response.headers['content-type'], 'application/json')
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('end', () => resolve(text))
      })
      request.on('error', reject)
    })
    assert.deepEqual(JSON.parse(body), {
      error: 'NotEnoughResources',
      message: 'Too many subscriptions',
    })
  })

  test('a handshake that is none gets 400, another method 405', async () => {
    const { port, broadcaster } = await serve(systemClock)
    for (const [method, status] of [
      ['GET', 400],
      ['POST', 405],
    ] as const) {
      const socket = connect(port, '127.0.0.1')
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.write(
        `${method} ${PATH} HTTP/1.1\r\nHost: x\r\n` +
          'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
      await new Promise((resolve) => socket.on('close', resolve))
      const text = payloadText(chunks)
      assert.ok(text.startsWith(`HTTP/1.1 ${status} `), text)
      assert.ok(text.includes('{"error":"InvalidRequest"'), text)
    }
    assert.equal(broadcaster.stats().refused.handshake, 2)
  })

  test('addressGroup', () => {
    assert.equal(addressGroup('192.0.2.7'), '192.0.2.7')
    assert.equal(addressGroup('::ffff:192.0.2.7'), '192.0.2.7')
    assert.equal(addressGroup('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(addressGroup('2001:db8:1:2::9'), '2001:db8:1:2::/64')
    assert.notEqual(addressGroup('2001:db8:1:3::9'), '2001:db8:1:2::/64')
    assert.equal(addressGroup('unknown'), 'unknown')
  })
})

describe('a crowd', () => {
  test('is written to at intervals that grow with it, and in order; a few are not', async () => {
    const clock = new ManualClock()
    const { log, port, broadcaster } = await serve(clock)
    const sent = (): number[] => broadcaster.sessions().map(({ eventsSent }) => eventsSent)
    const few = await Promise.all(Array.from({ length: 4 }, () => bareClient(port, '')))
    await until(() => broadcaster.sessions().length === few.length, 'sessions')
    for (let i = 1; i <= 3; i++) {
      log.publish(1)
      assert.deepEqual(new Set(sent()), new Set([i]))
    }
    await Promise.all(Array.from({ length: 36 }, () => bareClient(port, '')))
    await until(() => broadcaster.sessions().length === 40, 'sessions')
    const before = sent()
    const since = (): number[] => sent().map((count, i) => count - (before[i] ?? 0))
    await clock.advance(100)
    log.publish(1)
    assert.deepEqual(new Set(since()), new Set([1]), 'after a pause at once')
    for (let i = 0; i < 7; i++) log.publish(1)
    await clock.advance(7)
    assert.deepEqual(new Set(since()), new Set([1]))
    await clock.advance(1)
    assert.deepEqual(new Set(since()), new Set([8]), '0.2 ms for each of 40')
    log.publish(1)
    const stopped = broadcaster.stop()
    assert.deepEqual(new Set(since()), new Set([9]), 'what was published is sent before the end')
    await clock.advance(10_000)
    await stopped
  })
})
