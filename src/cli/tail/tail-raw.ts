/** `skein tail` without --verify: every event of the stream in its order, as it is. */

import { WantedEvents } from '../../client/consumer/consumer-filter.ts'
import { eventOf } from '../../client/events/decode-event.ts'
import type { RepoOperation, SyncEvent } from '../../client/events/events.ts'
import type { Place, SourceFrame } from '../../client/source/source-types.ts'
import { StreamSource } from '../../client/source/stream-source.ts'
import { systemClock, type Timer } from '../../lib/clock.ts'
import { systemRandom } from '../../lib/random.ts'
import { createTransport } from '../../stream/runtime-transport.ts'
import type { TailRead } from './tail-command.ts'
import { eventLine, type TailEvent } from './tail-event.ts'

/** Events that wait to be written before the source is held back, and when it may go on. */
const WAITING_HIGH = 1_000
const WAITING_LOW = 250
/** Between two writes of the file that keeps the place, ms. */
const SAVE_MS = 1_000

/** Something that came, in order: an event to show, or only a place to remember. */
interface Arrival {
  readonly event: TailEvent | null
  readonly place: Place | null
  readonly timeMs: number | null
}

/** Reads until the signal aborts or the source gives up. */
export async function readRaw(read: TailRead): Promise<void> {
  const { service, start, file, screen, signal } = read
  const wanted = new WantedEvents(read.filter)
  const waiting: Arrival[] = []
  let wake: (() => void) | null = null
  let isStopped = false
  const done = new Map<number, number>()
  const source = new StreamSource({
    services: [service],
    cursor: (name, epoch) =>
      done.get(epoch) ?? (epoch === 0 ? (file?.cursorOf(name) ?? null) : null),
    transport: createTransport(systemClock),
    clock: systemClock,
    random: systemRandom,
    policies: { start: startOf(read) },
    listener: {
      onFrame(bytes, parsed, place) {
        waiting.push(arrivalOf(bytes, parsed, place, { service, wanted }))
        if (waiting.length >= WAITING_HIGH) source.pause()
        wake?.()
      },
      onBadFrame(reason, detail, afterSeq) {
        const at = afterSeq === null ? '' : ` after seq ${afterSeq}`
        screen.say(`a message${at} cannot be read: ${reason}: ${detail}`)
      },
      onState(state) {
        screen.state(state)
        if (state.phase !== 'stopped') return
        isStopped = true
        wake?.()
      },
      onNotice: (notice) => screen.notice(notice),
    },
  })
  if (start.kind === 'file' && file?.cursorOf(service) === null) {
    screen.say(`${start.path} keeps no place of ${service} yet: beginning live`)
  }
  const keeper = new PlaceKeeper(read)
  const stop = (): void => wake?.()
  signal.addEventListener('abort', stop)
  source.start()
  try {
    for (;;) {
      const next = signal.aborted ? undefined : waiting.shift()
      if (next === undefined) {
        if (signal.aborted || isStopped) break
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      if (waiting.length === WAITING_LOW) source.resume()
      const goesOn = next.event === null || (await screen.show(next.event))
      if (next.place !== null) {
        done.set(next.place.epoch, next.place.seq)
        keeper.reached(next.place.seq, next.timeMs)
        screen.reached(next.place.seq)
      }
      if (!goesOn) break
    }
  } finally {
    signal.removeEventListener('abort', stop)
    await source.stop()
    await keeper.end()
  }
}

function startOf({ start, service }: TailRead): 'live' | 'oldest' | Pick<Place, 'service' | 'seq'> {
  if (start.kind === 'oldest') return 'oldest'
  return start.kind === 'seq' ? { service, seq: start.seq } : 'live'
}

function arrivalOf(
  bytes: Uint8Array,
  parsed: SourceFrame,
  place: Place | null,
  { service, wanted }: { readonly service: string; readonly wanted: WantedEvents },
): Arrival {
  const decoded = eventOf(parsed, bytes)
  const nothing = { event: null, place, timeMs: null }
  if (!decoded.ok || decoded.value.type === 'error') return nothing
  const event = decoded.value
  const timeMs = 'time' in event ? Date.parse(event.time) : null
  const at = { place, timeMs: timeMs === null || Number.isNaN(timeMs) ? null : timeMs }
  const ops = wantedOps(event, parsed, wanted)
  if (ops === null) return { event: null, ...at }
  return { event: eventLine(event, ops, { service, nowMs: systemClock.nowMs() }), ...at }
}

/** The operations to show; null when the event is not wanted. */
function wantedOps(
  event: SyncEvent,
  parsed: SourceFrame,
  wanted: WantedEvents,
): readonly RepoOperation[] | null {
  if (!wanted.frame(parsed)) return null
  if ('did' in event && !wanted.did(event.did)) return null
  if (event.type !== '#commit') return []
  if (wanted.collections === null) return event.ops
  const ops = event.ops.filter(({ path }) => wanted.path(path))
  return ops.length === 0 ? null : ops
}

/** Writes the place into the file, now and then and at the end. */
class PlaceKeeper {
  readonly #read: TailRead
  #seq: number | null = null
  #timeMs: number | null = null
  #timer: Timer | null = null
  #saving: Promise<void> = Promise.resolve()

  constructor(read: TailRead) {
    this.#read = read
  }

  reached(seq: number, timeMs: number | null): void {
    this.#seq = seq
    if (timeMs !== null) this.#timeMs = timeMs
    if (this.#read.file === null || this.#timer !== null) return
    this.#timer = systemClock.after(SAVE_MS, () => {
      this.#timer = null
      this.#saving = this.#save()
    })
  }

  async end(): Promise<void> {
    this.#timer?.cancel()
    await this.#saving
    await this.#save()
  }

  async #save(): Promise<void> {
    const { file, service } = this.#read
    if (file === null || this.#seq === null) return
    await file.save({ service, seq: this.#seq, timeMs: this.#timeMs })
  }
}
