/** A bounded node:http server around a fetch handler: time-outs, sizes, and a stop that drains. */

import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'

import { getRequestListener } from '@hono/node-server'

import type { Clock } from '../lib/clock.ts'
import { codeOf, messageOf, SkeinError } from '../lib/errors.ts'
import type { Logger } from '../ops/logger.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import { formatListenAddress } from '../ops/option-values.ts'
import {
  KEEP_ALIVE_TIMEOUT_MS,
  REQUEST_HEAD_BYTES_MAX,
  REQUEST_HEAD_TIMEOUT_MS,
  REQUEST_TIMEOUT_MS,
  SOCKET_IDLE_TIMEOUT_MS,
  TIMEOUT_CHECK_INTERVAL_MS,
} from './http-limits.ts'
import { invalidRequest, xrpcError } from './xrpc-error.ts'

/** Time-outs of one server, ms. Tests shorten them; everybody else takes the defaults. */
export interface HttpTimeouts {
  readonly headMs: number
  readonly requestMs: number
  readonly checkMs: number
}

const DEFAULT_TIMEOUTS: HttpTimeouts = {
  headMs: REQUEST_HEAD_TIMEOUT_MS,
  requestMs: REQUEST_TIMEOUT_MS,
  checkMs: TIMEOUT_CHECK_INTERVAL_MS,
}

/** A fetch handler that is given the Node request as `incoming`. */
export type FetchHandler = (
  request: Request,
  env: { readonly incoming: IncomingMessage },
) => Response | Promise<Response>

export interface HttpServerOptions {
  readonly fetch: FetchHandler
  readonly bind: ListenAddress
  readonly clock: Clock
  readonly logger: Logger
  /** Most open sockets; further ones are closed unanswered. */
  readonly connectionsMax: number
  readonly timeouts?: HttpTimeouts
}

/** True for a request that asks for a WebSocket, whatever else it offers to upgrade to. */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  const protocols = (request.headers.upgrade ?? '').split(',')
  return protocols.some((protocol) => protocol.trim().toLowerCase() === 'websocket')
}

/** Owns a listening socket and every connection on it. */
export class HttpServer implements AsyncDisposable {
  /** The underlying server, for `upgrade` listeners. */
  readonly node: Server
  readonly #sockets = new Set<Socket>()
  readonly #clock: Clock
  #stopping: Promise<void> | null = null

  private constructor(options: HttpServerOptions) {
    const { fetch, logger, timeouts = DEFAULT_TIMEOUTS } = options
    this.#clock = options.clock
    const listener = getRequestListener((request, env) => fetch(request, nodeEnv(env)), {
      overrideGlobalObjects: false,
      errorHandler: (error) => answerToFailure(error, logger),
    })
    this.node = createServer(
      {
        maxHeaderSize: REQUEST_HEAD_BYTES_MAX,
        headersTimeout: timeouts.headMs,
        requestTimeout: timeouts.requestMs,
        connectionsCheckingInterval: timeouts.checkMs,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
        // Clients that offer HTTP/2 in passing (`Upgrade: h2c`) are answered over HTTP/1.1.
        shouldUpgradeCallback: isWebSocketUpgrade,
      },
      (incoming, outgoing) => {
        outgoing.on('close', () => this.#stopping !== null && this.node.closeIdleConnections())
        void listener(incoming, outgoing)
      },
    )
    this.node.timeout = SOCKET_IDLE_TIMEOUT_MS
    this.node.maxConnections = options.connectionsMax
    this.node.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /**
   * Starts listening.
   *
   * @throws SkeinError `ADDRESS_UNAVAILABLE`.
   */
  static async listen(options: HttpServerOptions): Promise<HttpServer> {
    const server = new HttpServer(options)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.node.once('error', reject)
    server.node.listen({ host: options.bind.host, port: options.bind.port }, resolve)
    try {
      await promise
    } catch (error) {
      const address = formatListenAddress(options.bind)
      const reason = codeOf(error) ?? messageOf(error)
      throw new SkeinError('ADDRESS_UNAVAILABLE', 'http: cannot listen', { address, reason }, error)
    }
    server.node.off('error', reject)
    server.node.on('error', (error) => options.logger.error('http: server error', { error }))
    return server
  }

  /** Where it listens, with the port that the system chose: `127.0.0.1:2470`. */
  get address(): string {
    const bound = this.node.address()
    if (bound === null || typeof bound === 'string') return String(bound)
    return formatListenAddress({ host: bound.address, port: bound.port })
  }

  /**
   * Stops accepting, lets running requests finish for at most `drainMs`, then closes what is left,
   * upgraded sockets too. Later calls return the first one's promise.
   */
  stop(drainMs: number): Promise<void> {
    this.#stopping ??= this.#stop(drainMs)
    return this.#stopping
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(0)
  }

  #stop(drainMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#clock.after(drainMs, () => {
      for (const socket of this.#sockets) socket.destroy()
    })
    this.node.close(() => {
      timer.cancel()
      resolve()
    })
    return promise
  }
}

function nodeEnv(env: { readonly incoming: unknown }): { readonly incoming: IncomingMessage } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the server above speaks HTTP/1
  // only
  return env as { readonly incoming: IncomingMessage }
}

/** The adapter could not make a request of what arrived (a bad Host or target), or we failed. */
function answerToFailure(error: unknown, logger: Logger): Response {
  if (error instanceof Error && error.name === 'RequestError') {
    return invalidRequest('The request line or the Host header is not valid')
  }
  logger.error(`http: a request failed: ${messageOf(error)}`, { error })
  return xrpcError(500, 'InternalServerError', 'The server failed to answer')
}
