/** A host's event log as an array, for tests of what reads it. */

import type { LogChunk, LogSource } from '../../stream/log-source.ts'
import type { MessageBodies, MessageType } from '../../stream/frame-types.ts'
import { encodeMessageFrame } from '../../stream/own-frames.ts'
import { wrapFrame } from '../../stream/wire-frame.ts'
import { concatBytes } from '../../lib/bytes.ts'

/** Every event is published at once. */
export class ArrayLog implements LogSource {
  readonly firstSeq = 1
  readonly #frames: Uint8Array[] = []
  readonly #listeners = new Set<() => void>()

  get publishedSeq(): number {
    return this.#frames.length
  }

  append<T extends MessageType>(type: T, body: MessageBodies[T]): void {
    const seq = this.#frames.length + 1
    this.#frames.push(wrapFrame(encodeMessageFrame(type, { ...body, seq })))
    for (const listener of this.#listeners) listener()
  }

  read(afterSeq: number): LogChunk | null {
    const frames = this.#frames.slice(afterSeq)
    if (frames.length === 0) return null
    return { bytes: concatBytes(frames), lastSeq: this.publishedSeq, count: frames.length }
  }

  onPublish(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
