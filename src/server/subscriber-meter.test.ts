import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeClock } from '../identity/testing/fake-clock.ts'
import { MetricsRegistry } from '../ops/metrics.ts'
import { createRelayMetrics } from '../ops/relay-metrics.ts'
import type { Broadcaster } from '../stream/broadcaster.ts'
import type { SessionView } from '../stream/session.ts'
import { PublishTimes } from './publish-times.ts'
import { SubscriberMeter } from './subscriber-meter.ts'

const session = (id: number, eventsSent: number, cursor = 0): SessionView => ({
  id,
  remote: '192.0.2.1',
  userAgent: 'test',
  connectedAtMs: 0,
  cursor,
  lagEvents: 0,
  eventsSent,
  bytesSent: eventsSent * 100,
  pendingBytes: id,
})

test('what was sent is counted once, while sessions come and go', async () => {
  const registry = new MetricsRegistry()
  const metrics = createRelayMetrics(registry)
  const clock = createFakeClock()
  const times = new PublishTimes(clock)
  const meter = new SubscriberMeter(metrics, times)
  let open: SessionView[] = []
  const refused = { full: 0, 'address-full': 0, stopping: 0, handshake: 0 }
  const broadcaster = {
    sessions: () => open,
    stats: () => ({ subscribers: open.length, accepted: 0, refused, ended: {} }),
  } as unknown as Broadcaster
  const sample = async (): Promise<(name: string) => string[]> => {
    meter.sample(broadcaster)
    const { body } = await registry.page()
    return (name) => body.split('\n').filter((line) => line.startsWith(name))
  }
  open = [session(1, 10), session(2, 5)]
  assert.deepEqual((await sample())('skein_frames_sent_total'), ['skein_frames_sent_total 15'])
  // One ends and is still listed for a moment: never twice, never back.
  open = [session(1, 12), session(2, 8)]
  meter.onEnd(session(2, 8), 'slow-stalled')
  await sample()
  open = [session(1, 12)]
  times.note(50)
  clock.advance(4_000)
  refused.full = 3
  const page = await sample()
  // 15 before, 5 more of open sessions, and at most the 8 of the ended one over again.
  assert.match(page('skein_frames_sent_total').join(''), / 2[0-8]$/u)
  open = [session(1, 100)]
  const last = await sample()
  assert.deepEqual(last('skein_frames_sent_total'), ['skein_frames_sent_total 108'])
  assert.deepEqual(last('skein_sent_bytes_total'), ['skein_sent_bytes_total 10800'])
  assert.deepEqual(last('skein_subscribers '), ['skein_subscribers 1'])
  assert.deepEqual(last('skein_subscriber_lag_seconds{'), [
    'skein_subscriber_lag_seconds{subscriber="1"} 4',
  ])
  assert.deepEqual(last('skein_subscribers_closed_total{').sort(), [
    'skein_subscribers_closed_total{cause="refused"} 3',
    'skein_subscribers_closed_total{cause="slow"} 1',
  ])
})
