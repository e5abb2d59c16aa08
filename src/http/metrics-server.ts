/**
 * `/metrics` on an address of its own, for Prometheus. It names hosts: keep the address private.
 */

import type { Clock } from '../lib/clock.ts'
import { PRODUCT } from '../ops/build-info.ts'
import type { Logger } from '../ops/logger.ts'
import type { MetricsRegistry } from '../ops/metrics.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import { HttpServer } from './http-server.ts'
import { methodNotAllowed, xrpcError } from './xrpc-error.ts'

/** Most open sockets: a scraper or two, and somebody who looks. */
const CONNECTIONS_MAX = 64

export interface MetricsServerOptions {
  readonly registry: MetricsRegistry
  readonly bind: ListenAddress
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Starts the server. Every request renders the page anew.
 *
 * @throws SkeinError `ADDRESS_UNAVAILABLE`.
 */
export function startMetricsServer(options: MetricsServerOptions): Promise<HttpServer> {
  const { registry, bind, clock, logger } = options
  return HttpServer.listen({
    bind,
    clock,
    logger,
    connectionsMax: CONNECTIONS_MAX,
    fetch: async (request) => {
      if (new URL(request.url).pathname !== '/metrics') {
        return xrpcError(404, 'NotFound', 'Only /metrics is served here')
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        return methodNotAllowed(request.method, 'GET')
      }
      const page = await registry.page()
      return new Response(request.method === 'HEAD' ? null : page.body, {
        headers: { 'content-type': page.contentType, server: PRODUCT },
      })
    },
  })
}
