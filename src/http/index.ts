/**
 * The HTTP face of the relay: XRPC queries, the gate of the event stream, metrics.
 *
 * - `relay-http.ts`: the public server in one piece
 * - `relay-app.ts`: routing and what holds for every answer (CORS, limits, errors)
 * - `endpoint.ts`, and one file an endpoint: `get-latest-commit.ts`, `list-repos.ts`, …
 * - `redirect-to-host.ts`: 302 for what only the account's host can answer
 * - `upgrade.ts`: which WebSocket upgrades are let through to the broadcaster
 * - `http-server.ts`: node:http with time-outs, bounds and a draining stop
 * - `metrics-server.ts`: `/metrics` on its own address
 * - `xrpc-params.ts`, `xrpc-error.ts`, `request-body.ts`: reading calls, writing answers
 * - `rate-limiter.ts`, `request-limits.ts`, `client-address.ts`: who may ask how often
 * - `http-limits.ts`: the bounds that are not options
 *
 * Owns listening sockets and what is counted for an address. Everything it says about hosts and
 * accounts comes from a `RelayView`; the stream itself belongs to whoever accepts the upgraded
 * socket. It writes no log line for a request: requests are counted.
 *
 * @module
 */

export { type AcceptSubscriber, attachSubscribe, type SubscribeGateOptions } from './upgrade.ts'
export { HttpServer, type HttpServerOptions, type HttpTimeouts } from './http-server.ts'
export { type MetricsServerOptions, startMetricsServer } from './metrics-server.ts'
export { createRelayApp, type RelayApp, type RelayAppOptions } from './relay-app.ts'
export {
  type RelayHttp,
  type RelayHttpOptions,
  type RelayHttpParts,
  startRelayHttp,
} from './relay-http.ts'
export { RequestLimits, type RequestLimitsOptions } from './request-limits.ts'
