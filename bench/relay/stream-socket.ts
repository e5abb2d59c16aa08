/**
 * A subscriber that costs as little as one can: a socket whose bytes are looked at only to find
 * where WebSocket messages end (RFC 6455, section 5.2), and which answers pings.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export interface StreamSocketOptions {
  readonly port: number
  /** Of the request, with the cursor. */
  readonly path: string
  /** Called for each message that has come in whole. */
  readonly onMessage: (socket: StreamSocket) => void
  /** Called once when the connection has ended, whoever ended it. */
  readonly onEnd: (socket: StreamSocket) => void
  /** Whether messages are put together, for {@link StreamSocket.message}. */
  readonly contents: 'kept' | 'skipped'
}

const OPCODE_CLOSE = 8
const OPCODE_PING = 9
const OPCODE_CONTROL_MIN = 8
/** What one read takes from the system; all sockets share the buffer. */
const READ_BYTES = 256 * 1024
const MESSAGE_BYTES_MIN = 64 * 1024
const HANDSHAKE_BYTES_MAX = 16 * 1024

const readBuffer = Buffer.alloc(READ_BYTES)

export class StreamSocket {
  readonly #options: StreamSocketOptions
  readonly #socket: Socket
  readonly #opened = Promise.withResolvers<void>()
  /** Null when the handshake is over. */
  #handshake: string | null = ''
  /** Header of the frame that is being read, as far as it is there. */
  readonly #head = Buffer.alloc(10)
  #headBytes = 0
  /** Bytes of the frame's payload that are to come. */
  #left = 0
  #message: Buffer = Buffer.alloc(0)
  #messageBytes = 0
  #control = Buffer.alloc(0)
  #why = 'the connection ended'
  messages = 0
  bytes = 0

  constructor(options: StreamSocketOptions) {
    this.#options = options
    const { port, path } = options
    const onread = {
      buffer: readBuffer,
      callback: (length: number): boolean => {
        this.#take(readBuffer.subarray(0, length))
        return true
      },
    }
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true, onread })
    this.#socket.on('connect', () => {
      const key = randomBytes(16).toString('base64')
      this.#socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\n` +
          `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
      )
    })
    this.#socket.on('error', (error) => (this.#why = error.message))
    this.#socket.on('close', () => {
      this.#opened.reject(new Error(`subscribe: ${this.#why}`))
      options.onEnd(this)
    })
  }

  /** Resolves when the stream has begun; rejects when it does not. */
  get opened(): Promise<void> {
    return this.#opened.promise
  }

  /** Why it has ended, when it has. */
  get why(): string {
    return this.#why
  }

  /** The message that has just come in. Good until `onMessage` returns. */
  get message(): Buffer {
    return this.#message.subarray(0, this.#messageBytes)
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    if (this.#handshake === null) this.#read(bytes)
    else this.#shake(this.#handshake + bytes.toString('latin1'), bytes)
  }

  #shake(text: string, bytes: Buffer): void {
    const end = text.indexOf('\r\n\r\n')
    if (end < 0 && text.length < HANDSHAKE_BYTES_MAX) {
      this.#handshake = text
      return
    }
    if (!text.startsWith('HTTP/1.1 101')) {
      this.#why = text.slice(0, text.indexOf('\r\n'))
      this.#socket.destroy()
      return
    }
    this.#handshake = null
    this.#opened.resolve()
    this.#read(bytes.subarray(bytes.length - (text.length - end - 4)))
  }

  #read(bytes: Buffer): void {
    this.bytes += bytes.length
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left)
        this.#keep(bytes, at, end)
        this.#left -= end - at
        at = end
      } else {
        this.#head[this.#headBytes++] = bytes[at++] ?? 0
        if (this.#headBytes < 2 || this.#headBytes < this.#headNeeded()) continue
        this.#left = this.#payloadBytes()
      }
      if (this.#left === 0) this.#finish()
    }
  }

  #headNeeded(): number {
    const short = this.#head[1] ?? 0
    return short < 126 ? 2 : short === 126 ? 4 : 10
  }

  #payloadBytes(): number {
    const short = this.#head[1] ?? 0
    if (short < 126) return short
    return short === 126 ? this.#head.readUInt16BE(2) : Number(this.#head.readBigUInt64BE(2))
  }

  get #opcode(): number {
    return (this.#head[0] ?? 0) & 0x0f
  }

  #keep(bytes: Buffer, from: number, end: number): void {
    if (this.#opcode >= OPCODE_CONTROL_MIN) {
      this.#control = Buffer.concat([this.#control, bytes.subarray(from, end)])
      return
    }
    if (this.#options.contents === 'skipped') return
    const needed = this.#messageBytes + end - from
    if (needed > this.#message.length) {
      const grown = Buffer.alloc(Math.max(MESSAGE_BYTES_MIN, needed * 2))
      this.#message.copy(grown, 0, 0, this.#messageBytes)
      this.#message = grown
    }
    bytes.copy(this.#message, this.#messageBytes, from, end)
    this.#messageBytes = needed
  }

  /** A frame is whole; it ends a message unless more of it is to come. */
  #finish(): void {
    this.#headBytes = 0
    if (this.#opcode >= OPCODE_CONTROL_MIN) {
      this.#answer(this.#opcode, this.#control)
      this.#control = Buffer.alloc(0)
      return
    }
    const isLast = ((this.#head[0] ?? 0) & 0x80) !== 0
    if (!isLast) return
    this.messages++
    this.#options.onMessage(this)
    this.#messageBytes = 0
  }

  #answer(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE_CLOSE) {
      const code = payload.length < 2 ? 'no code' : payload.readUInt16BE(0)
      this.#why = `closed by the relay: ${code} ${payload.toString('utf8', 2)}`
      this.#socket.end()
    } else if (opcode === OPCODE_PING) {
      // A mask of zeros: what is sent is the payload itself.
      const head = Buffer.of(0x8a, 0x80 | payload.length, 0, 0, 0, 0)
      this.#socket.write(Buffer.concat([head, payload]))
    }
  }
}
