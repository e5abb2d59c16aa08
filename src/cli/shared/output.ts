/**
 * What a command prints: text for people or JSON for programs, and never a control character that
 * came from the network.
 */

import type { CliIo } from '../io.ts'

/** What moves the cursor, changes colours, or turns the direction of text around. */
// oxlint-disable-next-line no-control-regex -- these are what has to be found
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** `text` with everything that a terminal would act on shown as `\xNN` or `\uNNNN`. */
export function cleanText(text: string): string {
  return text.replaceAll(UNSAFE, (unsafe) => {
    const code = unsafe.charCodeAt(0)
    if (code === 0x09) return ' '
    return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`
  })
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}

/** JSON of `value`, harmless to a terminal; the same value when it is parsed. */
export function jsonText(value: unknown, indent = 0): string {
  const text = JSON.stringify(value, null, indent)
  // Line feeds of the indentation stay; all others are already escaped.
  return text.replaceAll(UNSAFE, (unsafe) =>
    unsafe === '\n' ? unsafe : `\\u${hex(unsafe.charCodeAt(0), 4)}`,
  )
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `812 B`, `4.2 MB`: decimal units, three digits. */
export function formatBytes(bytes: number): string {
  let amount = bytes
  let unit = 0
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1_000
    unit++
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : amount >= 9.995 ? 1 : 2
  return `${amount.toFixed(digits)} ${UNITS[unit] ?? ''}`
}

/** `850 ms`, `4.2 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  const pairs = [
    [86_400, 'd', 3_600, 'h'],
    [3_600, 'h', 60, 'm'],
    [60, 'm', 1, 's'],
  ] as const
  for (const [large, largeName, small, smallName] of pairs) {
    if (seconds < large) continue
    const rest = Math.floor((seconds % large) / small)
    const whole = `${Math.floor(seconds / large)} ${largeName}`
    return rest === 0 ? whole : `${whole} ${rest} ${smallName}`
  }
  return `${seconds} s`
}

/** `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** `1 record`, `2 records`. */
export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`
}

export interface TableColumn {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** Lines of a table whose columns are as wide as their widest cell; the last one is not padded. */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
): string[] {
  const head = columns.map(({ title }) => title)
  const cells = rows.map((row) => columns.map((_, i) => cleanText(row[i] ?? '')))
  const widths = columns.map((_, i) =>
    [head, ...cells].reduce((widest, row) => Math.max(widest, row[i]?.length ?? 0), 0),
  )
  const lineOf = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const width = widths[i] ?? 0
        if (columns[i]?.align === 'right') return cell.padStart(width)
        return i === columns.length - 1 ? cell : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [head, ...cells].map((row) => lineOf(row))
}

/** Escape sequences by the name of what they show. */
const STYLES = {
  bold: ['\u001b[1m', '\u001b[22m'],
  dim: ['\u001b[2m', '\u001b[22m'],
  red: ['\u001b[31m', '\u001b[39m'],
  green: ['\u001b[32m', '\u001b[39m'],
  yellow: ['\u001b[33m', '\u001b[39m'],
} as const

export type StyleName = keyof typeof STYLES

/** Standard output of one command. */
export class Output {
  /** `json` when the person asked for it. */
  readonly form: 'text' | 'json'
  readonly #io: CliIo
  readonly #hasColours: boolean

  constructor(io: CliIo, form: 'text' | 'json') {
    this.form = form
    this.#io = io
    const { NO_COLOR: noColour = '', TERM: term } = io.environment
    this.#hasColours = io.stdoutIsTerminal && noColour === '' && term !== 'dumb'
  }

  get isJson(): boolean {
    return this.form === 'json'
  }

  /** `text` in a style where the terminal has styles. Clean it first: this does not. */
  style(name: StyleName, text: string): string {
    if (!this.#hasColours) return text
    const [begin, end] = STYLES[name]
    return `${begin}${text}${end}`
  }

  /** One line as it is; clean what came from the network with {@link cleanText}. */
  line(text = ''): Promise<void> {
    return this.#io.write(`${text}\n`)
  }

  /** Names and values below one another, cleaned; those whose value is null are left out. */
  async facts(facts: readonly (readonly [string, string | number | null])[]): Promise<void> {
    const shown = facts
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [cleanText(name), value] as const)
    const width = shown.reduce((widest, [name]) => Math.max(widest, name.length), 0)
    for (const [name, value] of shown) {
      const text = typeof value === 'number' ? formatCount(value) : cleanText(value ?? '')
      await this.line(`${this.style('dim', name.padEnd(width))}  ${text}`)
    }
  }

  /** A table with a head in bold. Cells are cleaned. */
  async table(
    columns: readonly TableColumn[],
    rows: readonly (readonly string[])[],
  ): Promise<void> {
    const [head = '', ...lines] = tableLines(columns, rows)
    await this.line(this.style('bold', head))
    for (const line of lines) await this.line(line)
  }

  /** The one value of a command: indented on a terminal, else one line. */
  json(value: unknown): Promise<void> {
    return this.line(jsonText(value, this.#io.stdoutIsTerminal ? 2 : 0))
  }

  /** One of many values, in one line. */
  jsonLine(value: unknown): Promise<void> {
    return this.line(jsonText(value))
  }

  /** Bytes as they are. */
  bytes(bytes: Uint8Array): Promise<void> {
    return this.#io.write(bytes)
  }

  /** A line for a person on standard error, cleaned: results stay alone on standard output. */
  remark(text: string): void {
    this.#io.stderr(`skein: ${cleanText(text)}\n`)
  }
}
