/**
 * A host on loopback as a relay sees it: `subscribeRepos` with a sequence and a backlog of its own,
 * `describeServer`, `getRepoStatus`. It sends whatever it is told to, good or bad.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { encodeDrisl } from '../../src/data/drisl-encode.ts'
import { concatBytes } from '../../src/lib/bytes.ts'
import { encodeErrorFrame } from '../../src/stream/own-frames.ts'
import { Signal } from './waiting.ts'

/** What `getRepoStatus` answers for an account. */
export interface HostedStatus {
  readonly active: boolean
  readonly status?: string
}

export interface FakeHostOptions {
  /** What happens to a cursor beyond the newest event; default `ignore`: the stream is live. */
  readonly futureCursor?: 'ignore' | 'refuse'
  /** Header `Server` of every answer. */
  readonly serverHeader?: string
  /** Port to listen on; default any. */
  readonly port?: number
}

interface Sent {
  readonly seq: number
  readonly bytes: Uint8Array
}

/** Encodes any frame; nothing is checked, so that it may be of an unknown kind. */
export function frameOf(header: unknown, body: unknown): Uint8Array {
  return concatBytes([encodeDrisl(header), encodeDrisl(body)])
}

export class FakeHost implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly #open = new Set<WebSocket>()
  readonly #signal = new Signal()
  readonly #held: { readonly response: ServerResponse; readonly did: string }[] = []
  #backlog: Sent[] = []
  #seq = 0
  /** The `cursor` of every connection so far; null for none. */
  readonly cursors: (number | null)[] = []
  /** Status of accounts; those that are not here are not found. */
  readonly statuses: Map<string, HostedStatus> = new Map()
  /** DIDs that `getRepoStatus` was asked about, in order. */
  readonly statusRequests: string[] = []
  /** How often `describeServer` was asked. */
  describeRequests = 0
  /** `held`: status requests get no answer until `releaseStatus`. */
  statusMode: 'answer' | 'held' = 'answer'
  /** How `describeServer` is answered: well, with another status, with nonsense. */
  describeMode: 'answer' | 'fail' | 'nonsense' = 'answer'
  futureCursor: NonNullable<FakeHostOptions['futureCursor']>
  readonly #serverHeader: string

  private constructor(options: FakeHostOptions) {
    this.futureCursor = options.futureCursor ?? 'ignore'
    this.#serverHeader = options.serverHeader ?? 'fake-pds'
    this.#server = createServer((request, response) => this.#http(request, response))
    this.#sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  static async start(options: FakeHostOptions = {}): Promise<FakeHost> {
    const host = new FakeHost(options)
    host.#server.listen(options.port ?? 0, '127.0.0.1')
    await once(host.#server, 'listening')
    return host
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** As relays name it: `localhost:<port>`. */
  get hostname(): string {
    return `localhost:${this.port}`
  }

  /** As DID documents name it. */
  get endpoint(): string {
    return `http://${this.hostname}`
  }

  /** Seq of the newest event. */
  get seq(): number {
    return this.#seq
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#open.size
  }

  /** Sends a message under the next seq, and keeps it for those who come later. Returns the seq. */
  send(type: string, body: object): number {
    const seq = this.#seq + 1
    return this.sendRaw(frameOf({ op: 1, t: type }, { ...body, seq }))
  }

  /**
   * Sends bytes as one message. They take the next place in the backlog, whatever is in them,
   * unless `place` gives another: then they are sent to those connected now only. Returns the
   * place.
   */
  sendRaw(bytes: Uint8Array, place: 'next' | 'live-only' = 'next'): number {
    if (place === 'next') {
      this.#seq++
      this.#backlog.push({ seq: this.#seq, bytes })
    }
    for (const socket of this.#open) socket.send(bytes)
    return this.#seq
  }

  /** Sends a text message to those connected now. */
  sendText(text: string): void {
    for (const socket of this.#open) socket.send(text)
  }

  /** Cuts every connection without a farewell. */
  dropConnections(): void {
    for (const socket of this.#open) socket.terminate()
  }

  /** Starts over: forgets the backlog and counts from `seq` + 1 on. */
  resetSequence(seq: number): void {
    this.#backlog = []
    this.#seq = seq
  }

  /** Leaves out numbers, as a host does that has lost events. */
  skipTo(seq: number): void {
    this.#seq = seq
  }

  /** Resolves at the connection number `count`, counted from 1. */
  async connected(count = 1): Promise<void> {
    await this.#signal.until(
      () => (this.cursors.length >= count ? true : null),
      () => `connection ${count} to the host, ${this.cursors.length} so far`,
    )
  }

  /** Resolves when `did` has been asked about `count` times. */
  async untilStatusAsked(did: string, count = 1): Promise<void> {
    await this.#signal.until(
      () => (this.statusRequests.filter((asked) => asked === did).length >= count ? true : null),
      `status request ${count} for ${did}`,
    )
  }

  /** Answers the status requests that were held. */
  releaseStatus(): void {
    this.statusMode = 'answer'
    for (const { response, did } of this.#held.splice(0)) this.#answerStatus(response, did)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dropConnections()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const text = url.searchParams.get('cursor')
    const cursor = text === null ? null : Number(text)
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => undefined)
      this.cursors.push(cursor)
      if (cursor !== null && cursor > this.#seq && this.futureCursor === 'refuse') {
        webSocket.send(encodeErrorFrame('FutureCursor', 'Cursor in the future.'))
        webSocket.close(1008, 'FutureCursor')
        this.#signal.notify()
        return
      }
      if (cursor !== null) {
        for (const { seq, bytes } of this.#backlog) if (seq > cursor) webSocket.send(bytes)
      }
      this.#open.add(webSocket)
      webSocket.on('close', () => this.#open.delete(webSocket))
      this.#signal.notify()
    })
  }

  #http(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://localhost')
    response.on('error', () => undefined)
    response.setHeader('server', this.#serverHeader)
    response.setHeader('content-type', 'application/json')
    if (url.pathname === '/xrpc/com.atproto.server.describeServer') this.#describe(response)
    else if (url.pathname === '/xrpc/com.atproto.sync.getRepoStatus') {
      const did = url.searchParams.get('did') ?? ''
      this.statusRequests.push(did)
      if (this.statusMode === 'held') this.#held.push({ response, did })
      else this.#answerStatus(response, did)
      this.#signal.notify()
    } else response.writeHead(501).end('{"error":"MethodNotImplemented"}')
  }

  #describe(response: ServerResponse): void {
    this.describeRequests++
    if (this.describeMode === 'fail') response.writeHead(500).end('{}')
    else if (this.describeMode === 'nonsense') response.end('[1, 2')
    else response.end(JSON.stringify({ did: 'did:web:localhost', availableUserDomains: [] }))
  }

  #answerStatus(response: ServerResponse, did: string): void {
    const status = this.statuses.get(did)
    if (status === undefined) response.writeHead(400).end('{"error":"RepoNotFound"}')
    else response.end(JSON.stringify({ did, ...status }))
  }
}
