/**
 * A simulated host's server on loopback: the endpoints of a real host, a stream that can be told to
 * go wrong, and faults before both.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { createHostApp } from '../http/host-app.ts'
import { HttpServer } from '../http/http-server.ts'
import { RequestLimits } from '../http/request-limits.ts'
import { SUBSCRIBE_NSID, type XrpcApp } from '../http/xrpc-app.ts'
import { must } from '../lib/assert.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { type Logger, silentLogger } from '../ops/logger.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import { detachedRelayMetrics } from '../ops/relay-metrics.ts'
import { cursorParameters, resolveCursor } from '../stream/cursor.ts'
import { encodeErrorFrame } from '../stream/own-frames.ts'
import { refuse } from '../stream/refusal.ts'
import { ArmedFaults, type FaultCounters, type FaultKind, type HttpFault } from './faults.ts'
import type { LoggedMessage } from './host-log.ts'
import { SimHostView } from './sim-host-view.ts'
import type { SimHost, Simulation } from './simulation.ts'
import { type ConnectionFault, StreamSession } from './stream-session.ts'

type UpgradeFault = Extract<FaultKind, `upgrade-${string}`>

export interface HostFrontOptions {
  readonly bind: ListenAddress
  readonly clock: Clock
  readonly counters: FaultCounters
}

/** Open sockets of a host; a relay needs one and a few requests. */
const CONNECTIONS_MAX = 1_000
const REQUESTS_PER_MINUTE = 1_000_000
/** Exports that one address may read at once: whoever is tested comes from the one of loopback. */
const EXPORTS_PER_ADDRESS_MAX = 64
/** Pieces and pauses of a slow getRepo. */
const SLOW_PIECE_BYTES = 4_096
const SLOW_PAUSE_MS = 20
const RETRY_AFTER_SECONDS = 1

const logger: Logger = silentLogger

/** Serves one host from when `serve` is called. */
export class HostFront implements AsyncDisposable {
  readonly #options: HostFrontOptions
  readonly #server: HttpServer
  // Pongs are the session's: a silent host sends none.
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    autoPong: false,
  })
  readonly #sessions = new Set<StreamSession>()
  readonly #connectionFaults: ArmedFaults<ConnectionFault>
  readonly #upgradeFaults: ArmedFaults<UpgradeFault>
  readonly #httpFaults: ArmedFaults<HttpFault>
  readonly #waiting: (() => void)[] = []
  /** Messages that are faults and have struck somebody. */
  readonly #struck = new WeakSet<LoggedMessage>()
  #app: XrpcApp | null = null
  #sim: Simulation | null = null
  #host: SimHost | null = null
  #accepted = 0
  #onAsked: (cursor: number | null) => void = () => undefined
  #duplicates = 0

  private constructor(options: HostFrontOptions, server: HttpServer) {
    this.#options = options
    this.#server = server
    this.#connectionFaults = new ArmedFaults(options.counters)
    this.#upgradeFaults = new ArmedFaults(options.counters)
    this.#httpFaults = new ArmedFaults(options.counters)
  }

  /** Listens; requests are answered after `serve`. */
  static async listen(options: HostFrontOptions): Promise<HostFront> {
    const server = await HttpServer.listen({
      fetch: (request, { incoming }) => front.#answer(request, incoming),
      bind: options.bind,
      clock: options.clock,
      logger,
      connectionsMax: CONNECTIONS_MAX,
    })
    const front = new HostFront(options, server)
    server.node.on('upgrade', (request, socket, head) => front.#upgrade(request, socket, head))
    return front
  }

  /** `localhost:1234`, as relays name it. */
  get hostname(): string {
    return `localhost:${this.#server.address.split(':').at(-1)}`
  }

  /** `http://localhost:1234`, as documents name it. */
  get endpoint(): string {
    return `http://${this.hostname}`
  }

  /** Connections to the stream that are open now, and that there ever were. */
  get connections(): number {
    return this.#sessions.size
  }

  get accepted(): number {
    return this.#accepted
  }

  /**
   * Calls `listener`, in place of any before, with the cursor that each connection asks for: null
   * for none.
   */
  onAsked(listener: (cursor: number | null) => void): void {
    this.#onAsked = listener
  }

  /** Honest messages that were sent again by a `duplicate`. */
  get duplicates(): number {
    return this.#duplicates
  }

  /** Seq up to which every open connection has been served; null without any. */
  get servedSeq(): number | null {
    const cursors = [...this.#sessions].map(({ cursor }) => cursor)
    return cursors.length === 0 ? null : Math.min(...cursors)
  }

  /** Whether a connection is open that nothing is sent on. */
  get isSilent(): boolean {
    return [...this.#sessions].some(({ isSilent }) => isSilent)
  }

  serve(sim: Simulation, index: number): void {
    const { clock } = this.#options
    const metrics = detachedRelayMetrics()
    this.#sim = sim
    this.#host = sim.host(index)
    this.#host.log.onPublish(() => {
      for (const session of this.#sessions) session.pump()
    })
    this.#app = createHostApp({
      view: new SimHostView(sim, index),
      description: {
        did: `did:web:pds${index}.sim.example.com`,
        availableUserDomains: ['.sim.example.com'],
      },
      limits: new RequestLimits({ requestsPerMinute: REQUESTS_PER_MINUTE, clock, metrics }),
      proxies: [],
      metrics,
      clock,
      logger,
      exportsPerAddressMax: EXPORTS_PER_ADDRESS_MAX,
    })
  }

  /** Lets a fault strike at its next occasion. */
  inject(kind: ConnectionFault | UpgradeFault | HttpFault): void {
    if (isUpgradeFault(kind)) this.#upgradeFaults.arm(kind)
    else if (isConnectionFault(kind)) {
      this.#connectionFaults.arm(kind)
      for (const session of this.#sessions) session.pump()
    } else this.#httpFaults.arm(kind)
    // Nobody connects anew while the connections last.
    if (isUpgradeFault(kind)) this.cutAll()
  }

  /** Cuts every connection, as a restart does. */
  cutAll(): void {
    for (const session of this.#sessions) session.cut()
  }

  /** Resolves at the next connection to the stream. */
  connected(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  async stop(): Promise<void> {
    this.cutAll()
    await this.#server.stop(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = (request.url ?? '/').split('?', 1)[0]
    const fault = this.#upgradeFaults.take()
    if (fault !== null) refuseUpgrade(socket, fault, this.endpoint)
    else if (path !== `/xrpc/${SUBSCRIBE_NSID}` || this.#host === null) {
      refuse(socket, { status: 400, error: 'InvalidRequest', message: 'not the event stream' })
    } else {
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        this.#open(webSocket, request.url ?? '')
      })
    }
  }

  #open(socket: WebSocket, url: string): void {
    socket.on('error', () => undefined)
    this.#accepted++
    const { log } = must(this.#host, 'host')
    const asked = cursorParameters(url).at(-1)
    this.#onAsked(asked === undefined ? null : Number(asked))
    const start = resolveCursor(cursorParameters(url), log)
    if (start.kind === 'refused') {
      socket.send(encodeErrorFrame(start.error, start.message))
      socket.close(1008, start.error)
    } else {
      const session = new StreamSession(
        {
          socket,
          log,
          ledger: must(this.#sim, 'simulation').ledger,
          faults: this.#connectionFaults,
          onDuplicate: () => this.#duplicates++,
          onFault: (message) => this.#strike(message),
        },
        start,
      )
      this.#sessions.add(session)
      socket.on('close', () => this.#sessions.delete(session))
      session.pump()
    }
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** However many come to its place, and however often, a fault has happened once. */
  #strike(message: LoggedMessage): void {
    if (message.fault === null || this.#struck.has(message)) return
    this.#struck.add(message)
    this.#options.counters.fire(message.fault)
  }

  async #answer(request: Request, incoming: IncomingMessage): Promise<Response> {
    if (this.#app === null) return new Response(null, { status: 503 })
    const { clock } = this.#options
    const fault = this.#httpFaults.take(isPlainFault)
    if (fault !== null && isPlainFault(fault)) return answerOfFault(fault, request, clock)
    const answer = await this.#app.fetch(request, { incoming })
    // Only where there is a repository can its transfer go wrong.
    const isRepo = new URL(request.url).pathname.endsWith('.getRepo')
    if (!isRepo || request.method !== 'GET' || !answer.ok) return answer
    const repoFault = this.#httpFaults.take((kind) => !isPlainFault(kind))
    if (repoFault === null) return answer
    if (repoFault === 'repo-slow') return recast(answer, (body) => slowly(body, clock))
    const cut = (): void => void incoming.socket.destroy()
    return recast(answer, (body) => cutShort(body, cut, clock))
  }
}

function isUpgradeFault(kind: FaultKind): kind is UpgradeFault {
  return kind.startsWith('upgrade-')
}

function isConnectionFault(
  kind: UpgradeFault | ConnectionFault | HttpFault,
): kind is ConnectionFault {
  return !/^(?:upgrade|http|repo)-/.test(kind)
}

function refuseUpgrade(socket: Duplex, fault: UpgradeFault, endpoint: string): void {
  const error = 'Fault'
  const message = fault
  if (fault === 'upgrade-503') refuse(socket, { status: 503, error, message })
  else if (fault === 'upgrade-429') refuse(socket, { status: 429, error, message })
  else if (fault === 'upgrade-429-retry-after') {
    const retryAfterSeconds = RETRY_AFTER_SECONDS
    refuse(socket, { status: 429, error, message, retryAfterSeconds })
  } else {
    socket.on('error', () => socket.destroy())
    const location = `${endpoint}/xrpc/${SUBSCRIBE_NSID}`
    socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nConnection: close\r\n\r\n`)
  }
}

type PlainHttpFault = Exclude<HttpFault, `repo-${string}`>

function isPlainFault(kind: HttpFault): kind is PlainHttpFault {
  return kind.startsWith('http-')
}

const FAULT_STATUSES = {
  'http-429': 429,
  'http-429-headers': 429,
  'http-500': 500,
  'http-503': 503,
} as const

/** What a host says of its limits: when to come again, in seconds from now and of the epoch. */
function limitHeaders(clock: Clock): Readonly<Record<string, string>> {
  const resetSeconds = Math.ceil(clock.nowMs() / 1_000) + RETRY_AFTER_SECONDS
  return {
    'retry-after': String(RETRY_AFTER_SECONDS),
    'ratelimit-limit': '3000',
    'ratelimit-remaining': '0',
    'ratelimit-reset': String(resetSeconds),
    'ratelimit-policy': '3000;w=300',
  }
}

function answerOfFault(
  fault: PlainHttpFault,
  request: Request,
  clock: Clock,
): Response | Promise<Response> {
  if (fault === 'http-hang') return new Promise<Response>(() => undefined)
  if (fault === 'http-redirect') {
    const { pathname, search } = new URL(request.url)
    return new Response(null, { status: 302, headers: { location: pathname + search } })
  }
  const body = JSON.stringify({ error: 'Fault', message: fault })
  const headers = fault === 'http-429-headers' ? limitHeaders(clock) : {}
  const json = { 'content-type': 'application/json', ...headers }
  return new Response(body, { status: FAULT_STATUSES[fault], headers: json })
}

/** An answer with a body made of the whole body that it had. */
async function recast(
  answer: Response,
  make: (body: Uint8Array<ArrayBuffer>) => ReadableStream<Uint8Array>,
): Promise<Response> {
  const body = new Uint8Array(await answer.arrayBuffer())
  const headers = new Headers(answer.headers)
  headers.delete('content-length')
  return new Response(make(body), { status: answer.status, headers })
}

function slowly(body: Uint8Array, clock: Clock): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    async pull(controller) {
      await sleep(clock, SLOW_PAUSE_MS)
      controller.enqueue(body.subarray(at, at + SLOW_PIECE_BYTES))
      at += SLOW_PIECE_BYTES
      if (at >= body.length) controller.close()
    },
  })
}

/** Half of it, and then the connection breaks. */
function cutShort(body: Uint8Array, cut: () => void, clock: Clock): ReadableStream<Uint8Array> {
  let pulls = 0
  return new ReadableStream({
    async pull(controller) {
      if (pulls++ === 0) {
        controller.enqueue(body.subarray(0, body.length >> 1))
        return
      }
      // The first half is to arrive.
      await sleep(clock, SLOW_PAUSE_MS)
      cut()
      controller.close()
    },
  })
}
