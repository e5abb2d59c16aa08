/**
 * A subscriber that keeps everything it is sent. It reads frames with a decoder that the relay does
 * not use, so that what it says of them is a second opinion.
 */
import { once } from 'node:events'
import { decodeFirst } from '@atcute/cbor'
import { WebSocket } from 'ws'
import { Signal, within } from './waiting.ts'

/** One message as it arrived. */
export interface ReceivedFrame {
  readonly bytes: Uint8Array
  /** `#commit`, or `error` for an error frame. */
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
  /** 0 when there is none. */
  readonly seq: number
}

/** Reads a frame; throws on one that is not well-formed. */
export function readFrame(bytes: Uint8Array): ReceivedFrame {
  const [header, rest] = decodeFirst(bytes) as [{ op: number; t?: string }, Uint8Array]
  const [body, end] = decodeFirst(rest) as [Readonly<Record<string, unknown>>, Uint8Array]
  if (end.length > 0) throw new Error(`frame has ${end.length} bytes too many`)
  const seq = typeof body['seq'] === 'number' ? body['seq'] : 0
  return { bytes, type: header.op === 1 ? (header.t ?? '') : 'error', body, seq }
}

/** The account that a frame is about. */
export function didOf(frame: ReceivedFrame): string {
  return String(frame.body['repo'] ?? frame.body['did'])
}

export class RelayClient implements AsyncDisposable {
  readonly #socket: WebSocket
  readonly #signal = new Signal()
  #taken = 0
  /** Everything received, in order. */
  readonly frames: ReceivedFrame[] = []
  /** Close code and text; null while open. */
  ended: { readonly code: number; readonly reason: string } | null = null

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data, isBinary) => {
      if (!isBinary || !(data instanceof Uint8Array)) throw new Error('a message is not binary')
      this.frames.push(readFrame(new Uint8Array(data)))
      this.#signal.notify()
    })
    socket.on('error', () => undefined)
    socket.on('close', (code, reason) => {
      this.ended = { code, reason: reason.toString() }
      this.#signal.notify()
    })
  }

  /**
   * Connects.
   *
   * @param address Of the relay, `127.0.0.1:2470`.
   * @param cursor None for the live stream.
   */
  static async connect(address: string, cursor?: number): Promise<RelayClient> {
    const query = cursor === undefined ? '' : `?cursor=${cursor}`
    const url = `ws://${address}/xrpc/com.atproto.sync.subscribeRepos${query}`
    const socket = new WebSocket(url, { perMessageDeflate: false })
    const client = new RelayClient(socket)
    await within(once(socket, 'open'), `connection to ${url}`)
    return client
  }

  /** The next message that has not been given out yet. */
  async next(what = 'the next message'): Promise<ReceivedFrame> {
    const frame = await this.#signal.until(
      () => {
        if (this.frames.length <= this.#taken && this.ended !== null) {
          throw new Error(`closed with ${this.ended.code} while waiting for ${what}`)
        }
        return this.frames[this.#taken] ?? null
      },
      () => `${what} after ${this.frames.map(({ type, seq }) => `${seq}${type}`).join(' ')}`,
    )
    this.#taken++
    return frame
  }

  /** The next `count` messages. */
  async take(count: number): Promise<ReceivedFrame[]> {
    const taken: ReceivedFrame[] = []
    while (taken.length < count) taken.push(await this.next(`message ${taken.length + 1}/${count}`))
    return taken
  }

  /** Resolves when the message with this seq, or a later one, has arrived. */
  async reached(seq: number): Promise<void> {
    await this.#signal.until(
      () => (this.lastSeq >= seq ? true : null),
      () => `seq ${seq}, at ${this.lastSeq}`,
    )
  }

  /** Greatest seq received; 0 before the first. */
  get lastSeq(): number {
    return this.frames.at(-1)?.seq ?? 0
  }

  /** Messages that have arrived and were not given out. */
  get waiting(): readonly ReceivedFrame[] {
    return this.frames.slice(this.#taken)
  }

  /** Stops reading from the socket, as a client does that hangs. */
  stall(): void {
    this.#socket.pause()
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume()
  }

  /** How the relay ended the stream. */
  async untilClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    return this.#signal.until(() => this.ended, 'the end of the stream')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ended !== null) return
    this.#socket.resume()
    this.#socket.terminate()
    await this.untilClosed()
  }
}

/** Everything that a relay can replay after `cursor`, up to `lastSeq`. */
export async function replay(
  address: string,
  lastSeq: number,
  cursor = 0,
): Promise<readonly ReceivedFrame[]> {
  await using client = await RelayClient.connect(address, cursor)
  await client.reached(lastSeq)
  return client.frames
}
