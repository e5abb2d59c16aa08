import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { frameOf } from '../../../test/support/fake-host.ts'
import { FRAME_BYTES_MAX } from '../../lib/limits.ts'
import { identityFrame, ScriptedService } from '../testing/scripted-service.ts'
import { WatchedSource, type WatchedOptions } from '../testing/watched-source.ts'

/** A service with events 1 to `count` of now, and a source that is to read it from its oldest. */
async function pair(count: number, options: WatchedOptions = {}) {
  const service = await ScriptedService.start()
  const watched = new WatchedSource([service.origin], {
    ...options,
    policies: { start: 'oldest', ...options.policies },
  })
  for (let i = 0; i < count; i++) service.publish(watched.clock.nowMs())
  return {
    service,
    watched,
    [Symbol.asyncDispose]: async () => {
      await watched[Symbol.asyncDispose]()
      await service[Symbol.asyncDispose]()
    },
  }
}

const noticeKinds = ({ notices }: WatchedSource): string[] => notices.map(({ kind }) => kind)

describe('a connection that ends', () => {
  for (const code of [1000, 1001, 1008, 1009, 1011, 1012, 1013, 3000, 4123]) {
    test(`with close code ${code} is made again, and nothing is missing`, async () => {
      await using both = await pair(3)
      const { service, watched } = both
      watched.source.start()
      await watched.soon(() => watched.seqs.length === 3, 'three events')
      service.closeAll(code, 'for a test')
      await watched.soon(() => watched.source.state.phase === 'reconnecting', 'the end')
      assert.equal(watched.source.state.lastClose?.detail, `closed ${code}: for a test`)
      service.publish(watched.clock.nowMs())
      await watched.until(() => watched.seqs.length === 4, 'the fourth event')
      assert.deepEqual(service.cursors, [0, 3])
      assert.deepEqual(watched.seqs, [1, 2, 3, 4])
    })
  }

  test('without a close frame, and one that is refused at TCP', async () => {
    await using both = await pair(2)
    const { service, watched } = both
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 2, 'two events')
    await service.down()
    await watched.until(() => watched.source.state.attempt >= 3, 'attempts')
    assert.equal(watched.source.state.phase, 'reconnecting')
    assert.equal(watched.source.state.lastClose?.kind, 'lost')
    await service.up()
    service.publish(watched.clock.nowMs())
    await watched.until(() => watched.seqs.length === 3, 'the third event')
  })

  for (const [status, kind, line] of [
    [404, 'refused', '404 Not Found'],
    [400, 'refused', '400 Bad Request'],
    [302, 'refused', '302 Found\r\nLocation: http://127.0.0.1:9/'],
    [500, 'failed', '500 Oh'],
    [503, 'overloaded', '503 Later'],
  ] as const) {
    test(`by HTTP ${status} instead of an upgrade is tried again`, async () => {
      await using both = await pair(1)
      const { service, watched } = both
      service.refusal = line
      watched.source.start()
      await watched.soon(() => watched.source.state.lastClose !== null, 'the answer')
      const { phase, lastClose } = watched.source.state
      const detail = `HTTP ${status}`
      assert.deepEqual([phase, lastClose?.kind, lastClose?.detail], ['reconnecting', kind, detail])
      service.refusal = null
      await watched.until(() => watched.seqs.length === 1, 'the event')
    })
  }

  test('by HTTP 429 is tried again when the service wants it', async () => {
    await using both = await pair(1)
    const { service, watched } = both
    service.refusal = '429 Too Many Requests\r\nRetry-After: 90'
    watched.source.start()
    await watched.soon(() => watched.source.state.nextAttemptAtMs !== null, 'the answer')
    const waitMs = (watched.source.state.nextAttemptAtMs ?? 0) - watched.clock.nowMs()
    assert(waitMs > 85_000 && waitMs <= 90_000, String(waitMs))
    service.refusal = null
    await watched.pass(80_000, 10_000)
    assert.equal(service.cursors.length, 0)
    await watched.until(() => watched.seqs.length === 1, 'the event')
  })

  test('by a refusal stops the source where the policy says so', async () => {
    await using both = await pair(1, { policies: { refused: 'fail' } })
    const { service, watched } = both
    service.refusal = '404 Not Found'
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'stopped', 'the end')
    assert.equal(watched.source.state.failure, 'refused')
  })
})

describe('error frames', () => {
  test('ConsumerTooSlow is told, and the stream goes on from what is finished', async () => {
    await using both = await pair(2)
    const { service, watched } = both
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 2, 'two events')
    service.sayError('ConsumerTooSlow')
    await watched.soon(() => watched.notices.length === 1, 'the notice')
    assert.deepEqual(noticeKinds(watched), ['consumer-too-slow'])
    await watched.until(() => service.cursors.length === 2, 'a connection: it ended none itself')
    assert.deepEqual(service.cursors, [0, 2])
  })

  test('others are told by name', async () => {
    await using both = await pair(0)
    const { service, watched } = both
    watched.source.start()
    await watched.soon(() => service.connections === 1, 'a connection')
    service.sayError('SomethingElse')
    service.closeAll(1008)
    await watched.until(() => service.cursors.length === 2, 'another connection')
    const [notice] = watched.notices
    assert(notice?.kind === 'error-frame')
    assert.deepEqual([notice.error, notice.detail], ['SomethingElse', 'a message'])
    assert.equal(watched.source.state.lastClose?.kind, 'failed')
  })

  for (const [policy, cursors] of [
    ['oldest', [500, 0]],
    ['live', [500, null]],
  ] as const) {
    test(`FutureCursor begins another epoch: ${policy}`, async () => {
      await using service = await ScriptedService.start()
      await using watched = new WatchedSource([service.origin], {
        stored: { [service.origin]: 500 },
        policies: { futureCursor: policy },
      })
      service.publish(watched.clock.nowMs())
      watched.source.start()
      await watched.until(() => service.connections === 1, 'a connection that lasts')
      service.publish(watched.clock.nowMs())
      await watched.until(() => watched.seqs.at(-1) === 2, 'the live event')
      assert.deepEqual(service.cursors, cursors)
      assert(watched.places.every(({ epoch }) => epoch === 1))
      const [notice] = watched.notices
      assert(notice?.kind === 'future-cursor')
      assert.deepEqual([notice.epoch, notice.cursor], [1, 500])
      service.cut()
      await watched.until(() => service.cursors.length === 3, 'a third connection')
      assert.equal(service.cursors[2], 2, 'the new sequence has its own cursor')
    })
  }

  test('FutureCursor in the close frame alone means the same', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], {
      stored: { [service.origin]: 500 },
    })
    service.onClient = (client, cursor) => {
      if (cursor !== 500) return 'stream'
      client.close(1008, 'FutureCursor')
      return 'done'
    }
    watched.source.start()
    await watched.until(() => service.connections === 1, 'a connection that lasts')
    assert.deepEqual([service.cursors, noticeKinds(watched)], [[500, 0], ['future-cursor']])
  })

  test('FutureCursor stops the source where the policy says so', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], {
      stored: { [service.origin]: 500 },
      policies: { futureCursor: 'fail' },
    })
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'stopped', 'the end')
    assert.equal(watched.source.state.failure, 'future-cursor')
    await watched.pass(120_000, 10_000)
    assert.deepEqual(service.cursors, [500])
  })
})

describe('a sequence that is another one', () => {
  test('is noticed by a seq below the cursor', async () => {
    await using both = await pair(0)
    const { service, watched } = both
    watched.source.start()
    await watched.soon(() => service.connections === 1, 'a connection')
    service.publish(watched.clock.nowMs(), 1_000)
    await watched.soon(() => watched.seqs.length === 1, 'an event')
    service.startOver(10)
    service.publish(watched.clock.nowMs())
    // As some do, it takes a cursor of the future for the newest.
    service.onClient = (client) => {
      client.send(identityFrame(11, watched.clock.nowMs()))
      service.onClient = () => 'stream'
      return 'done'
    }
    service.cut()
    await watched.until(() => watched.places.at(-1)?.seq === 11, 'the new event')
    assert.deepEqual(service.cursors, [0, 1_000, 0])
    assert.deepEqual(noticeKinds(watched), ['sequence-restarted'])
    assert.deepEqual(
      watched.places.map(({ epoch, seq }) => [epoch, seq]),
      [
        [0, 1_000],
        [1, 11],
      ],
    )
  })

  test('repeated and falling seqs are told and not given out', async () => {
    await using both = await pair(3)
    const { service, watched } = both
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 3, 'three events')
    for (const seq of [2, 3]) service.say(identityFrame(seq, watched.clock.nowMs()))
    service.publish(watched.clock.nowMs(), 9)
    await watched.soon(() => watched.seqs.length === 4, 'the next event')
    assert.deepEqual(watched.seqs, [1, 2, 3, 9])
    assert.deepEqual(watched.bad, ['seq-not-rising 3', 'seq-not-rising 3'])
    assert.deepEqual(watched.notices, [], 'a jump is no loss')
  })
})

describe('a cursor that the service no longer holds', () => {
  test('is told as a loss, with its bounds', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], { stored: { [service.origin]: 3 } })
    for (let i = 0; i < 20; i++) service.publish(watched.clock.nowMs() - 100_000)
    service.dropThrough(12)
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 8, 'what there is')
    const { origin } = service
    assert.deepEqual(watched.notices, [
      { kind: 'outdated-cursor', service: origin, afterSeq: 3, firstSeq: 13 },
    ])
    assert.equal(watched.frames[0]?.kind, 'info', 'the message is given out too')
    await watched.until(() => watched.source.state.seq === 20, 'a tick', 500)
    const { marginMs } = watched.source.state
    assert(marginMs !== null && Math.abs(marginMs) < 60_000, 'what it has begins where we read')
  })

  test('stops the source where the policy says so, before anything is given out', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], {
      stored: { [service.origin]: 3 },
      policies: { outdatedCursor: 'fail' },
    })
    for (let i = 0; i < 20; i++) service.publish(watched.clock.nowMs())
    service.dropThrough(12)
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'stopped', 'the end')
    assert.deepEqual([watched.source.state.failure, watched.frames], ['outdated-cursor', []])
  })
})

describe('messages that are no frames', () => {
  test('text, garbage, wrong schema: told with the reason, and the stream goes on', async () => {
    await using both = await pair(1)
    const { service, watched } = both
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 1, 'an event')
    service.say('text')
    service.say(Uint8Array.of(0xff, 0xff))
    service.say(frameOf({ op: 1, t: '#identity' }, { seq: 2, did: 'nobody', time: 'x' }))
    service.say(frameOf({ op: 1, t: '#novelty' }, { seq: 7 }))
    service.say(frameOf({ op: 1, t: '#novelty' }, {}))
    service.publish(watched.clock.nowMs(), 8)
    await watched.soon(() => watched.seqs.at(-1) === 8, 'the last event')
    assert.deepEqual(watched.bad, ['frame-not-binary 1', 'frame-malformed 1', 'did-invalid 1'])
    assert.deepEqual(watched.seqs, [1, 7, 8])
    assert.equal(watched.frames.filter(({ kind }) => kind === 'unknown').length, 2)
    assert.equal(service.cursors.length, 1)
    const { badFrames, frames } = watched.source.stats
    assert.deepEqual(badFrames, {
      'frame-not-binary': 1,
      'frame-malformed': 1,
      'did-invalid': 1,
    })
    assert.equal(frames, 6, 'a text is no frame')
  })

  test('one over the limit is stepped over, with all before it given out', async () => {
    await using both = await pair(3)
    const { service, watched } = both
    service.publishBytes(new Uint8Array(FRAME_BYTES_MAX + 1))
    service.publish(watched.clock.nowMs())
    watched.source.start()
    await watched.until(() => watched.seqs.at(-1) === 5, 'the event behind it')
    assert.deepEqual(watched.seqs, [1, 2, 3, 5])
    assert.deepEqual(service.cursors, [0, 4])
    assert.deepEqual(watched.bad, ['frame-too-large 3'])
    const [notice] = watched.notices
    assert(notice?.kind === 'gap' && notice.cause === 'stepped-over')
    assert.equal(notice.afterSeq, 3)
    assert.equal(watched.source.stats.steppedOver, 1)
  })

  test('one that breaks the WebSocket protocol is met three times and stepped over', async () => {
    await using both = await pair(3)
    const { service, watched } = both
    const breaks = service.publish(watched.clock.nowMs())
    service.publish(watched.clock.nowMs())
    service.onClient = (client, cursor) => {
      if (cursor === null || cursor >= breaks) return 'stream'
      for (let seq = cursor + 1; seq < breaks; seq++) {
        client.send(identityFrame(seq, watched.clock.nowMs()))
      }
      // An opcode that does not exist.
      const { _socket: socket } = client as unknown as { _socket: { write(b: Uint8Array): void } }
      socket.write(Uint8Array.of(0x8f, 0))
      return 'done'
    }
    watched.source.start()
    await watched.until(() => watched.seqs.at(-1) === 5, 'the event behind it')
    assert.deepEqual(service.cursors, [0, 3, 3, 4])
    assert.deepEqual(watched.seqs, [1, 2, 3, 5])
    assert.equal(watched.source.stats.steppedOver, 1)
    assert.deepEqual(noticeKinds(watched), ['gap'])
  })

  test('connections that end again and again for other causes step over nothing', async () => {
    await using both = await pair(3)
    const { service, watched } = both
    let isBad = true
    service.onClient = (client) => {
      if (!isBad) return 'stream'
      client.close(1011)
      return 'done'
    }
    watched.source.start()
    await watched.until(() => service.cursors.length === 8, 'eight connections', 5_000)
    isBad = false
    await watched.until(() => watched.seqs.length === 3, 'the events', 5_000)
    assert.deepEqual(watched.seqs, [1, 2, 3])
    assert.equal(watched.source.stats.steppedOver, 0)
  })
})
