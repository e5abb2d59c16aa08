import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '../../lib/random.ts'
import { ScriptedService } from '../testing/scripted-service.ts'
import { WatchedSource } from '../testing/watched-source.ts'

const MINUTE_MS = 60_000

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

/** Fills a service with an event a second over this time up to `untilMs`, from `firstSeq` on. */
function fill(service: ScriptedService, untilMs: number, seconds: number, firstSeq: number): void {
  for (let i = 0; i < seconds; i++) service.publish(untilMs - (seconds - i) * 1_000, firstSeq + i)
}

/** Lets a service publish at every connection without a cursor, so that it has a newest event. */
function answersLive(service: ScriptedService, watched: WatchedSource): void {
  service.onClient = (_client, cursor) => {
    if (cursor === null) setImmediate(() => service.publish(watched.clock.nowMs()))
    return 'stream'
  }
}

/** Two services, the first of which was away and is back, and a source on the second. */
async function onSecond(preferred: 'return' | 'never') {
  const first = await ScriptedService.start()
  const second = await ScriptedService.start()
  const watched = new WatchedSource([first.origin, second.origin], {
    policies: { switchAfterMs: 5_000, returnAfterMs: 60_000, preferred },
  })
  watched.source.start()
  await watched.soon(() => watched.source.state.phase === 'live', 'live')
  first.publish(watched.clock.nowMs())
  await watched.soon(() => watched.seqs.length === 1, 'an event')
  await first.down()
  await watched.until(() => watched.source.state.service === second.origin, 'the second')
  await watched.soon(() => second.connections > 0, 'a connection to it')
  second.publish(watched.clock.nowMs(), 900)
  await watched.until(() => watched.seqs.at(-1) === 900, 'its event', 500)
  await first.up()
  return {
    first,
    second,
    watched,
    [Symbol.asyncDispose]: async () => {
      await watched[Symbol.asyncDispose]()
      await first[Symbol.asyncDispose]()
      await second[Symbol.asyncDispose]()
    },
  }
}

describe('another service', () => {
  test('is joined before where the first one was left, and nothing is missing', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    await using watched = new WatchedSource([first.origin, second.origin], {
      policies: { start: 'oldest', switchAfterMs: 10_000, overlapMs: 2 * MINUTE_MS },
    })
    const now = watched.clock.nowMs()
    fill(first, now - 30 * MINUTE_MS, 60, 1)
    fill(second, now, 3_600, 70_001)
    answersLive(second, watched)
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 60, 'the events of the first')
    await first.down()
    await watched.until(() => watched.places.at(-1)?.service === second.origin, 'the second')
    const joined = watched.places.find(({ service }) => service === second.origin)
    // The first was left at 30 minutes before now; the median of its last events is 7 s earlier.
    const leftAt = 70_001 + 3_600 - 30 * 60 - 8
    assert(joined !== undefined && joined.seq <= leftAt - 120 + 1, `${joined?.seq} ${leftAt}`)
    assert(joined.seq > leftAt - 240 - 10, `not much earlier: ${joined.seq} ${leftAt}`)
    const [notice] = watched.notices
    assert(notice?.kind === 'switched')
    assert.deepEqual(
      [notice.from, notice.to, notice.cause, notice.cursor],
      [first.origin, second.origin, 'failing', joined.seq - 1],
    )
    const { switches, probes } = watched.source.stats
    assert.equal(switches, 1)
    assert(probes >= 2 && probes <= 16, `${probes} probes`)
    assert.equal(second.cursors.length, probes + 1)
  })

  test('is joined at its oldest event where it is quiet', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    await using watched = new WatchedSource([first.origin, second.origin], {
      policies: { switchAfterMs: 5_000 },
    })
    const now = watched.clock.nowMs()
    fill(second, now - 30 * MINUTE_MS, 10, 1)
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'live', 'live')
    first.publish(now)
    await watched.soon(() => watched.seqs.length === 1, 'an event')
    await first.down()
    await watched.until(() => watched.source.state.service === second.origin, 'the second')
    await watched.until(() => watched.seqs.length === 11, 'its window')
    assert.equal(second.cursors.at(-1), 0)
    assert.deepEqual(
      watched.notices.map(({ kind }) => kind),
      ['switched'],
    )
  })

  test('that holds nothing as old is joined all the same, and the gap is told', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    await using watched = new WatchedSource([first.origin, second.origin], {
      policies: { start: 'oldest', switchAfterMs: 5_000 },
    })
    const now = watched.clock.nowMs()
    fill(first, now - 60 * MINUTE_MS, 20, 1)
    fill(second, now, 10, 501)
    watched.source.start()
    await watched.soon(() => watched.seqs.length === 20, 'the events of the first')
    await first.down()
    await watched.until(() => watched.seqs.length === 30, 'those of the second')
    const [gap, switched] = watched.notices
    assert(gap?.kind === 'gap' && gap.cause === 'switched-too-late')
    assert.equal(switched?.kind, 'switched')
  })

  test('is taken at once when the first one refuses us', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    first.refusal = '404 Not Found'
    await using watched = new WatchedSource([first.origin, second.origin], {
      policies: { refused: 'fail' },
    })
    watched.source.start()
    await watched.until(() => watched.source.state.phase === 'live', 'live', 500, 20)
    assert.equal(watched.source.state.service, second.origin)
    assert.deepEqual(second.cursors, [null], 'nothing was read: it begins as it would have')
  })

  test('is joined at its oldest event when what was read before is of an unknown time', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    first.refusal = '404 Not Found'
    await using watched = new WatchedSource([first.origin, second.origin], {
      stored: { [first.origin]: 77 },
    })
    fill(second, watched.clock.nowMs(), 5, 1)
    watched.source.start()
    await watched.until(() => watched.seqs.length === 5, 'the events of the second')
    assert.deepEqual(second.cursors, [0])
    assert(watched.places.every(({ service }) => service === second.origin))
  })

  test('is joined by the time that was stored', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    first.refusal = '404 Not Found'
    const now = Date.now()
    await using watched = new WatchedSource([first.origin, second.origin], {
      stored: { [first.origin]: 77 },
      reachedMs: now - 10 * MINUTE_MS,
    })
    fill(second, now, 3_600, 1_001)
    answersLive(second, watched)
    watched.source.start()
    await watched.until(() => watched.places.length > 0, 'the events of the second')
    const seq = watched.seqs[0] ?? 0
    assert(seq <= 1_001 + 3_600 - 900 && seq >= 1_001 + 3_600 - 1_210, String(seq))
  })

  test('that cannot be reached is not taken', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    await using third = await ScriptedService.start()
    await using watched = new WatchedSource([first.origin, second.origin, third.origin], {
      policies: { switchAfterMs: 5_000 },
    })
    watched.source.start()
    await watched.soon(() => watched.source.state.phase === 'live', 'live')
    first.publish(watched.clock.nowMs())
    await watched.soon(() => watched.seqs.length === 1, 'an event')
    await first.down()
    await second.down()
    await watched.until(() => watched.source.state.service === third.origin, 'the third')
    assert.equal(watched.source.stats.switches, 1)
  })
})

describe('the first service', () => {
  test('is gone back to when it is well, and its own cursor is used', async () => {
    await using all = await onSecond('return')
    const { first, second, watched } = all
    first.publish(watched.clock.nowMs())
    await watched.until(() => watched.source.state.service === first.origin, 'return', 5_000)
    await watched.until(() => watched.seqs.at(-1) === 2, 'what it had published since')
    assert.equal(first.cursors.at(-1), 1, 'what was finished of it, not its oldest')
    await watched.soon(() => second.connections === 0, 'the end of the other connection')
    const moves = watched.notices.flatMap((notice) =>
      notice.kind === 'switched' ? [notice.cause] : [],
    )
    assert.deepEqual(moves, ['failing', 'preferred-healthy'])
    assert(first.cursors.filter((cursor) => cursor === null).length >= 3, 'it was looked at')
  })

  test('begins another epoch there when our cursor is beyond its newest event', async () => {
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    await using watched = new WatchedSource([first.origin, second.origin], {
      stored: { [first.origin]: 5_000, [second.origin]: 80 },
      lastService: second.origin,
      policies: { returnAfterMs: 30_000 },
    })
    const now = watched.clock.nowMs()
    fill(first, now, 1_200, 1)
    answersLive(first, watched)
    fill(second, now, 100, 1)
    watched.source.start()
    await watched.soon(() => watched.seqs.at(-1) === 100, 'the events of the second')
    await watched.until(() => watched.source.state.service === first.origin, 'return', 5_000)
    await watched.until(() => watched.places.at(-1)?.service === first.origin, 'its events')
    const place = watched.places.find(({ service }) => service === first.origin)
    assert.equal(place?.epoch, 1)
    assert((place?.seq ?? Infinity) < 1_200 - 300, 'with an overlap')
    const [restarted] = watched.notices
    assert(restarted?.kind === 'sequence-restarted')
    assert.deepEqual([restarted.service, restarted.cursor], [first.origin, 5_000])
    assert(!first.cursors.includes(5_000), 'a foreign cursor is never sent')
  })

  test('is not gone back to where the policy says never', async () => {
    await using all = await onSecond('never')
    const { first, second, watched } = all
    const before = first.cursors.length
    await watched.pass(30 * MINUTE_MS, 20_000)
    assert.equal(first.cursors.length, before)
    assert.equal(watched.source.state.service, second.origin)
  })
})

describe('the retention floor', () => {
  test('is looked for by short connections while behind, and the margin is warned about', async () => {
    await using service = await ScriptedService.start()
    const HOUR_MS = 60 * MINUTE_MS
    await using watched = new WatchedSource([service.origin], {
      stored: { [service.origin]: 30 },
      policies: { margin: 'probe', marginLowMs: 2 * HOUR_MS },
      onFrame: (source, place) => {
        if (place?.seq === 60) source.pause()
      },
    })
    const now = watched.clock.nowMs()
    // Six hours, of which the reader gets through the second half of the first one.
    for (let i = 0; i < 360; i++) service.publish(now - (360 - i) * MINUTE_MS)
    answersLive(service, watched)
    watched.source.start()
    await watched.soon(() => watched.seqs.at(-1) === 60, 'thirty events')
    await watched.until(() => watched.source.state.eventsBehind !== null, 'both looks')
    const { marginMs, eventsBehind, phase } = watched.source.state
    assert(marginMs !== null && marginMs > 40 * MINUTE_MS && marginMs < HOUR_MS, String(marginMs))
    assert(eventsBehind !== null && eventsBehind >= 300, String(eventsBehind))
    assert.equal(phase, 'replaying')
    assert.deepEqual(service.cursors.slice(0, 3), [30, 0, null])
    const warnings = watched.notices.filter(({ kind }) => kind === 'margin-low')
    assert.equal(warnings.length, 1)
    await watched.until(() => service.cursors.length > 3, 'the next look', 10_000)
    assert(watched.clock.nowMs() - now > 9 * MINUTE_MS, 'not more often')
    assert.equal(service.connections, 1, 'looks end by themselves')
  })
})

test('stopping while another service is being joined leaves nothing behind', async () => {
  await using first = await ScriptedService.start()
  await using second = await ScriptedService.start()
  const watched = new WatchedSource([first.origin, second.origin], {
    policies: { switchAfterMs: 5_000 },
  })
  watched.source.start()
  await watched.soon(() => watched.source.state.phase === 'live', 'live')
  first.publish(watched.clock.nowMs())
  await watched.soon(() => watched.seqs.length === 1, 'an event')
  await first.down()
  await watched.until(() => second.cursors.length === 1, 'the first look')
  await watched[Symbol.asyncDispose]()
  await watched.soon(() => second.connections === 0, 'its end')
  const told = watched.states.length
  await watched.pass(30_000, 5_000)
  assert.deepEqual([watched.states.length, second.cursors.length], [told, 1])
  assert.equal(watched.states.at(-1)?.phase, 'stopped')
})

/** The same event's number on either service. */
const eventOf = (seq: number): number => (seq > 10_000 ? seq - 10_000 : seq)

test('whatever happens to two services, every event comes in order of its sequence', async () => {
  let switches = 0
  let connections = 0
  for (const seed of [1, 2, 3]) {
    const random = seededRandom(seed)
    await using first = await ScriptedService.start()
    await using second = await ScriptedService.start()
    await using watched = new WatchedSource([first.origin, second.origin], {
      policies: { start: 'oldest', switchAfterMs: 20_000, returnAfterMs: 60_000 },
    })
    const isDown = { first: false }
    watched.source.start()
    for (let round = 0; round < 40; round++) {
      // Both services carry the same events, under seqs of their own.
      for (let i = Math.floor(random.next() * 4); i > 0; i--) {
        const timeMs = watched.clock.nowMs()
        first.publish(timeMs)
        second.publish(timeMs, first.seq + 10_000)
      }
      const what = Math.floor(random.next() * 7)
      if (what === 0) first.cut()
      else if (what === 1) second.closeAll(1012)
      else if (what === 2) first.sayError('ConsumerTooSlow')
      else if (what === 3) first.closeAll(1008, 'ConsumerTooSlow')
      else if (what === 4) watched.source.pause()
      else if (what === 5) watched.source.resume()
      else if (isDown.first) await first.up()
      else await first.down()
      if (what === 6) isDown.first = !isDown.first
      await watched.pass(10_000, 5_000)
    }
    watched.source.resume()
    if (isDown.first) await first.up()
    const last = first.publish(watched.clock.nowMs())
    second.publish(watched.clock.nowMs(), last + 10_000)
    await watched.until(() => watched.seqs.some((seq) => eventOf(seq) === last), 'the last event')
    const got = new Set(watched.seqs.map((seq) => eventOf(seq)))
    assert.deepEqual(
      [...got].sort((a, b) => a - b),
      range(1, last),
      `seed ${seed}`,
    )
    const later = watched.notices.filter(
      ({ kind }) => !['switched', 'consumer-too-slow'].includes(kind),
    )
    assert.deepEqual(later, [])
    switches += watched.source.stats.switches
    connections += watched.source.stats.connections
  }
  assert(switches >= 3 && connections >= 20, `${switches} switches, ${connections} connections`)
})
