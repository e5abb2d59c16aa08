/** The relay's public server in one piece: application, limits, server and stream gate. */

import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { RelayView } from '../relay/relay-view.ts'
import { proxyNetworks } from './client-address.ts'
import { REQUEST_CONNECTIONS_MAX } from './http-limits.ts'
import { HttpServer, type HttpTimeouts } from './http-server.ts'
import { createRelayApp } from './relay-app.ts'
import { RequestLimits } from './request-limits.ts'
import { type AcceptSubscriber, attachSubscribe } from './upgrade.ts'

/** The options that the public server uses; a subset of the relay's options. */
export interface RelayHttpOptions {
  readonly bind: ListenAddress
  readonly trustedProxies: readonly string[]
  readonly requestsPerMinute: number
  /** Sets how many sockets there may be; the broadcaster bounds the subscribers themselves. */
  readonly subscribersMax: number
}

export interface RelayHttpParts {
  readonly view: RelayView
  readonly accept: AcceptSubscriber
  readonly metrics: RelayMetrics
  readonly clock: Clock
  readonly logger: Logger
  readonly timeouts?: HttpTimeouts
}

/** The running server. Stop it in two steps, with the subscribers' own farewell in between. */
export interface RelayHttp {
  /** `127.0.0.1:2470`, with the real port. */
  readonly address: string
  /** Refuses new subscribers from now on with 503. */
  closeGate(): void
  /** Drains requests for at most `drainMs`, then closes every socket that is left. */
  stop(drainMs: number): Promise<void>
}

/**
 * Starts the public server.
 *
 * @throws SkeinError `ADDRESS_UNAVAILABLE`.
 */
export async function startRelayHttp(
  options: RelayHttpOptions,
  parts: RelayHttpParts,
): Promise<RelayHttp> {
  const { view, accept, metrics, clock, logger, timeouts } = parts
  const proxies = proxyNetworks(options.trustedProxies)
  const { requestsPerMinute, subscribersMax } = options
  const limits = new RequestLimits({ requestsPerMinute, clock, metrics })
  const app = createRelayApp({ view, limits, proxies, metrics, clock, logger })
  const server = await HttpServer.listen({
    fetch: (request, env) => app.fetch(request, env),
    bind: options.bind,
    clock,
    logger,
    connectionsMax: subscribersMax + REQUEST_CONNECTIONS_MAX,
    ...(timeouts === undefined ? {} : { timeouts }),
  })
  const closeGate = attachSubscribe(server.node, {
    accept,
    limits,
    proxies,
    metrics,
    clock,
    logger,
  })
  return {
    address: server.address,
    closeGate,
    stop(drainMs) {
      closeGate()
      return server.stop(drainMs)
    },
  }
}
