import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as realDelay } from 'node:timers/promises'
import { systemClock } from '../lib/clock.ts'
import { seededRandom } from '../lib/random.ts'
import { bareClient, cleanups, Client, PATH, range, serve } from './broadcaster-support.test.ts'
import { SESSION_LIMITS } from './session-rules.ts'
import { ManualClock, settle, until } from './support.test.ts'
import { WebSocket } from 'ws'

describe('cursors on the wire', () => {
  const cases: [string, string, number[], string[]][] = [
    ['none: live', '', [501], []],
    ['empty: live', '?cursor=', [501], []],
    [
      '0: the window, and that it is not all',
      '?cursor=0',
      range(101, 501),
      ['info OutdatedCursor'],
    ],
    ['-1: as 0', '?cursor=-1', range(101, 501), ['info OutdatedCursor']],
    ['outdated', '?cursor=50', range(101, 501), ['info OutdatedCursor']],
    ['oldest that misses nothing', '?cursor=100', range(101, 501), []],
    ['inside: exclusive', '?cursor=480', range(481, 501), []],
    ['newest', '?cursor=500', [501], []],
    ['future', '?cursor=501', [], ['error FutureCursor', 'close 1008 FutureCursor']],
    ['no integer', '?cursor=abc', [], ['error InvalidRequest', 'close 1008 InvalidRequest']],
    ['too large', `?cursor=${2 ** 53}`, [], ['error InvalidRequest', 'close 1008 InvalidRequest']],
    ['twice', '?cursor=1&cursor=1', [], ['error InvalidRequest', 'close 1008 InvalidRequest']],
  ]
  for (const [name, query, seqs, notes] of cases) {
    test(name, async () => {
      const { log, url, broadcaster } = await serve(systemClock)
      log.publish(500)
      log.dropBefore(101)
      const client = new Client(url + query)
      await client.opened()
      await until(() => broadcaster.stats().accepted === 1, 'session')
      log.publish(1)
      await until(() => client.seqs.length >= seqs.length, 'events')
      if (notes.some((note) => note.startsWith('close'))) await until(() => client.closed, 'close')
      await settle()
      assert.deepEqual(client.seqs, seqs)
      assert.deepEqual(client.notes, notes)
    })
  }
})

describe('replay and live are one', () => {
  for (const mode of ['memory', 'file', 'mixed'] as const) {
    test(`no gap and no double with random timing, log in ${mode}`, async () => {
      const { log, url } = await serve(systemClock)
      log.mode = mode
      const random = seededRandom(mode.length)
      log.publish(300, 2_000)
      const clients: [Client, number][] = []
      for (let round = 0; round < 60; round++) {
        if (round % 6 === 0) {
          const cursor = Math.floor(random.next() * (log.publishedSeq + 1))
          clients.push([new Client(`${url}?cursor=${cursor}`), cursor])
        }
        // Gaps in seq as they appear when events are never issued or were purged.
        log.publish(
          Math.floor(random.next() * 40),
          random.next() * 9_000,
          random.next() < 0.2 ? 3 : 1,
        )
        if (random.next() < 0.7) await realDelay(random.next() * 4)
      }
      for (const [client, cursor] of clients) {
        const expected = log.events.map(({ seq }) => seq).filter((seq) => seq > cursor)
        await until(() => client.seqs.length >= expected.length, 'all events')
        assert.deepEqual(client.seqs, expected)
        assert.deepEqual(client.notes, [])
      }
    })
  }

  test('control frames come whole between data frames', async () => {
    const { log, url, broadcaster } = await serve(systemClock)
    log.publish(2_000, 3_000)
    const client = new Client(`${url}?cursor=0`)
    await client.opened()
    let pongs = 0
    client.socket.on('pong', () => pongs++)
    for (let i = 0; i < 100; i++) {
      client.socket.ping('x'.repeat(i))
      await realDelay(1)
    }
    await until(() => client.seqs.length === 2_000 && pongs === 100, 'events and pongs')
    assert.deepEqual(client.seqs, range(1, 2_000))
    assert.equal(broadcaster.stats().subscribers, 1)
  })

  test('hidden stretches of the log are passed over', async () => {
    const { log, url } = await serve(systemClock)
    log.publish(10)
    const read = log.read.bind(log)
    log.read = (afterSeq, bytesMax) =>
      afterSeq < 8
        ? { bytes: new Uint8Array(0), lastSeq: afterSeq + 2, count: 0 }
        : read(afterSeq, bytesMax)
    const client = new Client(`${url}?cursor=0`)
    await until(() => client.seqs.length === 2, 'events')
    assert.deepEqual(client.seqs, [9, 10])
  })

  test('a published batch is read once and written once for all at the tip', async () => {
    const { log, url, server, broadcaster } = await serve(systemClock)
    const writes: Uint8Array[] = []
    server.prependListener('upgrade', (_request, socket) => {
      const write = socket.write.bind(socket) as (data: unknown) => boolean
      socket.write = (data: unknown) => {
        if (data instanceof Uint8Array) writes.push(data)
        return write(data)
      }
    })
    const clients = range(1, 20).map(() => new Client(url))
    await Promise.all(clients.map((client) => client.opened()))
    await until(() => broadcaster.sessions().length === 20, 'sessions')
    writes.length = 0
    log.reads = 0
    log.publish(50)
    await until(() => clients.every((client) => client.seqs.length === 50), 'events')
    assert.equal(writes.length, 20)
    assert.equal(new Set(writes).size, 1, 'all got the same bytes')
    assert.equal(log.reads, 2, 'one read of the batch and one that found the tip')
  })
})

describe('ends', () => {
  test('stop closes with 1012, refuses newcomers, and resolves when all are gone', async () => {
    const { log, url, broadcaster } = await serve(systemClock)
    log.publish(5)
    const clients = range(1, 5).map(() => new Client(`${url}?cursor=0`))
    await Promise.all(clients.map((client) => client.opened()))
    await until(() => broadcaster.sessions().length === 5, 'sessions')
    await broadcaster.stop()
    assert.equal(broadcaster.stats().subscribers, 0)
    await until(() => clients.every((client) => client.closed), 'closed')
    for (const client of clients) {
      assert.deepEqual(client.notes, ['close 1012 restarting'])
      assert.deepEqual(client.seqs, range(1, 5))
    }
    const late = new Client(url)
    await until(() => late.closed, 'refusal')
    assert.match(late.notes[0] ?? '', /503/)
    await broadcaster.stop()
  })

  test('stop destroys who does not answer, after the grace', async () => {
    const clock = new ManualClock()
    const { port, broadcaster } = await serve(clock)
    await bareClient(port, '')
    await until(() => broadcaster.sessions().length === 1, 'session')
    let stopped = false
    void broadcaster.stop().then(() => {
      stopped = true
      return null
    })
    await clock.advance(SESSION_LIMITS.closeGraceMs - 1)
    assert.equal(stopped, false)
    await clock.advance(1)
    await until(() => stopped, 'stopped', 1_000)
    assert.equal(clock.pending, 0)
  })

  for (const mode of ['broken', 'failing'] as const) {
    test(`a log that is ${mode} ends the stream with 1011`, async () => {
      const { log, url, broadcaster } = await serve(systemClock)
      log.publish(1)
      log.mode = mode
      const client = new Client(`${url}?cursor=0`)
      await until(() => client.closed, 'close')
      assert.deepEqual(client.notes, ['close 1011 internal error'])
      assert.equal(broadcaster.stats().ended['source-failed'], 1)
    })
  }

  test('a client that vanishes is counted and leaves nothing behind', async () => {
    const ended: string[] = []
    const { log, url, broadcaster } = await serve(systemClock, {
      onEnd: (view, reason) => ended.push(`${reason} after ${view.eventsSent}`),
    })
    log.publish(3)
    const client = new Client(`${url}?cursor=0`)
    await until(() => client.seqs.length === 3, 'events')
    const [view] = broadcaster.sessions()
    assert.equal(view?.cursor, 3)
    assert.equal(view?.lagEvents, 0)
    assert.equal(view?.remote, '127.0.0.1')
    client.socket.terminate()
    await until(() => broadcaster.stats().subscribers === 0, 'gone')
    assert.deepEqual(ended, ['connection-lost after 3'])
    log.publish(1)
  })

  test('a User-Agent is shown cut and harmless', async () => {
    const { port, broadcaster } = await serve(systemClock)
    const headers = { 'User-Agent': `a\u00e9${'x'.repeat(5_000)}` }
    const socket = new WebSocket(`ws://127.0.0.1:${port}${PATH}`, { headers })
    // It may be ended before its own side has seen the upgrade.
    socket.on('error', () => {})
    cleanups.push(() => socket.terminate())
    await until(() => broadcaster.sessions().length === 1, 'session')
    assert.equal(broadcaster.sessions()[0]?.userAgent, `a?${'x'.repeat(126)}`)
  })
})
