/** The events of one simulated host: a sequence, a bounded backlog, and whoever waits for more. */
import type { MessageType } from '../stream/frame-types.ts'
import type { LogChunk, LogSource } from '../stream/log-source.ts'
import { wrapFrame } from '../stream/wire-frame.ts'
import { concatBytes } from '../lib/bytes.ts'
import { must } from '../lib/assert.ts'
import type { FaultKind } from './faults.ts'
import type { LedgerEntry } from './ledger.ts'

/** A message with its place. */
export interface LoggedMessage {
  readonly seq: number
  /** Text is sent as a text message; null is never sent. */
  readonly data: Uint8Array | string | null
  /** The type of an honest event; null for anything else. */
  readonly type: MessageType | null
  /** The lie that it is; null for what is honest. */
  readonly lie: LedgerEntry | null
  /** The fault that strikes whoever comes to its place; null for none. */
  readonly fault: FaultKind | null
}

/** What a message is. A lie has no type. */
export type MessageNature = Partial<Pick<LoggedMessage, 'type' | 'lie' | 'fault'>>

function sizeOf({ data }: LoggedMessage): number {
  return data?.length ?? 0
}

/** Messages in order of their seqs, the oldest let go first. */
export class HostLog implements LogSource {
  readonly #bytesMax: number
  readonly #listeners = new Set<() => void>()
  #messages: LoggedMessage[] = []
  /** Messages at the start of the array that have been let go. */
  #gone = 0
  #bytes = 0
  #seq = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Seq of the newest message; 0 before the first. */
  get publishedSeq(): number {
    return this.#seq
  }

  /** Seq of the oldest message that is kept. */
  get firstSeq(): number {
    return this.#messages[this.#gone]?.seq ?? this.#seq + 1
  }

  get nextSeq(): number {
    return this.#seq + 1
  }

  /** Appends under the next seq, which what is in `data` should say. Returns the seq. */
  append(data: LoggedMessage['data'], nature: MessageNature = {}): number {
    const { type = null, lie = null, fault = null } = nature
    const message = { seq: ++this.#seq, data, type, lie, fault }
    this.#messages.push(message)
    this.#bytes += sizeOf(message)
    while (this.#bytes > this.#bytesMax && this.#gone < this.#messages.length - 1) {
      this.#bytes -= sizeOf(must(this.#messages[this.#gone], 'message'))
      this.#gone++
    }
    if (this.#gone > 1_024 && this.#gone * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#gone)
      this.#gone = 0
    }
    for (const listener of this.#listeners) listener()
    return message.seq
  }

  /** The first kept message after a seq; null when there is none. */
  after(seq: number): LoggedMessage | null {
    const first = this.firstSeq
    return this.#messages[this.#gone + Math.max(0, seq + 1 - first)] ?? null
  }

  /** How many of the newest messages, up to a bound, are no honest `#account`. */
  withoutStatus(countMax: number): number {
    for (let count = 0; count < countMax; count++) {
      const message = this.#messages[this.#messages.length - 1 - count]
      if (message === undefined || message.type === '#account') return count
    }
    return countMax
  }

  /** Forgets the newest `count` messages, whose seqs are given out again. */
  fallBack(count: number): void {
    for (let i = 0; i < count && this.#messages.length > this.#gone; i++) {
      const message = must(this.#messages.pop(), 'message')
      this.#bytes -= sizeOf(message)
      this.#seq = message.seq - 1
    }
  }

  /** Forgets everything and begins with 1 again. */
  reset(): void {
    this.#messages = []
    this.#gone = 0
    this.#bytes = 0
    this.#seq = 0
  }

  onPublish(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** For a broadcaster. Text messages are left out: it has no frames for them. */
  read(afterSeq: number, bytesMax: number): LogChunk | null {
    const frames: Uint8Array[] = []
    let bytes = 0
    let lastSeq = afterSeq
    for (
      let next = this.after(lastSeq);
      next !== null && bytes < bytesMax;
      next = this.after(lastSeq)
    ) {
      lastSeq = next.seq
      if (!(next.data instanceof Uint8Array)) continue
      const frame = wrapFrame(next.data)
      frames.push(frame)
      bytes += frame.length
    }
    return lastSeq === afterSeq
      ? null
      : { bytes: concatBytes(frames), lastSeq, count: frames.length }
  }
}
