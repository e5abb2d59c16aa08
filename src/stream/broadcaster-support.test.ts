/**
 * What the tests of the broadcaster share: a log as an array, a server on loopback, and clients.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach } from 'node:test'
import { setTimeout as realDelay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Clock } from '../lib/clock.ts'
import { Broadcaster, type BroadcasterOptions } from './broadcaster.ts'
import { parseFrame } from './frame.ts'
import type { LogChunk, LogSource } from './log-source.ts'
import { until, wireIdentity } from './support.test.ts'

export const PATH = '/xrpc/com.atproto.sync.subscribeRepos'

/** The log as an array: what was published, and how it is handed out. */
export class ModelLog implements LogSource {
  readonly events: { readonly seq: number; readonly frame: Uint8Array }[] = []
  firstSeq = 1
  publishedSeq = 0
  reads = 0
  /** `file`: every read is a promise. `mixed`: the newest are at hand, the rest are fetched. */
  mode: 'memory' | 'file' | 'mixed' | 'broken' | 'failing' = 'memory'
  #listeners = new Set<() => void>()

  publish(count: number, bytes = 100, step = 1): void {
    for (let i = 0; i < count; i++) {
      this.publishedSeq += step
      this.events.push({ seq: this.publishedSeq, frame: wireIdentity(this.publishedSeq, bytes) })
    }
    for (const listener of this.#listeners) listener()
  }

  dropBefore(seq: number): void {
    this.firstSeq = seq
  }

  read(afterSeq: number, bytesMax: number): LogChunk | Promise<LogChunk> | null {
    this.reads++
    if (this.mode === 'broken') throw new Error('damaged')
    if (this.mode === 'failing') return Promise.reject(new Error('damaged'))
    const rest = this.events.filter(({ seq }) => seq > afterSeq && seq >= this.firstSeq)
    const taken: Uint8Array[] = []
    let bytes = 0
    let lastSeq = 0
    for (const { seq, frame } of rest) {
      if (taken.length > 0 && bytes + frame.length > bytesMax) break
      taken.push(frame)
      bytes += frame.length
      lastSeq = seq
    }
    if (taken.length === 0) return null
    const chunk = { bytes: Buffer.concat(taken), lastSeq, count: taken.length }
    const fetched = this.mode === 'file' || (this.mode === 'mixed' && rest.length > 20)
    return fetched ? realDelay(1, chunk) : chunk
  }

  onPublish(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

export const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export interface Setup {
  readonly log: ModelLog
  readonly broadcaster: Broadcaster
  readonly url: string
  readonly port: number
  readonly server: Server
}

export async function serve(
  clock: Clock,
  options: Partial<BroadcasterOptions> = {},
): Promise<Setup> {
  const log = new ModelLog()
  const broadcaster = new Broadcaster({ source: log, clock, ...options })
  const server = createServer()
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  server.on('upgrade', (request, socket, head) => broadcaster.accept(request, socket, head))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  cleanups.push(() => {
    void broadcaster.stop()
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { log, broadcaster, server, port, url: `ws://127.0.0.1:${port}${PATH}` }
}

export class Client {
  readonly socket: WebSocket
  readonly seqs: number[] = []
  /** Everything that is not an event, in order: `error X`, `info X`, `close N reason`. */
  readonly notes: string[] = []
  closed = false
  #opened = false

  constructor(
    url: string,
    options: { readonly origin?: string; readonly autoPong?: boolean } = {},
  ) {
    this.socket = new WebSocket(url, { perMessageDeflate: true, ...options })
    this.socket.on('open', () => {
      this.#opened = true
    })
    this.socket.on('message', (data) => this.#take(data as Buffer))
    this.socket.on('error', (error) => this.notes.push(error.message))
    this.socket.on('close', (code, reason) => {
      this.notes.push(`close ${code} ${reason.toString()}`.trim())
      this.closed = true
    })
    cleanups.push(() => this.socket.terminate())
  }

  #take(data: Buffer): void {
    const result = parseFrame(data)
    assert.ok(result.ok, 'a whole frame')
    const frame = result.value
    if (frame.kind === 'message') this.seqs.push(frame.seq)
    else if (frame.kind === 'error') this.notes.push(`error ${frame.error}`)
    else if (frame.kind === 'info') this.notes.push(`info ${frame.name}`)
  }

  opened(): Promise<void> {
    return until(() => this.#opened, 'client open')
  }
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

/** A subscriber on a bare socket, which reads only when told. */
export async function bareClient(port: number, query: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  cleanups.push(() => void socket.destroy())
  socket.on('error', () => {})
  socket.write(
    `GET ${PATH}${query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\n\r\n`,
  )
  await new Promise((resolve) => socket.once('readable', resolve))
  return socket
}

export function payloadText(chunks: Buffer[]): string {
  return Buffer.concat(chunks).toString('latin1')
}
