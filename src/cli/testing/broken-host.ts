/** A server on loopback that is a healthy host or relay, but for what a test has broken. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { type WebSocket, WebSocketServer } from 'ws'

/** What a call is answered with. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text and bytes as they are, all else as JSON. */
  readonly body?: unknown
}

/** Answers one call; null answers never. */
export type Answerer = (query: URLSearchParams) => Answer | null

/** What a stream does with a connection: sends what it likes under any cursor. */
export type Streamer = (socket: WebSocket, cursor: number | null) => void

/** What is done with the upgrade in place of accepting it. */
export type Refusal = (socket: Duplex) => void

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Answers by the last part of the method's name: `getRepoStatus`. */
export class BrokenHost implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  readonly #isTls: boolean
  #port = 0
  readonly #open = new Set<Socket>()
  readonly answers: Map<string, Answerer> = new Map()
  stream: Streamer | null = null
  refuseUpgrade: Refusal | null = null

  private constructor(certificate: Certificate | null) {
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answer(request, response)
    this.#isTls = certificate !== null
    this.#server =
      certificate === null ? createServer(answer) : createTlsServer(certificate, answer)
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('tlsClientError', () => undefined)
    this.#server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.on('close', () => this.#open.delete(socket))
    })
  }

  static async start(certificate: Certificate | null = null): Promise<BrokenHost> {
    const host = new BrokenHost(certificate)
    host.#server.listen(0, '127.0.0.1')
    await once(host.#server, 'listening')
    host.#port = (host.#server.address() as AddressInfo).port
    return host
  }

  /** `localhost:<port>`. */
  get hostname(): string {
    return `localhost:${this.#port}`
  }

  /** `http://localhost:<port>`, or https. */
  get endpoint(): string {
    return `${this.#isTls ? 'https' : 'http'}://${this.hostname}`
  }

  /** Answers a call with a JSON body, or an XRPC error when there is a status. */
  set(method: string, body: unknown, status = 200): void {
    this.answers.set(method, () => ({ status, body }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    // Those of upgrades that were left alone are nobody else's to close.
    for (const socket of this.#open) socket.destroy()
    await closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume()
    response.on('error', () => undefined)
    const url = new URL(request.url ?? '/', 'http://localhost')
    const method = url.pathname.split(/[./]/).at(-1) ?? ''
    const answerer = this.answers.get(method)
    const notThere: Answer = { status: 501, body: { error: 'MethodNotImplemented', message: 'no' } }
    const answer = answerer === undefined ? notThere : answerer(url.searchParams)
    if (answer === null) return
    const { status = 200, headers = {}, body } = answer
    const isRaw = typeof body === 'string' || body instanceof Uint8Array
    const type = isRaw ? {} : { 'content-type': 'application/json' }
    response.writeHead(status, { ...type, ...headers })
    response.end(isRaw ? body : JSON.stringify(body))
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined)
    if (this.refuseUpgrade !== null) {
      this.refuseUpgrade(socket)
      return
    }
    const cursor = new URL(request.url ?? '/', 'http://localhost').searchParams.get('cursor')
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => undefined)
      this.stream?.(webSocket, cursor === null ? null : Number(cursor))
    })
  }
}
