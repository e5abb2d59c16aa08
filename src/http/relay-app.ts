/** The relay's HTTP application: routing, general limits, and what holds for every answer. */

import { isNsid } from '@atcute/lexicons/syntax'
import { Hono, type Context } from 'hono'
import { cors } from 'hono/cors'

import { must } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { PRODUCT, VERSION } from '../ops/build-info.ts'
import type { Logger } from '../ops/logger.ts'
import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { RelayView } from '../relay/relay-view.ts'
import { clientAddress, type ProxyNetworks } from './client-address.ts'
import type { Endpoint } from './endpoint.ts'
import { getHostStatus } from './get-host-status.ts'
import { getLatestCommit } from './get-latest-commit.ts'
import { getRepoStatus } from './get-repo-status.ts'
import { URL_BYTES_MAX } from './http-limits.ts'
import { listHosts } from './list-hosts.ts'
import { listRepos } from './list-repos.ts'
import { ROBOTS_TEXT, WELCOME_TEXT } from './pages.ts'
import { redirectEndpoints } from './redirect-to-host.ts'
import { crawlEndpoints } from './request-crawl.ts'
import { readJsonBody } from './request-body.ts'
import { type RequestLimits, tooManyRequests } from './request-limits.ts'
import { methodNotAllowed, xrpcError } from './xrpc-error.ts'

/** The stream is served from the upgrade event (upgrade.ts); here are only its refusals. */
export const SUBSCRIBE_NSID = 'com.atproto.sync.subscribeRepos'

export interface RelayAppOptions {
  readonly view: RelayView
  readonly limits: RequestLimits
  readonly proxies: ProxyNetworks
  readonly metrics: RelayMetrics
  readonly clock: Clock
  readonly logger: Logger
}

/** What the Node adapter hands over with a request; absent in tests without a socket. */
interface Bindings {
  readonly incoming?: { readonly socket: { readonly remoteAddress?: string | undefined } }
}

/** The application, as hono types it. */
export type RelayApp = Hono<{ Bindings: Bindings }>

type AppContext = Context<{ Bindings: Bindings }>

/** Builds the application. It holds no resources: nothing needs to be closed. */
export function createRelayApp(options: RelayAppOptions): RelayApp {
  const { view, limits, metrics, clock, logger, proxies } = options
  const endpoints = new Map(endpointsOf(view, metrics).map((e) => [e.nsid, e] as const))
  const app: RelayApp = new Hono()
  const addressOf = (c: AppContext): string =>
    clientAddress(c.env?.incoming?.socket.remoteAddress, c.req.header('x-forwarded-for'), proxies)

  app.use(async (c, next) => {
    const startMs = clock.monotonicMs()
    c.res.headers.set('server', PRODUCT)
    await next()
    const endpoint = endpointLabel(c.req.path, endpoints)
    metrics.httpRequests.add(1, { endpoint, status: String(c.res.status) })
    metrics.httpSeconds.observe((clock.monotonicMs() - startMs) / 1_000, { endpoint })
  })
  app.use(cors({ origin: '*', maxAge: 86_400, exposeHeaders: EXPOSED_HEADERS }))
  app.use(async (c, next) => {
    if (c.req.url.length > URL_BYTES_MAX) {
      return xrpcError(414, 'UriTooLong', `The URL is over ${URL_BYTES_MAX} bytes`)
    }
    return next()
  })
  app.get('/', (c) => c.text(WELCOME_TEXT))
  app.get('/robots.txt', (c) => c.text(ROBOTS_TEXT))
  app.get('/xrpc/_health', (c) => healthAnswer(c, view))
  app.get('/_health', (c) => healthAnswer(c, view))
  app.use('/xrpc/*', async (c, next) => {
    const address = addressOf(c)
    const { verdict, headers } = limits.take('request', address)
    if (!verdict.ok) return tooManyRequests(verdict, headers)
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value)
    return next()
  })
  app.all('/xrpc/:nsid', (c) => callEndpoint(c, endpoints, limits, addressOf(c)))
  app.notFound((c) => xrpcError(404, 'NotFound', `Nothing is at ${c.req.path.slice(0, 200)}`))
  app.onError((error) => {
    logger.error(`http: an endpoint failed: ${messageOf(error)}`, { error })
    return xrpcError(500, 'InternalServerError', 'The server failed to answer')
  })
  return app
}

const EXPOSED_HEADERS = [
  'retry-after',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'ratelimit-policy',
]

function endpointsOf(view: RelayView, metrics: RelayMetrics): readonly Endpoint[] {
  return [
    getHostStatus(view),
    getLatestCommit(view),
    getRepoStatus(view),
    listHosts(view),
    listRepos(view),
    ...crawlEndpoints(view, metrics),
    ...redirectEndpoints(view),
  ]
}

function endpointLabel(path: string, endpoints: ReadonlyMap<string, Endpoint>): string {
  const nsid = path.startsWith('/xrpc/') ? path.slice('/xrpc/'.length) : path
  return endpoints.has(nsid) || nsid === SUBSCRIBE_NSID || nsid === '_health' ? nsid : 'other'
}

async function callEndpoint(
  c: AppContext,
  endpoints: ReadonlyMap<string, Endpoint>,
  limits: RequestLimits,
  address: string,
): Promise<Response> {
  const nsid = c.req.param('nsid') ?? ''
  const method = c.req.method
  if (nsid === SUBSCRIBE_NSID) return streamRefusal(method)
  const endpoint = endpoints.get(nsid)
  if (endpoint === undefined) {
    return isNsid(nsid)
      ? xrpcError(501, 'MethodNotImplemented', `This relay does not implement ${nsid}`)
      : xrpcError(404, 'NotFound', 'The path is not /xrpc/ and an NSID')
  }
  const effective = method === 'HEAD' ? 'GET' : method
  if (effective !== endpoint.method) return methodNotAllowed(method, endpoint.method)
  const body = endpoint.method === 'POST' ? await readJsonBody(c.req.raw) : null
  if (body instanceof Response) return body
  const search = searchOf(c.req.url)
  return endpoint.answer({
    search,
    query: new URLSearchParams(search),
    input: body?.value,
    spend: (budget) => limits.spend(budget, address),
  })
}

/** The stream over plain HTTP, as the event stream specification asks. */
function streamRefusal(method: string): Response {
  return method === 'GET'
    ? xrpcError(426, 'UpgradeRequired', 'This is an event stream: connect with a WebSocket', {
        upgrade: 'websocket',
        connection: 'Upgrade',
      })
    : xrpcError(405, 'MethodNotAllowed', 'This is an event stream: connect with a WebSocket', {
        allow: 'GET',
      })
}

/** The query exactly as sent: a redirect must not re-encode what its target will parse. */
function searchOf(url: string): string {
  const start = url.indexOf('?')
  return start === -1 ? '' : must(url.slice(start).split('#')[0], 'query')
}

function healthAnswer(c: AppContext, view: RelayView): Response {
  const health = view.health()
  c.res.headers.set('cache-control', 'no-store')
  const { ok, detail } = health
  return ok
    ? c.json({ version: VERSION, status: 'ok' })
    : c.json({ version: VERSION, status: 'error', error: 'Unhealthy', message: detail }, 503)
}
