/** Counts what a host does, for its metrics. */
import type { HostAppParts } from '../http/host-app.ts'
import type { HostMetrics } from '../ops/host-metrics.ts'
import type { HostCall, HostObserver } from '../repo-host/host-observer.ts'
import type { RepoHost } from '../repo-host/repo-host.ts'

const CALL_COUNTERS = { write: 'writes', import: 'imports', upload: 'uploads' } as const

/** What a host's parts tell, put into its metrics. */
export interface HostMeter {
  /** For `RepoHost`. */
  readonly observer: HostObserver
  /** For the HTTP application. */
  readonly hooks: Required<Pick<HostAppParts, 'onBodyEnd' | 'onExportRefused'>>
  /** Sets the gauges; to be called at each scrape. */
  sample(host: RepoHost): void
}

export function createHostMeter(metrics: HostMetrics): HostMeter {
  return {
    observer: {
      onCall(call: HostCall, outcome, bytes) {
        metrics[CALL_COUNTERS[call]].add(1, { outcome })
        if (call === 'upload') metrics.uploadedBytes.add(bytes)
      },
      onCollected({ blobs, rows, files }) {
        metrics.garbageRemoved.add(blobs, { kind: 'blob' })
        metrics.garbageRemoved.add(rows, { kind: 'row' })
        metrics.garbageRemoved.add(files, { kind: 'file' })
      },
    },
    hooks: {
      onBodyEnd(endpoint, end, bytes) {
        metrics.bodiesEnded.add(1, { endpoint, end })
        metrics.bodyBytes.add(bytes, { endpoint })
      },
      onExportRefused: (limit) => metrics.exportsRefused.add(1, { limit }),
    },
    sample(host) {
      const { exports, waitingCalls } = host.load()
      metrics.exports.set(exports)
      metrics.writeQueue.set(waitingCalls)
      const { firstSeq, publishedSeq, bytes, segments } = host.log.stats
      metrics.logFirstSeq.set(firstSeq)
      metrics.logLastSeq.set(publishedSeq)
      metrics.logBytes.set(bytes)
      metrics.logSegments.set(segments)
    },
  }
}
