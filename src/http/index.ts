/**
 * The public HTTP face of a relay or a repository host: XRPC queries, the gate of the event
 * stream, metrics.
 *
 * - `relay-http.ts`, `host-http.ts`: the public server of a role in one piece; `public-http.ts`:
 *   what they share
 * - `relay-app.ts`, `host-app.ts`: which endpoints a role has; `xrpc-app.ts`: routing and what
 *   holds for every answer (CORS, limits, errors)
 * - `endpoint.ts`, and one file an endpoint: `get-latest-commit.ts`, `list-repos.ts`, … of the
 *   relay, `host-get-repo.ts`, `host-get-blob.ts`, … of the host
 * - `redirect-to-host.ts`: 302 for what only the account's host can answer
 * - `body-stream.ts`: long bodies with back-pressure, which end when nobody reads them;
 *   `byte-range.ts`, `entity-tag.ts`: parts of blobs, and blobs that the client has
 * - `upgrade.ts`: which WebSocket upgrades are let through to the broadcaster
 * - `http-server.ts`: node:http with time-outs, bounds and a draining stop
 * - `metrics-server.ts`: `/metrics` on its own address; `http-metrics.ts`: what every role counts
 * - `xrpc-params.ts`, `xrpc-error.ts`, `repo-errors.ts`, `request-body.ts`: reading calls, writing
 *   answers
 * - `rate-limiter.ts`, `request-limits.ts`, `export-slots.ts`, `held-answers.ts`,
 *   `client-address.ts`: who may ask how often, and read how much
 * - `http-limits.ts`: the bounds that are not options
 *
 * Owns listening sockets and what is counted for an address. Everything it says about hosts,
 * accounts and repositories comes from a `RelayView` or a `HostView`; the stream itself belongs to
 * whoever accepts the upgraded socket. It writes no log line for a request: requests are counted.
 * It authenticates nobody: what it serves, it serves to all.
 *
 * @module
 */

export type { BodyEnd, PaceLimits } from './body-stream.ts'
export { createHostApp, type HostAppOptions, type HostAppParts } from './host-app.ts'
export type { ServerDescription } from './host-describe-server.ts'
export { type HostHttpParts, startHostHttp } from './host-http.ts'
export type { HttpMetrics } from './http-metrics.ts'
export { HttpServer, type HttpServerOptions, type HttpTimeouts } from './http-server.ts'
export { type MetricsServerOptions, startMetricsServer } from './metrics-server.ts'
export type { PublicHttp, PublicHttpOptions, PublicHttpParts } from './public-http.ts'
export { createRelayApp, type RelayAppOptions } from './relay-app.ts'
export { type RelayHttpParts, startRelayHttp } from './relay-http.ts'
export { RequestLimits, type RequestLimitsOptions } from './request-limits.ts'
export { type AcceptSubscriber, attachSubscribe, type SubscribeGateOptions } from './upgrade.ts'
export type { XrpcApp, XrpcAppParts } from './xrpc-app.ts'
