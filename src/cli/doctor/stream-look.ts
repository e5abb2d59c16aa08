/** A short look at a stream: what comes within a bounded time, and how it ends. */

import type { Clock, Timer } from '../../lib/clock.ts'
import { parseFrame, type FrameResult } from '../../stream/frame.ts'
import { subscribeReposUrl } from '../../stream/subscriber.ts'
import type { Transport, TransportClose } from '../../stream/transport.ts'

export interface StreamLookOptions {
  readonly transport: Transport
  readonly clock: Clock
  /** `wss://host`. */
  readonly endpoint: string
  /** After which seq; null for what comes next. */
  readonly cursor: number | null
  /** Until the stream is open, ms. */
  readonly openTimeoutMs: number
  /** The look ends when nothing has come for so long, ms. */
  readonly quietMs: number
  /** The look ends after so long whatever comes, ms from its opening. */
  readonly lastsMs: number
  /** It ends after so many messages. */
  readonly messagesMax: number
  /** Ends the look early, with what has been seen. */
  readonly signal: AbortSignal
  /** True ends the look: enough has been seen. */
  readonly isEnough?: (seen: readonly SeenMessage[]) => boolean
}

/** A message as it came; `text` for one that is no binary message, as the protocol wants it. */
export type SeenMessage =
  | { readonly kind: 'frame'; readonly parsed: FrameResult; readonly atMs: number }
  | { readonly kind: 'text' | 'too-large'; readonly atMs: number }

export interface StreamLook {
  readonly opened: boolean
  readonly openedAfterMs: number | null
  readonly messages: readonly SeenMessage[]
  /** How the service ended it; null when the look did. */
  readonly close: TransportClose | null
  /** True when it was not open in time. */
  readonly isTimeout: boolean
}

/** Most bytes of messages that are kept; frames have up to 5 MB each. */
const BYTES_MAX = 32 * 1_024 * 1_024

/** Never rejects. Frames are parsed, not verified. */
export function lookAtStream(options: StreamLookOptions): Promise<StreamLook> {
  const { transport, clock, endpoint, cursor, signal } = options
  const { promise, resolve } = Promise.withResolvers<StreamLook>()
  const startMs = clock.monotonicMs()
  const messages: SeenMessage[] = []
  let bytesSeen = 0
  let openedAfterMs: number | null = null
  let isOver = false
  const finish = (close: TransportClose | null, isTimeout: boolean): void => {
    if (isOver) return
    isOver = true
    quiet.cancel()
    whole?.cancel()
    signal.removeEventListener('abort', stop)
    resolve({ opened: openedAfterMs !== null, openedAfterMs, messages, close, isTimeout })
    connection.terminate()
  }
  const stop = (): void => finish(null, false)
  const see = (message: SeenMessage): void => {
    if (isOver) return
    messages.push(message)
    quiet.cancel()
    const isFull = messages.length >= options.messagesMax || bytesSeen > BYTES_MAX
    if (isFull || options.isEnough?.(messages) === true) stop()
    else quiet = clock.after(options.quietMs, stop)
  }
  let quiet = clock.after(options.openTimeoutMs, () => finish(null, true))
  let whole: Timer | null = null
  const connection = transport.connect(subscribeReposUrl(endpoint, cursor), {
    onOpen() {
      openedAfterMs = clock.monotonicMs() - startMs
      quiet.cancel()
      quiet = clock.after(options.quietMs, stop)
      whole = clock.after(options.lastsMs, stop)
    },
    onMessage(bytes) {
      bytesSeen += bytes.length
      see({ kind: 'frame', parsed: parseFrame(bytes), atMs: clock.nowMs() })
    },
    onText: () => see({ kind: 'text', atMs: clock.nowMs() }),
    onTooLarge: () => see({ kind: 'too-large', atMs: clock.nowMs() }),
    onPong: () => undefined,
    onClose: (close) => finish(close, false),
  })
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  return promise
}
