/**
 * Subscribers of `npm run bench relay`, in a process of their own. They count messages and, where
 * asked to, note when each commit came.
 */
import { serve } from './child.ts'
import { eventKey } from './event-key.ts'
import { monotonicUs } from './monotonic.ts'
import { StreamSocket } from './stream-socket.ts'

export interface OpenSubscribers {
  readonly port: number
  /** Path of the request, with the cursor. */
  readonly path: string
  readonly count: number
  /** `times`: note when each commit came. */
  readonly keep: 'times' | 'counts'
  /** Each leaves after so many messages, or begins again. Null: they stay. */
  readonly until: { readonly messages: number; readonly afterwards: 'leave' | 'begin-again' } | null
}

/** What has come since the last mark. */
export interface Received {
  /** Of all subscribers together. */
  readonly messages: number
  readonly bytes: number
  /** Of the subscriber that has had least. */
  readonly messagesLeast: number
  /** Monotonic time of the newest message; 0 when none came. */
  readonly lastUs: number
  /** Why a subscriber ended that was to stay; null when none has. */
  readonly ended: string | null
}

/** When commits came, by what they are known by. */
export interface Arrivals {
  readonly keys: readonly string[]
  readonly timesUs: readonly number[]
}

/** What the process answers. */
export interface SubscribersCalls {
  /** Resolves when the streams of all of them have begun. */
  readonly open: (argument: OpenSubscribers) => Promise<void>
  /** Counting begins anew. */
  readonly mark: () => void
  /**
   * Resolves when each subscriber has had so many messages since the mark, or none has come to any
   * of them for `silentMs`, or one has ended that was to stay.
   */
  readonly reach: (argument: {
    readonly messages: number
    readonly silentMs: number
  }) => Promise<Received>
  readonly received: () => Received
  /** Since this was last called. */
  readonly takeArrivals: () => Arrivals
  readonly close: () => void
}

interface Reader {
  socket: StreamSocket | null
  /** Since the mark. */
  messages: number
  bytes: number
}

/** How often silence is looked for, ms. */
const LOOK_MS = 100

const readers = new Set<Reader>()
let keys: string[] = []
let timesUs: number[] = []
let lastUs = 0
let ended: string | null = null
let goal = Infinity
let reached = 0
let onReached: (() => void) | null = null

function open(reader: Reader, argument: OpenSubscribers): Promise<void> {
  const { port, path, keep, until } = argument
  let bytesBefore = 0
  const socket = new StreamSocket({
    port,
    path,
    contents: keep === 'times' ? 'kept' : 'skipped',
    onMessage: () => {
      lastUs = monotonicUs()
      reader.bytes += socket.bytes - bytesBefore
      bytesBefore = socket.bytes
      if (++reader.messages === goal && ++reached === readers.size) onReached?.()
      if (keep === 'times') {
        const key = eventKey(socket.message)
        if (key !== null) {
          keys.push(key)
          timesUs.push(lastUs)
        }
      }
      if (socket.messages === until?.messages) socket.close()
    },
    onEnd: () => {
      if (reader.socket !== socket) return
      reader.socket = null
      if (until !== null && socket.messages >= until.messages) {
        // That it could not is told by the end of its socket.
        if (until.afterwards === 'begin-again') open(reader, argument).catch(() => undefined)
        return
      }
      ended = socket.why
      onReached?.()
    },
  })
  reader.socket = socket
  return socket.opened
}

function received(): Received {
  const counts = [...readers].map(({ messages }) => messages)
  return {
    messages: counts.reduce((sum, count) => sum + count, 0),
    bytes: [...readers].reduce((sum, { bytes }) => sum + bytes, 0),
    messagesLeast: counts.reduce((least, count) => Math.min(least, count), Infinity),
    lastUs,
    ended,
  }
}

function mark(): void {
  lastUs = 0
  for (const reader of readers) {
    reader.messages = 0
    reader.bytes = 0
  }
}

async function reach(messages: number, silentMs: number): Promise<Received> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const sinceUs = monotonicUs()
  goal = messages
  reached = [...readers].filter((reader) => reader.messages >= messages).length
  onReached = resolve
  const timer = setInterval(() => {
    if (monotonicUs() - Math.max(sinceUs, lastUs) > silentMs * 1_000) resolve()
  }, LOOK_MS)
  if (reached < readers.size && ended === null) await promise
  clearInterval(timer)
  onReached = null
  goal = Infinity
  return received()
}

function close(): void {
  for (const reader of readers) {
    const { socket } = reader
    reader.socket = null
    socket?.close()
  }
  readers.clear()
}

const calls: SubscribersCalls = {
  open: async (argument) => {
    const added = Array.from({ length: argument.count }, (): Reader => ({
      socket: null,
      messages: 0,
      bytes: 0,
    }))
    for (const reader of added) readers.add(reader)
    await Promise.all(added.map((reader) => open(reader, argument)))
  },
  mark,
  reach: ({ messages, silentMs }) => reach(messages, silentMs),
  received,
  takeArrivals: () => {
    const taken = { keys, timesUs }
    keys = []
    timesUs = []
    return taken
  },
  close,
}

serve(calls, close)
