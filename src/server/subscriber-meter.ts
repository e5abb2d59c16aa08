/** Counts what subscribers were sent and why they left, for the metrics. */
import { sampleSubscribers, type SubscriberMetrics } from '../ops/relay-metrics.ts'
import type { Broadcaster, RefusalReason } from '../stream/broadcaster.ts'
import type { EndReason, SessionView } from '../stream/session.ts'
import type { PublishTimes } from './publish-times.ts'

const CAUSES: Readonly<Record<EndReason, string>> = {
  'client-closed': 'client',
  'connection-lost': 'client',
  'client-invalid': 'client',
  'client-flood': 'client',
  'client-silent': 'client',
  'cursor-invalid': 'cursor',
  'cursor-future': 'cursor',
  'slow-stalled': 'slow',
  'slow-trickling': 'slow',
  'slow-overtaken': 'slow',
  'source-failed': 'error',
  stopping: 'shutdown',
}

/** Feeds the subscriber metrics of one broadcaster. */
export class SubscriberMeter {
  readonly #metrics: SubscriberMetrics
  readonly #times: PublishTimes
  #endedFrames = 0
  #endedBytes = 0
  #countedFrames = 0
  #countedBytes = 0
  #countedRefusals = 0

  constructor(metrics: SubscriberMetrics, times: PublishTimes) {
    this.#metrics = metrics
    this.#times = times
  }

  /** To be called when a session ends. */
  onEnd(view: SessionView, reason: EndReason): void {
    this.#endedFrames += view.eventsSent
    this.#endedBytes += view.bytesSent
    this.#metrics.subscribersClosed.add(1, { cause: CAUSES[reason] })
  }

  /** To be called at each scrape. */
  sample(broadcaster: Broadcaster): void {
    const sessions = broadcaster.sessions()
    sampleSubscribers(
      this.#metrics,
      sessions.map(({ id, cursor, pendingBytes }) => ({
        id: String(id),
        lagSeconds: this.#times.lagSeconds(cursor),
        bufferedBytes: pendingBytes,
      })),
    )
    let frames = this.#endedFrames
    let bytes = this.#endedBytes
    for (const { eventsSent, bytesSent } of sessions) {
      frames += eventsSent
      bytes += bytesSent
    }
    // A session that has ended but is not gone yet is in both sums for a moment: never count down.
    this.#metrics.framesSent.add(Math.max(0, frames - this.#countedFrames))
    this.#metrics.bytesSent.add(Math.max(0, bytes - this.#countedBytes))
    this.#countedFrames = Math.max(frames, this.#countedFrames)
    this.#countedBytes = Math.max(bytes, this.#countedBytes)
    this.#countRefusals(broadcaster.stats().refused)
  }

  #countRefusals(refused: Readonly<Record<RefusalReason, number>>): void {
    const total = Object.values(refused).reduce((sum, count) => sum + count, 0)
    this.#metrics.subscribersClosed.add(total - this.#countedRefusals, { cause: 'refused' })
    this.#countedRefusals = total
  }
}
