/** The live streams of two relays: which events only one has, and who is first. */

import { StreamSource } from '../../client/source/stream-source.ts'
import { sleep, systemClock } from '../../lib/clock.ts'
import { systemRandom } from '../../lib/random.ts'
import type { OptionTable } from '../../ops/option-table.ts'
import type { MessageFrame } from '../../stream/frame-types.ts'
import { createTransport } from '../../stream/runtime-transport.ts'
import type { CommandCall } from '../shared/command.ts'
import { Progress } from '../shared/progress.ts'
import { noticeText } from '../tail/tail-screen.ts'

/** Events that wait for the other side; the oldest are let go beyond it. */
const WAITING_MAX = 200_000
/** Events that only one side has and that are kept as examples. */
const EXAMPLES_MAX = 1_000
/** Leads that are kept for the median. */
const LEADS_MAX = 100_000
const TICK_MS = 250
/** How long both may take to begin, ms. */
const START_MS_MAX = 30_000

export interface CompareTimes {
  readonly durationMs: number
  /** How far apart the relays may be. */
  readonly settleMs: number
}

export interface OnlyEvent {
  readonly side: 'A' | 'B'
  readonly type: string
  readonly did: string
  readonly rev: string | null
  readonly time: string
}

export interface StreamDifferences {
  /** How long events were counted, ms. */
  readonly tookMs: number
  /** Events of A and of B. */
  readonly sides: readonly [number, number]
  readonly both: number
  readonly onlyA: number
  readonly onlyB: number
  /** By how much A is before B, ms; below zero where B is first. Null when nothing is at both. */
  readonly lead: {
    readonly medianMs: number
    readonly p10Ms: number
    readonly p90Ms: number
    readonly aFirst: number
    readonly bFirst: number
  } | null
  readonly examples: readonly OnlyEvent[]
  /** What went wrong with a stream meanwhile. */
  readonly failures: readonly string[]
}

/** What names an event whatever seq it has; the same at every relay. */
function nameOf({ type, body }: MessageFrame): string {
  const did = 'repo' in body ? body.repo : body.did
  return `${type} ${did} ${'rev' in body ? body.rev : body.time}`
}

type Side = 0 | 1

interface Seen {
  readonly atMs: number
  readonly side: Side
  readonly event: OnlyEvent
}

/** Events of both sides in pairs, and what remains alone. Pure but for the times it is given. */
export class EventPairs {
  readonly #waiting = new Map<string, Seen>()
  /** Names that were paired lately: what comes once more is not news. */
  readonly #paired = new Set<string>()
  readonly #leads: number[] = []
  readonly #examples: OnlyEvent[] = []
  readonly #counts: [number, number] = [0, 0]
  readonly #only: [number, number] = [0, 0]
  #both = 0

  /** An event of one side. Its twin may have come before, or comes later. */
  see(side: Side, frame: MessageFrame, atMs: number): void {
    const name = nameOf(frame)
    const twin = this.#waiting.get(name)
    if (this.#paired.has(name) || twin?.side === side) return
    this.#counts[side]++
    if (twin === undefined) {
      this.#waiting.set(name, { atMs, side, event: exampleOf(side, frame) })
      const oldest = this.#waiting.size > WAITING_MAX ? this.#waiting.keys().next() : null
      if (oldest?.done === false) this.#waiting.delete(oldest.value)
      return
    }
    this.#waiting.delete(name)
    this.#paired.add(name)
    if (this.#paired.size > WAITING_MAX) {
      const oldest = this.#paired.keys().next()
      if (oldest.done === false) this.#paired.delete(oldest.value)
    }
    this.#both++
    if (this.#leads.length < LEADS_MAX) {
      this.#leads.push(side === 1 ? atMs - twin.atMs : twin.atMs - atMs)
    }
  }

  /** What came between the two times and has no twin is alone; what came outside is nobody's. */
  settle(fromMs: number, untilMs: number): void {
    for (const [name, { atMs, side, event }] of this.#waiting) {
      this.#waiting.delete(name)
      if (atMs < fromMs || atMs > untilMs) {
        this.#counts[side]--
        continue
      }
      this.#only[side]++
      if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(event)
    }
  }

  get seen(): number {
    return this.#counts[0] + this.#counts[1]
  }

  result(): Omit<StreamDifferences, 'tookMs' | 'failures'> {
    const [onlyA, onlyB] = this.#only
    const sides = [this.#counts[0], this.#counts[1]] as const
    return { sides, both: this.#both, onlyA, onlyB, lead: this.#lead(), examples: this.#examples }
  }

  #lead(): StreamDifferences['lead'] {
    if (this.#leads.length === 0) return null
    const sorted = this.#leads.toSorted((a, b) => a - b)
    const at = (share: number): number =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
    return {
      medianMs: at(0.5),
      p10Ms: at(0.1),
      p90Ms: at(0.9),
      aFirst: this.#leads.filter((lead) => lead > 0).length,
      bFirst: this.#leads.filter((lead) => lead < 0).length,
    }
  }
}

function exampleOf(side: Side, { type, body }: MessageFrame): OnlyEvent {
  return {
    side: side === 0 ? 'A' : 'B',
    type: type.slice(1),
    did: 'repo' in body ? body.repo : body.did,
    rev: 'rev' in body ? body.rev : null,
    time: body.time,
  }
}

/**
 * Reads both streams for a time. Counted is what came in the time, with room at both ends for the
 * one that is behind.
 */
export async function compareStreams(
  { io, signal }: Pick<CommandCall<OptionTable>, 'io' | 'signal'>,
  services: readonly [string, string],
  { durationMs, settleMs }: CompareTimes,
): Promise<StreamDifferences> {
  const pairs = new EventPairs()
  const failures: string[] = []
  const live = new Set<string>()
  const sources = services.map((service, i) =>
    sourceOf(service, {
      onFrame: (frame) => pairs.see(i === 0 ? 0 : 1, frame, systemClock.monotonicMs()),
      onLive: () => live.add(service),
      onFailure: (text) => void (failures.length < 20 && failures.push(text)),
    }),
  )
  for (const source of sources) source.start()
  using progress = new Progress(io, { label: 'events', unit: 'events' })
  try {
    const startMs = systemClock.monotonicMs()
    await until(signal, START_MS_MAX, () => live.size === services.length)
    const fromMs = systemClock.monotonicMs() + settleMs
    if (live.size < services.length) {
      const missing = services.filter((service) => !live.has(service)).join(', ')
      failures.push(`no live stream in ${Math.round((fromMs - startMs) / 1_000)} s: ${missing}`)
    } else {
      const wholeMs = settleMs + durationMs + settleMs
      await until(signal, wholeMs, () => {
        progress.update(pairs.seen)
        return false
      })
    }
    const untilMs = Math.max(fromMs, systemClock.monotonicMs() - settleMs)
    pairs.settle(fromMs, untilMs)
    return {
      tookMs: Math.round(systemClock.monotonicMs() - fromMs + settleMs),
      failures,
      ...pairs.result(),
    }
  } finally {
    await Promise.all(sources.map((source) => source.stop()))
  }
}

interface Listener {
  readonly onFrame: (frame: MessageFrame) => void
  readonly onLive: () => void
  readonly onFailure: (text: string) => void
}

function sourceOf(service: string, { onFrame, onLive, onFailure }: Listener): StreamSource {
  return new StreamSource({
    services: [service],
    cursor: () => null,
    transport: createTransport(systemClock),
    clock: systemClock,
    random: systemRandom,
    policies: { start: 'live', margin: 'passive' },
    listener: {
      onFrame: (_bytes, parsed) => {
        if (parsed.kind === 'message') onFrame(parsed)
      },
      onBadFrame: (reason) => onFailure(`${service}: a message cannot be read: ${reason}`),
      onState({ phase, lastClose }) {
        if (phase === 'live') onLive()
        if (phase === 'reconnecting') {
          onFailure(`${service}: connection lost: ${lastClose?.detail ?? ''}`)
        }
      },
      onNotice: (notice) => onFailure(noticeText(notice)),
    },
  })
}

/** Waits until the condition holds or the time is over. */
async function until(signal: AbortSignal, ms: number, holds: () => boolean): Promise<void> {
  const endMs = systemClock.monotonicMs() + ms
  while (!holds() && !signal.aborted) {
    const leftMs = endMs - systemClock.monotonicMs()
    if (leftMs <= 0) return
    await sleep(systemClock, Math.min(TICK_MS, leftMs), signal)
  }
}
