/** The gate before the event stream: which upgrades reach the broadcaster, and how often. */

import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { PRODUCT } from '../ops/build-info.ts'
import type { Logger } from '../ops/logger.ts'
import { clientAddress, type ProxyNetworks } from './client-address.ts'
import { REFUSAL_LINGER_MS } from './http-limits.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { isWebSocketUpgrade } from './http-server.ts'
import type { RequestLimits } from './request-limits.ts'
import { SUBSCRIBE_NSID } from './xrpc-app.ts'
import { xrpcErrorBody } from './xrpc-error.ts'

/**
 * Takes over an upgraded socket: bounds the number of subscribers, does the WebSocket handshake,
 * reads the cursor from `request.url`, and owns the socket from then on. `address` is whose limits
 * it counts for: the peer's, or the one that a trusted proxy vouches for.
 */
export type AcceptSubscriber = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  address: string,
) => void

export interface SubscribeGateOptions {
  readonly accept: AcceptSubscriber
  readonly limits: RequestLimits
  readonly proxies: ProxyNetworks
  readonly metrics: HttpMetrics
  readonly clock: Clock
  readonly logger: Logger
}

/** A refusal before the handshake: an ordinary HTTP answer. */
interface Refusal {
  readonly status: number
  readonly error: string
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

const PATH = `/xrpc/${SUBSCRIBE_NSID}`

/**
 * Serves `subscribeRepos` from the server's `upgrade` events and refuses every other upgrade. Any
 * Origin may connect. Returns what closes the gate: later upgrades get 503.
 */
export function attachSubscribe(server: Server, options: SubscribeGateOptions): () => void {
  const { accept, limits, proxies, metrics, clock, logger } = options
  let open = true

  const judge = (request: IncomingMessage, address: string): Refusal | null => {
    const shape = shapeRefusal(request)
    if (shape !== null) return shape
    if (!open) return busy(503, 'The server is stopping')
    const { verdict, headers } = limits.take('request', address)
    return verdict.ok ? null : busy(429, 'Too many requests', headers)
  }

  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // A socket without a listener would end the process when the peer resets it.
    socket.on('error', (error) => logger.debug('http: subscriber socket', { error }))
    const forwarded = request.headers['x-forwarded-for']
    const hops = Array.isArray(forwarded) ? forwarded.join(',') : forwarded
    const address = clientAddress(socket.remoteAddress, hops, proxies)
    const refusal = judge(request, address)
    if (refusal !== null) {
      metrics.subscribersRefused.add(1, { status: String(refusal.status) })
      metrics.httpRequests.add(1, { endpoint: labelOf(request), status: String(refusal.status) })
      refuse(socket, refusal, clock)
      return
    }
    // From here the broadcaster alone judges whether the subscriber is alive.
    socket.setTimeout(0)
    metrics.httpRequests.add(1, { endpoint: SUBSCRIBE_NSID, status: '101' })
    try {
      accept(request, socket, head, address)
    } catch (error) {
      logger.error(`http: a subscriber could not be accepted: ${messageOf(error)}`, { error })
      socket.destroy()
    }
  })
  return () => {
    open = false
  }
}

function busy(
  status: 429 | 503,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  const error = status === 429 ? 'RateLimitExceeded' : 'Busy'
  return { status, error, message, headers: { ...headers, 'retry-after': '10' } }
}

function isStreamPath(request: IncomingMessage): boolean {
  return (request.url ?? '').split('?')[0] === PATH
}

function labelOf(request: IncomingMessage): string {
  return isStreamPath(request) ? SUBSCRIBE_NSID : 'other'
}

function shapeRefusal(request: IncomingMessage): Refusal | null {
  if (!isStreamPath(request)) {
    return { status: 404, error: 'NotFound', message: 'No WebSocket is served at this path' }
  }
  if (request.method !== 'GET') {
    return {
      status: 405,
      error: 'MethodNotAllowed',
      message: 'A WebSocket is opened with GET',
      headers: { allow: 'GET' },
    }
  }
  return isWebSocketUpgrade(request)
    ? null
    : {
        status: 426,
        error: 'UpgradeRequired',
        message: 'Only an upgrade to websocket is served here',
        headers: { upgrade: 'websocket' },
      }
}

/** Answers and closes. A client that does not read is cut off after a while. */
function refuse(socket: Socket, refusal: Refusal, clock: Clock): void {
  const body = xrpcErrorBody(refusal.error, refusal.message)
  const headers = {
    server: PRODUCT,
    'access-control-allow-origin': '*',
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...refusal.headers,
  }
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const status = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\n`
  const timer = clock.after(REFUSAL_LINGER_MS, () => socket.destroy())
  socket.once('close', () => timer.cancel())
  socket.end(`${status}${head.join('')}\r\n${body}`, () => socket.destroySoon())
}
