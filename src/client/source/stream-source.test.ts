import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeMessageFrame } from '../../stream/own-frames.ts'
import { ScriptedService } from '../testing/scripted-service.ts'
import { WatchedSource } from '../testing/watched-source.ts'

const HOUR_MS = 3_600_000

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

describe('where a stream begins', () => {
  test('live: nothing old comes, and after a loss nothing is missing', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], { finishes: 'never' })
    for (let i = 0; i < 5; i++) service.publish(watched.clock.nowMs())
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'live', 'live')
    service.publish(watched.clock.nowMs())
    await watched.soon(() => watched.seqs.length === 1, 'the first event')
    service.cut()
    await watched.soon(() => watched.source.state.phase === 'reconnecting', 'the loss')
    service.publish(watched.clock.nowMs())
    await watched.until(() => watched.seqs.length === 3, 'both events')
    assert.deepEqual(service.cursors, [null, 5], 'it was joined at 6, and nothing is finished')
    assert.deepEqual(watched.seqs, [6, 6, 7])
  })

  test('oldest, and then from what is finished', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], { policies: { start: 'oldest' } })
    for (let i = 0; i < 5; i++) service.publish(watched.clock.nowMs())
    service.dropThrough(2)
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 3, 'the window')
    service.cut()
    await watched.until(() => service.cursors.length === 2, 'a second connection')
    assert.deepEqual(service.cursors, [0, 5])
    assert.deepEqual(watched.notices, [], 'reading from the oldest is no loss')
  })

  test('a seq of a service, whatever its rank', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    for (let i = 0; i < 5; i++) second.publish(Date.now())
    await using watched = new WatchedSource([first.origin, second.origin], {
      policies: { start: { service: second.origin, seq: 3 } },
    })
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 2, 'two events')
    assert.deepEqual(watched.seqs, [4, 5])
    assert.equal(watched.places[0]?.service, second.origin)
    assert.equal(first.cursors.length, 0)
  })

  test('what was stored, on the service that it belongs to', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    for (let i = 0; i < 5; i++) second.publish(Date.now())
    await using watched = new WatchedSource([first.origin, second.origin], {
      stored: { [second.origin]: 4 },
    })
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 1, 'an event')
    assert.deepEqual([first.cursors, second.cursors], [[], [4]])
  })

  test('the newest cursor counts where several are stored', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    await using watched = new WatchedSource([first.origin, second.origin], {
      stored: { [first.origin]: 0, [second.origin]: 0 },
      lastService: second.origin,
    })
    watched.source.start()
    await watched.soon(() => second.cursors.length === 1, 'a connection')
    assert.equal(first.cursors.length, 0)
  })

  test('services that cannot be meant are an error of the caller', () => {
    for (const services of [[], ['ftp://a.example'], ['a.example', 'https://a.example/']]) {
      assert.throws(() => new WatchedSource(services), { code: 'OPTION_INVALID' }, services.join())
    }
  })
})

describe('replaying and live', () => {
  test('a replay shows its lag and ends when events are recent', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], { policies: { start: 'oldest' } })
    const now = watched.clock.nowMs()
    for (let i = 0; i < 20; i++) service.publish(now - 2 * HOUR_MS)
    watched.source.start()
    await watched.until(() => (watched.source.state.lagMs ?? 0) > HOUR_MS, 'lag', 200)
    assert.equal(watched.source.state.phase, 'replaying')
    for (let i = 0; i < 20; i++) service.publish(watched.clock.nowMs())
    await watched.until(() => watched.source.state.phase === 'live', 'live', 200)
    assert((watched.source.state.lagMs ?? Infinity) < 60_000)
    assert.equal(watched.source.state.eventsBehind, 0)
    assert.deepEqual(watched.phases, ['connecting', 'replaying', 'live'])
  })

  test('a replay of old events ends where a pong comes and no event', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], { policies: { start: 'oldest' } })
    for (let i = 0; i < 3; i++) service.publish(watched.clock.nowMs() - 100 * HOUR_MS)
    service.pongs = 'withheld'
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 3, 'three events')
    await watched.pass(20_000)
    assert.equal(watched.source.state.phase, 'replaying', 'nothing proves that there is no more')
    service.pongs = 'sent'
    await watched.until(() => watched.source.state.phase === 'live', 'live')
    assert.equal(watched.source.state.lagMs, 0)
  })

  test('a network without traffic is live for ever', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin])
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'live', 'live')
    await watched.pass(40 * 60_000, 20_000)
    assert.deepEqual(watched.phases, ['connecting', 'live'])
    assert.equal(service.cursors.length, 1)
  })

  test('so it is where the runtime cannot ping, and a replay comes to its end', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin, 'http://127.0.0.1:1'], {
      policies: { start: 'oldest' },
      transport: 'web',
    })
    for (let i = 0; i < 3; i++) service.publish(watched.clock.nowMs() - 100 * HOUR_MS)
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 3, 'three events')
    await watched.pass(20 * 60_000, 10_000)
    assert.deepEqual(watched.phases, ['connecting', 'replaying', 'live'])
    assert(service.cursors.length > 10, 'it was made anew again and again')
    assert.deepEqual(watched.notices, [])
    service.publish(watched.clock.nowMs())
    await watched.until(() => watched.seqs.length === 4, 'an event')
    assert.deepEqual(watched.seqs, [1, 2, 3, 4])
  })

  test('a few hosts with wrong clocks do not make a replay live', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], { policies: { start: 'oldest' } })
    const now = watched.clock.nowMs()
    for (let i = 0; i < 30; i++) service.publish(i % 3 === 0 ? now + HOUR_MS : now - 5 * HOUR_MS)
    watched.source.start()
    await watched.until(() => watched.source.state.lagMs !== null, 'lag', 200)
    assert.equal(watched.source.state.phase, 'replaying')
    assert((watched.source.state.lagMs ?? 0) > 4 * HOUR_MS)
  })
})

describe('a silent service', () => {
  test('is stalled, then given up, and connected again', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin])
    service.pongs = 'withheld'
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'live', 'live')
    await watched.until(() => watched.source.state.phase === 'stalled', 'stalled', 5_000)
    assert.equal(watched.source.state.stall, 'silent')
    await watched.until(() => watched.source.state.phase === 'reconnecting', 'the end', 5_000)
    service.pongs = 'sent'
    await watched.until(() => service.cursors.length === 2, 'another connection')
    assert.equal(watched.source.state.lastClose?.detail, 'silent')
    await watched.until(() => watched.source.state.phase === 'live', 'live')
    assert.deepEqual(watched.phases.slice(0, 4), ['connecting', 'live', 'stalled', 'reconnecting'])
  })
})

describe('a slow reader', () => {
  test('holds the service back, loses nothing, and is shown as stalled', async () => {
    await using service = await ScriptedService.start()
    let isHolding = true
    await using watched = new WatchedSource([service.origin], {
      policies: { start: 'oldest' },
      onFrame: (source, place) => {
        if (isHolding && place?.seq === 10) source.pause()
      },
    })
    const padding = 'x'.repeat(60_000)
    const total = 400
    for (let seq = 1; seq <= total; seq++) {
      const time = new Date(watched.clock.nowMs() - HOUR_MS).toISOString()
      const body = { seq, did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz', time, padding }
      service.publishBytes(encodeMessageFrame('#identity', body))
    }
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 10, 'ten events')
    await watched.pass(120_000, 5_000)
    assert.deepEqual(watched.seqs, range(1, 10), 'no event while it is held')
    assert.equal(watched.source.state.phase, 'stalled')
    assert.equal(watched.source.state.stall, 'held')
    assert.equal(service.cursors.length, 1, 'silence is not held against a service that is held')
    isHolding = false
    watched.source.resume()
    await watched.soon(() => watched.seqs.length === total, 'all events')
    assert.deepEqual(watched.seqs, range(1, total))
    assert.equal(watched.source.state.phase, 'replaying')
  })

  test('is held back on the next connection too', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin], { policies: { start: 'oldest' } })
    for (let i = 0; i < 3; i++) service.publish(watched.clock.nowMs())
    watched.source.pause()
    watched.source.start()
    await watched.soon(() => service.connections === 1, 'a connection')
    service.cut()
    await watched.until(() => service.cursors.length === 2, 'another one')
    await watched.pass(5_000)
    assert.deepEqual(watched.seqs, [])
    watched.source.resume()
    await watched.soon(() => watched.seqs.length === 3, 'the events')
  })

  test('that falls behind on a live stream is shown as replaying', async () => {
    await using service = await ScriptedService.start()
    await using watched = new WatchedSource([service.origin])
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'live', 'live')
    watched.source.pause()
    for (let i = 0; i < 20; i++) service.publish(watched.clock.nowMs())
    await watched.pass(20_000)
    assert.equal(watched.source.state.phase, 'live', 'a short pause is nothing to speak of')
    await watched.pass(100_000, 10_000)
    watched.source.resume()
    await watched.soon(() => watched.seqs.length === 20, 'the events')
    await watched.until(() => watched.source.state.phase === 'replaying', 'behind', 500)
    for (let i = 0; i < 20; i++) service.publish(watched.clock.nowMs())
    await watched.until(() => watched.source.state.phase === 'live', 'live', 500)
  })
})

test('stopping ends the connection, and nothing comes after it', async () => {
  await using service = await ScriptedService.start()
  const watched = new WatchedSource([service.origin], {
    policies: { start: 'oldest' },
    onFrame: (source) => void source.stop(),
  })
  for (let i = 0; i < 5; i++) service.publish(watched.clock.nowMs())
  watched.source.start()
  await watched.soon(() => watched.source.state.phase === 'stopped', 'stopped')
  assert.deepEqual(watched.seqs, [1])
  await watched[Symbol.asyncDispose]()
  await watched.soon(() => service.connections === 0, 'the end of the connection')
  assert.equal(watched.states.at(-1)?.phase, 'stopped')
  assert.equal(watched.source.state.failure, null)
  assert.deepEqual(watched.seqs, [1])
})
