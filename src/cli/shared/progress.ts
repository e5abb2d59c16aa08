/** How far a command is, in one line that is drawn over: on standard error, on terminals only. */

import { type Clock, systemClock } from '../../lib/clock.ts'
import type { CliIo } from '../io.ts'
import { cleanText, formatBytes, formatCount, formatDuration } from './output.ts'

/** Between two drawings, ms: faster is not seen. */
const REDRAW_MS = 100
const BAR_CHARS = 24
const CLEAR_LINE = '\r\u001b[2K'

export interface ProgressOptions {
  /** What is going on: `reading did:plc:…`. Cleaned. */
  readonly label: string
  /** What is counted: bytes, or things by the name of many: `records`. */
  readonly unit: string
  /** How many there will be; null when nobody knows. */
  readonly total?: number | null
  readonly clock?: Clock
}

/** A line of progress. Does nothing where standard error is no terminal. */
export class Progress implements Disposable {
  readonly #io: CliIo
  readonly #options: ProgressOptions
  readonly #clock: Clock
  readonly #startMs: number
  #total: number | null
  #done = 0
  #note = ''
  #drawnMs = -Infinity
  #isDrawn = false
  #isOver = false

  constructor(io: CliIo, options: ProgressOptions) {
    this.#io = io
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#startMs = this.#clock.monotonicMs()
    this.#total = options.total ?? null
  }

  /** Adds to what is done; `note` stands at the end of the line. */
  add(count: number, note?: string): void {
    this.update(this.#done + count, note)
  }

  update(done: number, note?: string): void {
    this.#done = done
    if (note !== undefined) this.#note = cleanText(note)
    const nowMs = this.#clock.monotonicMs()
    if (!this.#io.stderrIsTerminal || this.#isOver || nowMs - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = nowMs
    this.#draw(nowMs)
  }

  /** The total becomes known, or changes. */
  expect(total: number | null): void {
    this.#total = total
  }

  /** A line that stays, above the progress. Written where there is no terminal too. Cleaned. */
  say(text: string): void {
    this.#clear()
    this.#io.stderr(`skein: ${cleanText(text)}\n`)
  }

  /** Takes the line away. */
  end(): void {
    this.#isOver = true
    this.#clear()
  }

  [Symbol.dispose](): void {
    this.end()
  }

  #clear(): void {
    if (this.#isDrawn) this.#io.stderr(CLEAR_LINE)
    this.#isDrawn = false
  }

  #draw(nowMs: number): void {
    const line = progressLine({
      label: cleanText(this.#options.label),
      unit: this.#options.unit,
      done: this.#done,
      total: this.#total,
      elapsedMs: nowMs - this.#startMs,
      note: this.#note,
    })
    this.#io.stderr(`${CLEAR_LINE}${line.slice(0, Math.max(20, this.#io.columns - 1))}`)
    this.#isDrawn = true
  }
}

export interface ProgressState {
  readonly label: string
  readonly unit: string
  readonly done: number
  readonly total: number | null
  readonly elapsedMs: number
  readonly note: string
}

/** `label [#####-----]  52%  4.20 MB of 8.10 MB  1.20 MB/s  3.2 s left  note` */
export function progressLine(state: ProgressState): string {
  const { label, unit, done, total, elapsedMs, note } = state
  const show = (count: number): string =>
    unit === 'bytes' ? formatBytes(count) : `${formatCount(Math.round(count))} ${unit}`
  const perSecond = elapsedMs < 200 ? null : (done * 1_000) / elapsedMs
  const parts = [label]
  if (total !== null && total > 0) {
    const share = Math.min(1, done / total)
    const filled = Math.round(share * BAR_CHARS)
    const bar = '#'.repeat(filled) + '-'.repeat(BAR_CHARS - filled)
    const percent = `${Math.floor(share * 100)}%`.padStart(4)
    parts.push(`[${bar}] ${percent}`, `${show(done)} of ${show(total)}`)
  } else {
    parts.push(show(done))
  }
  if (perSecond !== null && perSecond > 0) {
    parts.push(unit === 'bytes' ? `${formatBytes(perSecond)}/s` : `${formatRate(perSecond)}/s`)
    if (total !== null && total > done) {
      parts.push(`${formatDuration(((total - done) * 1_000) / perSecond)} left`)
    }
  }
  if (note !== '') parts.push(note)
  return parts.join('  ')
}

function formatRate(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond))
}
