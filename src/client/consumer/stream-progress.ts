/** How far each service's stream is finished, and what may be stored of it. Pure bookkeeping. */
import { CursorTracker } from '../../stream/cursor-tracker.ts'
import type { StoredCursor } from '../../store/consumer-state.ts'
import type { Place } from '../source/source-types.ts'

interface Sample {
  readonly seq: number
  readonly timeMs: number
}

interface ServiceProgress {
  epoch: number
  tracker: CursorTracker
  /** The last seq that was saved, or stored before. */
  savedSeq: number | null
  /** Times of some events, rising by seq: enough to tell the time of any to a second or so. */
  samples: Sample[]
}

/** Between two samples at least so many events or ms. */
const SAMPLE_EVENTS = 64
const SAMPLE_MS = 1_000

/** Places of all services. What belongs to an earlier epoch of a service counts no more. */
export class StreamProgress {
  readonly #services = new Map<string, ServiceProgress>()
  /** The service of the newest event. */
  #current: string | null

  constructor(stored: readonly StoredCursor[]) {
    for (const { service, seq, timeMs } of stored) {
      this.#services.set(service, {
        epoch: 0,
        tracker: new CursorTracker(seq),
        savedSeq: seq,
        samples: timeMs === null ? [] : [{ seq, timeMs }],
      })
    }
    this.#current = stored[0]?.service ?? null
  }

  /** Finished events that the cursors have not reached, and those at work. */
  get ahead(): number {
    let ahead = 0
    for (const { tracker } of this.#services.values()) ahead += tracker.ahead
    return ahead
  }

  /** The last seq up to which all is finished; null when there is none in this epoch. */
  cursor(service: string, epoch: number): number | null {
    const progress = this.#services.get(service)
    return progress?.epoch === epoch ? progress.tracker.cursor : null
  }

  /** The service has begun another sequence. */
  restart(service: string, epoch: number): void {
    const tracker = new CursorTracker(null)
    this.#services.set(service, { epoch, tracker, savedSeq: null, samples: [] })
  }

  /**
   * Takes note of an arrival.
   *
   * @param time Of the event, as its maker says; null when it says nothing.
   * @returns `known` when it is finished or at work already.
   */
  begin({ service, epoch, seq }: Place, time: string | null): 'new' | 'known' {
    if (this.#services.get(service)?.epoch !== epoch) this.restart(service, epoch)
    const progress = this.#services.get(service) as ServiceProgress
    this.#current = service
    if (time !== null) sample(progress.samples, seq, Date.parse(time))
    return progress.tracker.begin(seq)
  }

  /** The event is finished. */
  done({ service, epoch, seq }: Place): void {
    const progress = this.#services.get(service)
    if (progress?.epoch === epoch) progress.tracker.done(seq, null)
  }

  /** Where the cursor of a service stands once the event at `place` is finished too. */
  checkpoint(place: Place | null): StoredCursor | null {
    const service = place?.service ?? this.#current
    const progress = service === null ? undefined : this.#services.get(service)
    if (service === null || progress === undefined) return null
    const isOurs = place !== null && place.epoch === progress.epoch
    const seq = isOurs ? progress.tracker.cursorWith(place.seq) : progress.tracker.cursor
    return seq === null || seq < 1 ? null : cursorOf(service, progress, seq)
  }

  /** Cursors that are further than when they were taken last; the service in use is the last. */
  take(): readonly StoredCursor[] {
    const taken: StoredCursor[] = []
    for (const [service, progress] of this.#services) {
      const { cursor } = progress.tracker
      if (cursor === null || cursor < 1 || cursor <= (progress.savedSeq ?? 0)) continue
      progress.savedSeq = cursor
      const stored = cursorOf(service, progress, cursor)
      if (service === this.#current) taken.push(stored)
      else taken.unshift(stored)
    }
    return taken
  }
}

function sample(samples: Sample[], seq: number, timeMs: number): void {
  const last = samples.at(-1)
  if (Number.isNaN(timeMs)) return
  const isDue =
    last === undefined || seq >= last.seq + SAMPLE_EVENTS || timeMs >= last.timeMs + SAMPLE_MS
  if (isDue && (last === undefined || seq > last.seq)) samples.push({ seq, timeMs })
}

function cursorOf(service: string, progress: ServiceProgress, seq: number): StoredCursor {
  const { samples } = progress
  let at = 0
  while (at + 1 < samples.length && (samples[at + 1] as Sample).seq <= seq) at++
  if (at > 0) progress.samples = samples.slice(at)
  const first = progress.samples[0]
  return { service, seq, timeMs: first !== undefined && first.seq <= seq ? first.timeMs : null }
}
