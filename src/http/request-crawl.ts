/** com.atproto.sync.requestCrawl and the deprecated com.atproto.sync.notifyOfUpdate */

import { mainSchema as notifySchema } from '@atcute/atproto/types/sync/notifyOfUpdate'
import { mainSchema as crawlSchema } from '@atcute/atproto/types/sync/requestCrawl'

import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { CrawlOutcome, RelayView } from '../relay/relay-view.ts'
import type { Endpoint } from './endpoint.ts'
import { CRAWLS_IN_FLIGHT_MAX } from './http-limits.ts'
import { invalidRequest, xrpcError } from './xrpc-error.ts'
import { readInput } from './xrpc-params.ts'

/**
 * Both calls: a host says that it has something to read. An unknown host is probed and added; a
 * known one that is offline is tried again at once. Success is 200 without a body.
 */
export function crawlEndpoints(view: RelayView, metrics: RelayMetrics): readonly Endpoint[] {
  let inFlight = 0
  return [crawlSchema, notifySchema].map(({ nsid, input }) => ({
    nsid,
    method: 'POST',
    async answer(call) {
      const body = readInput(nsid, input.schema, call.input)
      if (!body.ok) return invalidRequest(body.detail)
      const limited = call.spend('crawl')
      if (limited !== null) return limited
      if (inFlight >= CRAWLS_IN_FLIGHT_MAX) {
        metrics.crawlRequests.add(1, { outcome: 'busy' })
        return xrpcError(503, 'Busy', 'Too many hosts are being probed', { 'retry-after': '5' })
      }
      inFlight++
      try {
        const outcome = await view.requestCrawl(body.value.hostname)
        metrics.crawlRequests.add(1, { outcome: outcome.kind })
        return crawlAnswer(outcome)
      } finally {
        inFlight--
      }
    },
  }))
}

/** How long to wait when the day's new hosts are used up: the limit frees up by the hour. */
const NEW_HOSTS_RETRY_S = '3600'

function crawlAnswer(outcome: CrawlOutcome): Response {
  switch (outcome.kind) {
    case 'accepted':
      return new Response(null, { status: 200, headers: { 'content-length': '0' } })
    case 'invalid-hostname':
      return invalidRequest(outcome.message)
    case 'unreachable':
      return xrpcError(400, 'HostNotFound', outcome.message)
    case 'banned':
      return xrpcError(400, 'HostBanned', outcome.message)
    case 'disabled':
      return xrpcError(403, 'Forbidden', outcome.message)
    case 'limited':
      return xrpcError(429, 'RateLimitExceeded', outcome.message, {
        'retry-after': NEW_HOSTS_RETRY_S,
      })
    default:
      return outcome satisfies never
  }
}
