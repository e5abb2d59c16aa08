/** An HTTP application of any role: routing, general limits, and what holds for every answer. */

import { isNsid } from '@atcute/lexicons/syntax'
import { Hono, type Context } from 'hono'
import { cors } from 'hono/cors'

import { must } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { PRODUCT, RELAY_PRODUCT, VERSION } from '../ops/build-info.ts'
import type { Logger } from '../ops/logger.ts'
import { clientAddress, type ProxyNetworks } from './client-address.ts'
import type { Endpoint, XrpcCall } from './endpoint.ts'
import { URL_BYTES_MAX } from './http-limits.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { ROBOTS_TEXT } from './pages.ts'
import { readJsonBody } from './request-body.ts'
import { type RequestLimits, tooManyRequests } from './request-limits.ts'
import { methodNotAllowed, xrpcError } from './xrpc-error.ts'

/** The stream is served from the upgrade event (upgrade.ts); here are only its refusals. */
export const SUBSCRIBE_NSID = 'com.atproto.sync.subscribeRepos'

/** What every role's application is given. */
export interface XrpcAppParts {
  readonly limits: RequestLimits
  readonly proxies: ProxyNetworks
  readonly metrics: HttpMetrics
  readonly clock: Clock
  readonly logger: Logger
}

export interface XrpcAppOptions extends XrpcAppParts {
  readonly endpoints: readonly Endpoint[]
  /** Whether the role can do its work, for `/_health`. */
  readonly health: () => { readonly ok: boolean; readonly detail?: string }
  /** `GET /` */
  readonly welcomeText: string
  /** How texts for people call the role: `relay`. */
  readonly role: string
  /** Headers of answers that scripts in browsers may read, besides those of the limits. */
  readonly exposedHeaders?: readonly string[]
}

/** What the Node adapter hands over with a request; absent in tests without a socket. */
interface Bindings {
  readonly incoming?: {
    readonly socket: {
      readonly remoteAddress?: string | undefined
      readonly resetAndDestroy?: () => void
    }
  }
}

/** The application, as hono types it. */
export type XrpcApp = Hono<{ Bindings: Bindings }>

type AppContext = Context<{ Bindings: Bindings }>

/** Builds the application. It holds no resources: nothing needs to be closed. */
export function createXrpcApp(options: XrpcAppOptions): XrpcApp {
  const { limits, metrics, clock, logger, proxies } = options
  const endpoints = new Map(options.endpoints.map((e) => [e.nsid, e] as const))
  const app: XrpcApp = new Hono()
  const addressOf = (c: AppContext): string =>
    clientAddress(c.env?.incoming?.socket.remoteAddress, c.req.header('x-forwarded-for'), proxies)

  app.use(async (c, next) => {
    const startMs = clock.monotonicMs()
    c.res.headers.set('server', options.role === 'relay' ? RELAY_PRODUCT : PRODUCT)
    await next()
    const endpoint = endpointLabel(c.req.path, endpoints)
    metrics.httpRequests.add(1, { endpoint, status: String(c.res.status) })
    metrics.httpSeconds.observe((clock.monotonicMs() - startMs) / 1_000, { endpoint })
  })
  const exposeHeaders = [...LIMIT_HEADERS, ...(options.exposedHeaders ?? [])]
  app.use(cors({ origin: '*', maxAge: 86_400, exposeHeaders }))
  app.use(async (c, next) => {
    if (c.req.url.length > URL_BYTES_MAX) {
      return xrpcError(414, 'UriTooLong', `The URL is over ${URL_BYTES_MAX} bytes`)
    }
    return next()
  })
  app.get('/', (c) => c.text(options.welcomeText))
  app.get('/robots.txt', (c) => c.text(ROBOTS_TEXT))
  app.get('/xrpc/_health', (c) => healthAnswer(c, options))
  app.get('/_health', (c) => healthAnswer(c, options))
  app.use('/xrpc/*', async (c, next) => {
    const address = addressOf(c)
    const { verdict, headers } = limits.take('request', address)
    if (!verdict.ok) return tooManyRequests(verdict, headers)
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value)
    return next()
  })
  app.all('/xrpc/:nsid', (c) => callEndpoint(c, endpoints, options, addressOf(c)))
  app.notFound((c) => xrpcError(404, 'NotFound', `Nothing is at ${c.req.path.slice(0, 200)}`))
  app.onError((error) => {
    logger.error(`http: an endpoint failed: ${messageOf(error)}`, { error })
    return xrpcError(500, 'InternalServerError', 'The server failed to answer')
  })
  return app
}

const LIMIT_HEADERS = [
  'retry-after',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'ratelimit-policy',
]

function endpointLabel(path: string, endpoints: ReadonlyMap<string, Endpoint>): string {
  const nsid = path.startsWith('/xrpc/') ? path.slice('/xrpc/'.length) : path
  return endpoints.has(nsid) || nsid === SUBSCRIBE_NSID || nsid === '_health' ? nsid : 'other'
}

async function callEndpoint(
  c: AppContext,
  endpoints: ReadonlyMap<string, Endpoint>,
  options: XrpcAppOptions,
  address: string,
): Promise<Response> {
  const nsid = c.req.param('nsid') ?? ''
  const given = c.req.method
  if (nsid === SUBSCRIBE_NSID) return streamRefusal(given)
  const endpoint = endpoints.get(nsid)
  if (endpoint === undefined) {
    return isNsid(nsid)
      ? xrpcError(501, 'MethodNotImplemented', `This ${options.role} does not implement ${nsid}`)
      : xrpcError(404, 'NotFound', 'The path is not /xrpc/ and an NSID')
  }
  const method = given === 'HEAD' && endpoint.method === 'GET' ? 'HEAD' : endpoint.method
  if (method !== given) return methodNotAllowed(given, endpoint.method)
  const body = endpoint.method === 'POST' ? await readJsonBody(c.req.raw) : null
  if (body instanceof Response) return body
  const search = searchOf(c.req.url)
  const call: XrpcCall = {
    method,
    search,
    query: new URLSearchParams(search),
    headers: c.req.raw.headers,
    input: body?.value,
    address,
    spend: (budget) => options.limits.spend(budget, address),
    cut: () => cutConnection(c),
  }
  const answer = await endpoint.answer(call)
  // A body that nobody reads would keep what it reads from open.
  if (method === 'HEAD') await answer.body?.cancel()
  return method === 'HEAD' ? new Response(null, answer) : answer
}

/**
 * A reset, not an orderly end: to an HTTP/1.0 client, as proxies are by default, the orderly end of
 * a connection is the end of a whole body.
 */
function cutConnection(c: AppContext): boolean {
  const socket = c.env?.incoming?.socket
  if (socket?.resetAndDestroy === undefined) return false
  socket.resetAndDestroy()
  return true
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

function healthAnswer(c: AppContext, options: XrpcAppOptions): Response {
  c.res.headers.set('cache-control', 'no-store')
  const { ok, detail } = options.health()
  return ok
    ? c.json({ version: VERSION, status: 'ok' })
    : c.json({ version: VERSION, status: 'error', error: 'Unhealthy', message: detail }, 503)
}
