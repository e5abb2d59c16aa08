/** What `skein tail` shows: events on standard output, everything else on standard error. */

import type { ConsumerNotice } from '../../client/consumer/consumer-types.ts'
import type { SourceNotice, SourceState } from '../../client/source/source-types.ts'
import { systemClock, type Timer } from '../../lib/clock.ts'
import type { CliIo } from '../io.ts'
import { cleanText, countOf, formatCount, formatDuration, type Output } from '../shared/output.ts'
import { type TailEvent, tailJson, tailLines } from './tail-event.ts'
import { StatusLine } from './status-line.ts'
import type { PlaceFile } from './tail-place.ts'

const REDRAW_MS = 500

export interface TailScreenOptions {
  readonly records: 'shown' | 'left'
  /** Events after which there has been enough; 0 for no end. */
  readonly countMax: number
  readonly enough: AbortController
}

/** Draws; on terminals also a line of status below the events, which is drawn over. */
export class TailScreen implements Disposable {
  readonly #io: CliIo
  readonly #output: Output
  readonly #options: TailScreenOptions
  readonly #startMs = systemClock.monotonicMs()
  #timer: Timer | null = null
  readonly #status: StatusLine
  #isOver = false
  #count = 0
  #refused = 0
  #drawnCount = 0
  #drawnMs = systemClock.monotonicMs()
  #phase = ''
  #state: SourceState | null = null
  #lastSeq: number | null = null
  /** Whether the service was there at all. */
  hasBeenReached = false
  /** What ended it against the person's will; null while nothing has. */
  failure: string | null = null

  constructor(io: CliIo, output: Output, options: TailScreenOptions) {
    this.#io = io
    this.#output = output
    this.#options = options
    this.#status = new StatusLine(io)
    if (io.stderrIsTerminal) this.#arm()
  }

  /** Shows an event; false when there have been enough. */
  async show(event: TailEvent): Promise<boolean> {
    const { countMax, records } = this.#options
    if (this.#isOver || (countMax > 0 && this.#count >= countMax)) return false
    this.#count++
    const output = this.#output
    this.#status.hide()
    if (output.isJson) await output.jsonLine(tailJson(event))
    else {
      for (const line of tailLines(event, output, records)) await output.line(line)
    }
    if (countMax === 0 || this.#count < countMax) return true
    this.#options.enough.abort()
    return false
  }

  /** Everything up to this seq is finished. */
  reached(seq: number): void {
    this.#lastSeq = seq
  }

  /** A line on standard error. */
  say(text: string): void {
    this.#status.hide()
    this.#io.stderr(`skein: ${cleanText(text)}\n`)
  }

  state(state: SourceState): void {
    this.#state = state
    const { phase, service, attempt, lastClose } = state
    if (phase === 'live' || phase === 'replaying') this.hasBeenReached = true
    const key = `${phase} ${service} ${attempt}`
    if (key === this.#phase) return
    this.#phase = key
    const why = lastClose === null ? '' : `: ${lastClose.detail}`
    if (phase === 'connecting') this.say(`connecting to ${service}`)
    else if (phase === 'replaying') this.say(`connected to ${service}, catching up`)
    else if (phase === 'live') this.say(`live at ${service}`)
    else if (phase === 'reconnecting') {
      this.say(`reconnecting to ${service}, attempt ${attempt + 1}${why}`)
    } else if (phase === 'stalled') {
      // That the reader is slow is the reader's own doing: `| less`.
      if (state.stall === 'silent') this.say(`${service} answers no pings`)
    } else if (state.failure !== null) {
      this.failure = state.failure
      this.say(`stopped: ${state.failure}${why}`)
    }
  }

  notice(notice: ConsumerNotice | SourceNotice): void {
    if (notice.kind === 'refused') this.#refused++
    this.say(noticeText(notice))
  }

  /** The last words: how many, and how to go on. */
  farewell(file: PlaceFile | null): void {
    const took = formatDuration(systemClock.monotonicMs() - this.#startMs)
    const refused = this.#refused === 0 ? '' : `, ${formatCount(this.#refused)} refused`
    const next =
      file !== null
        ? `; the same command goes on from ${file.path}`
        : this.#lastSeq === null
          ? ''
          : `; --cursor ${this.#lastSeq} goes on from here`
    this.say(`${countOf(this.#count, 'event')} in ${took}${refused}${next}`)
  }

  /** Nothing is shown any more but what is said. */
  end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#status.hide()
  }

  [Symbol.dispose](): void {
    this.end()
  }

  #arm(): void {
    this.#timer = systemClock.after(REDRAW_MS, () => {
      this.#draw()
      if (!this.#isOver) this.#arm()
    })
  }

  #draw(): void {
    const nowMs = systemClock.monotonicMs()
    const rate = ((this.#count - this.#drawnCount) * 1_000) / Math.max(1, nowMs - this.#drawnMs)
    this.#drawnCount = this.#count
    this.#drawnMs = nowMs
    const { phase = 'starting', lagMs = null, service = '', marginMs = null } = this.#state ?? {}
    const parts = [
      phase,
      `${rate.toFixed(rate < 10 ? 1 : 0)}/s`,
      countOf(this.#count, 'event'),
      ...(lagMs === null ? [] : [`lag ${formatDuration(Math.max(0, lagMs))}`]),
      ...(marginMs === null ? [] : [`margin ${formatDuration(marginMs)}`]),
      ...(this.#refused === 0 ? [] : [`${formatCount(this.#refused)} refused`]),
      service,
    ]
    this.#status.show(parts.join('  '))
  }
}

/** A notice as a sentence. */
export function noticeText(notice: ConsumerNotice | SourceNotice): string {
  switch (notice.kind) {
    case 'future-cursor':
    case 'sequence-restarted':
      return `${notice.service} has another sequence than the cursor: ${notice.detail}`
    case 'outdated-cursor': {
      const to = notice.firstSeq === null ? 'what it still holds' : `seq ${notice.firstSeq}`
      return `gap: events after seq ${notice.afterSeq} are gone from ${notice.service}, on from ${to}`
    }
    case 'gap':
      return `gap: ${notice.detail}`
    case 'switched':
      return `switched from ${notice.from} to ${notice.to}: ${notice.cause}`
    case 'consumer-too-slow':
      return `${notice.service} says that we read too slowly: ${notice.detail}`
    case 'margin-low': {
      const left = formatDuration(notice.marginMs)
      return `what is not read within ${left} is lost: ${notice.service} drops it`
    }
    case 'error-frame':
      return `${notice.service} ended the stream: ${notice.error} ${notice.detail}`.trim()
    case 'refused':
      return `refused: ${placeText(notice.place.seq)}${notice.did}: ${notice.reason}: ${notice.detail}`
    case 'desynchronized':
      return `${notice.did} has a gap, its repository is fetched: ${notice.reason}: ${notice.detail}`
    case 'repaired':
      return `${notice.did} is whole again at rev ${notice.rev}: ${countOf(notice.changes, 'change')}`
    case 'repair-failed':
      return `${notice.did} could not be fetched: ${notice.code}: ${notice.detail}`
    case 'repo-gap':
      return `${notice.did} has a gap: rev ${notice.rev} does not follow rev ${notice.known}`
    case 'quarantined':
      return `${notice.did} waits: ${notice.error}`
    default:
      return (notice satisfies never as { readonly kind: string }).kind
  }
}

function placeText(seq: number): string {
  return `seq ${seq} of `
}
