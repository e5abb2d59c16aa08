/** The public server of any role in one piece: application, limits, server and stream gate. */

import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import { proxyNetworks } from './client-address.ts'
import { REQUEST_CONNECTIONS_MAX } from './http-limits.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { HttpServer, type HttpTimeouts } from './http-server.ts'
import { RequestLimits } from './request-limits.ts'
import { type AcceptSubscriber, attachSubscribe } from './upgrade.ts'
import type { XrpcApp, XrpcAppParts } from './xrpc-app.ts'

/** The options that a public server uses; a subset of each role's options. */
export interface PublicHttpOptions {
  readonly bind: ListenAddress
  readonly trustedProxies: readonly string[]
  readonly requestsPerMinute: number
  /** Sets how many sockets there may be; the broadcaster bounds the subscribers themselves. */
  readonly subscribersMax: number
}

/** What a public server is given, whatever its role. */
export interface PublicHttpParts {
  readonly accept: AcceptSubscriber
  readonly metrics: HttpMetrics
  readonly clock: Clock
  readonly logger: Logger
  readonly timeouts?: HttpTimeouts
}

/** The running server. Stop it in two steps, with the subscribers' own farewell in between. */
export interface PublicHttp {
  /** `127.0.0.1:2470`, with the real port. */
  readonly address: string
  /** Refuses new subscribers from now on with 503. */
  closeGate(): void
  /** Drains requests for at most `drainMs`, then closes every socket that is left. */
  stop(drainMs: number): Promise<void>
}

/**
 * Starts a public server around the application that `createApp` builds.
 *
 * @throws SkeinError `ADDRESS_UNAVAILABLE`.
 */
export async function startPublicHttp(
  options: PublicHttpOptions,
  parts: PublicHttpParts,
  createApp: (parts: XrpcAppParts) => XrpcApp,
): Promise<PublicHttp> {
  const { accept, metrics, clock, logger, timeouts } = parts
  const proxies = proxyNetworks(options.trustedProxies)
  const { requestsPerMinute, subscribersMax } = options
  const limits = new RequestLimits({ requestsPerMinute, clock, metrics })
  const shared = { limits, proxies, metrics, clock, logger }
  const app = createApp(shared)
  const server = await HttpServer.listen({
    fetch: (request, env) => app.fetch(request, env),
    bind: options.bind,
    clock,
    logger,
    connectionsMax: subscribersMax + REQUEST_CONNECTIONS_MAX,
    ...(timeouts === undefined ? {} : { timeouts }),
  })
  const closeGate = attachSubscribe(server.node, { accept, ...shared })
  return {
    address: server.address,
    closeGate,
    stop(drainMs) {
      closeGate()
      return server.stop(drainMs)
    },
  }
}
