/** One subscriber of a simulated host: its place in the backlog, and what goes wrong on its way. */
import type { WebSocket } from 'ws'
import { encodeErrorFrame, encodeInfoFrame } from '../stream/own-frames.ts'
import type { CursorStart } from '../stream/cursor.ts'
import type { ArmedFaults, FaultKind } from './faults.ts'
import type { HostLog, LoggedMessage } from './host-log.ts'
import type { Ledger } from './ledger.ts'

/** Faults that strike a connection. */
export type ConnectionFault = Extract<
  FaultKind,
  'disconnect' | 'duplicate' | 'error-frame' | 'silent'
>

export interface SessionOptions {
  readonly socket: WebSocket
  readonly log: HostLog
  readonly ledger: Ledger
  readonly faults: ArmedFaults<ConnectionFault>
  /** Told of each honest message that was sent a second time on purpose. */
  readonly onDuplicate: () => void
  /** Told of each message that is a fault, when its turn has come. */
  readonly onFault: (message: LoggedMessage) => void
}

/** Bytes in the socket beyond which nothing more is handed to it. */
const BUFFERED_BYTES_MAX = 1024 * 1024
/** Messages that a connection carries before a fault may strike, so that there is progress. */
const FRAMES_BEFORE_FAULT = 2
/** Messages that are repeated by `duplicate`. */
const REPEATED = 5

export class StreamSession {
  readonly #options: SessionOptions
  #after: number
  #sent = 0
  #silent = false
  #ended = false
  readonly #recent: Uint8Array[] = []

  constructor(options: SessionOptions, start: Exclude<CursorStart, { readonly kind: 'refused' }>) {
    this.#options = options
    this.#after = start.afterSeq
    const { socket } = options
    socket.on('ping', (data) => {
      if (!this.#silent && !this.#ended) socket.pong(data)
    })
    if (start.kind === 'replay' && start.outdated) {
      socket.send(encodeInfoFrame('OutdatedCursor', 'Events are missing'))
    }
  }

  /** Seq of the last message handed to the socket. */
  get cursor(): number {
    return this.#after
  }

  get isSilent(): boolean {
    return this.#silent
  }

  /** Hands on what there is room for. */
  pump(): void {
    const { socket, log } = this.#options
    while (!this.#ended && !this.#silent && socket.bufferedAmount < BUFFERED_BYTES_MAX) {
      this.#strike()
      if (this.#ended || this.#silent) return
      const message = log.after(this.#after)
      if (message === null) return
      this.#after = message.seq
      this.#send(message)
    }
  }

  /** Cuts the connection. */
  cut(): void {
    this.#ended = true
    this.#options.socket.terminate()
  }

  #send(message: LoggedMessage): void {
    const { data, lie, type, fault } = message
    if (fault !== null) this.#options.onFault(message)
    if (data === null) return
    const { socket, ledger } = this.#options
    socket.send(data, () => this.pump())
    this.#sent++
    if (lie !== null) ledger.noteSent(lie)
    if (type === null || !(data instanceof Uint8Array)) return
    this.#recent.push(data)
    if (this.#recent.length > REPEATED) this.#recent.shift()
  }

  #strike(): void {
    if (this.#sent < FRAMES_BEFORE_FAULT) return
    const { faults, socket, onDuplicate } = this.#options
    switch (faults.take((kind) => kind !== 'duplicate' || this.#recent.length === REPEATED)) {
      case 'disconnect':
        this.cut()
        break
      case 'error-frame':
        this.#ended = true
        socket.send(encodeErrorFrame('ConsumerTooSlow', 'said without any reason'))
        socket.close(1008, 'ConsumerTooSlow')
        break
      case 'silent':
        this.#silent = true
        break
      case 'duplicate':
        for (const data of this.#recent) {
          socket.send(data)
          onDuplicate()
        }
        break
      case null:
        break
    }
  }
}
