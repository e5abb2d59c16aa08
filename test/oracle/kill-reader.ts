/** Subscribers of a relay that is killed: each keeps its place, and comes back to it. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { readFrame } from '../support/relay-client.ts'
import { Signal, within } from '../support/waiting.ts'
import type { KillModel } from './kill-model.ts'

/** One subscriber over all of its connections. */
export class KillReader {
  readonly name: string
  readonly #model: KillModel
  readonly #signal = new Signal()
  #socket: WebSocket | null = null
  #closed: Promise<unknown> = Promise.resolve()
  /** Seq of the last event it was sent. */
  lastSeq = 0

  constructor(name: string, model: KillModel) {
    this.name = name
    this.#model = model
  }

  /** Connects and asks for what is after its place. */
  connect(address: string): void {
    const path = '/xrpc/com.atproto.sync.subscribeRepos'
    const url = `ws://${address}${path}?cursor=${this.lastSeq}`
    const socket = new WebSocket(url, { perMessageDeflate: false })
    this.#socket = socket
    this.#closed = once(socket, 'close').catch(() => undefined)
    socket.on('error', () => undefined)
    socket.on('message', (data) => this.#take(new Uint8Array(data as Buffer)))
  }

  /** Stops reading from the socket, and goes on. */
  pause(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.pause()
  }

  resume(): void {
    if (this.#socket?.isPaused === true) this.#socket.resume()
  }

  /** Resolves when it has been sent `seq`, or one after it: it may be slow, but not stand still. */
  async reached(seq: number): Promise<void> {
    const what = (): string => `${this.name} to reach seq ${seq}, at ${this.lastSeq}`
    while (this.lastSeq < seq) {
      const before = this.lastSeq
      await this.#signal.until(() => (this.lastSeq > before ? true : null), what)
    }
  }

  /** Resolves when its connection is gone, which nothing is read from any more. */
  async gone(): Promise<void> {
    this.resume()
    this.#socket?.terminate()
    await within(this.#closed, `the end of the connection of ${this.name}`)
    this.#socket = null
  }

  #take(bytes: Uint8Array): void {
    const frame = readFrame(bytes)
    if (frame.seq === 0) {
      this.#model.violate(`${this.name} was told ${frame.type} ${JSON.stringify(frame.body)}`)
      return
    }
    this.#model.see(this.name, this.lastSeq, frame)
    this.lastSeq = frame.seq
    this.#signal.notify()
  }
}
