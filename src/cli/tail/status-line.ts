/** One line on standard error that is drawn over: on terminals only. */

import type { CliIo } from '../io.ts'
import { cleanText } from '../shared/output.ts'

const CLEAR_LINE = '\r\u001b[2K'

/** Hide it before anything else is written to the terminal. */
export class StatusLine {
  readonly #io: CliIo
  #isDrawn = false

  constructor(io: CliIo) {
    this.#io = io
  }

  /** Cleaned, and cut to the width of the terminal. */
  show(text: string): void {
    if (!this.#io.stderrIsTerminal) return
    const line = cleanText(text).slice(0, Math.max(20, this.#io.columns - 1))
    this.#io.stderr(`${CLEAR_LINE}${line}`)
    this.#isDrawn = true
  }

  hide(): void {
    if (this.#isDrawn) this.#io.stderr(CLEAR_LINE)
    this.#isDrawn = false
  }
}
