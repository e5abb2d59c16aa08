/** An event stream on loopback with a window of events, that goes wrong as a test says. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { cursorParameters, resolveCursor } from '../../stream/cursor.ts'
import { encodeErrorFrame, encodeInfoFrame, encodeMessageFrame } from '../../stream/own-frames.ts'

interface Logged {
  readonly seq: number
  readonly bytes: Uint8Array
}

export const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'

/** A frame of the fewest fields. */
export function identityFrame(seq: number, timeMs: number): Uint8Array {
  return encodeMessageFrame('#identity', {
    seq,
    did: DID,
    time: new Date(timeMs).toISOString(),
  })
}

/** What a new connection meets instead of the stream; `stream` gives it the stream after all. */
export type OnClient = (client: WebSocket, cursor: number | null) => 'stream' | 'done'

export class ScriptedService implements AsyncDisposable {
  #server: Server | null = null
  #port = 0
  readonly #open = new Set<WebSocket>()
  #log: Logged[] = []
  #seq = 0
  /** The cursors of all connections so far, null for none. */
  readonly cursors: (number | null)[] = []
  /** Asked at every connection. */
  onClient: OnClient = () => 'stream'
  /** Answers instead of an upgrade, as raw HTTP, when it is not null. */
  refusal: string | null = null
  pongs: 'sent' | 'withheld' = 'sent'

  static async start(): Promise<ScriptedService> {
    const service = new ScriptedService()
    await service.up()
    return service
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get connections(): number {
    return this.#open.size
  }

  get seq(): number {
    return this.#seq
  }

  /** Listens, at the same port as before. */
  async up(): Promise<void> {
    const sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      autoPong: false,
    })
    const server = createServer((_request, response) => response.writeHead(404).end())
    server.on('upgrade', (request, socket: Duplex, head) => {
      socket.on('error', () => undefined)
      if (this.refusal !== null) {
        socket.end(`HTTP/1.1 ${this.refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
        return
      }
      sockets.handleUpgrade(request, socket, head, (client) => {
        this.#accept(client, request.url ?? '/')
      })
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** Refuses connections at the level of TCP, and cuts those that are open. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    this.cut()
    if (server === null) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }

  cut(): void {
    for (const client of this.#open) client.terminate()
  }

  closeAll(code: number, reason = ''): void {
    for (const client of this.#open) client.close(code, reason)
  }

  /** Publishes an event; its seq is the next one, or `seq`. Returns the seq. */
  publish(timeMs: number, seq: number = this.#seq + 1): number {
    return this.publishBytes(identityFrame(seq, timeMs), seq)
  }

  /** Publishes any bytes at a place of the sequence. */
  publishBytes(bytes: Uint8Array, seq: number = this.#seq + 1): number {
    this.#seq = seq
    this.#log.push({ seq, bytes })
    for (const client of this.#open) client.send(bytes)
    return seq
  }

  /** Sends to those connected now only. */
  say(data: Uint8Array | string): void {
    for (const client of this.#open) client.send(data)
  }

  sayError(name: string): void {
    this.say(encodeErrorFrame(name, 'a message'))
  }

  /** Forgets what is up to `seq`. */
  dropThrough(seq: number): void {
    this.#log = this.#log.filter((logged) => logged.seq > seq)
  }

  /** Begins another sequence after `seq`, empty. */
  startOver(seq: number): void {
    this.#log = []
    this.#seq = seq
  }

  #accept(client: WebSocket, url: string): void {
    client.on('error', () => undefined)
    client.on('ping', () => {
      if (this.pongs === 'sent') client.pong()
    })
    const [text] = cursorParameters(url)
    const cursor = text === undefined ? null : Number(text)
    this.cursors.push(cursor)
    if (this.onClient(client, cursor) === 'done') return
    const firstSeq = this.#log[0]?.seq ?? this.#seq + 1
    const start = resolveCursor(cursorParameters(url), { firstSeq, publishedSeq: this.#seq })
    if (start.kind === 'refused') {
      client.send(encodeErrorFrame(start.error, start.message))
      client.close(1008, start.error)
      return
    }
    if (start.kind === 'replay') {
      if (start.outdated) client.send(encodeInfoFrame('OutdatedCursor', 'events are missing'))
      for (const { seq, bytes } of this.#log) if (seq > start.afterSeq) client.send(bytes)
    }
    this.#open.add(client)
    client.on('close', () => this.#open.delete(client))
  }
}
