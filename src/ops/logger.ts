/**
 * Structured logging. Lines are for operators: what a stranger can cause at will (bad frames, bad
 * requests) is logged at debug and counted in a metric, so that nobody can fill a disk from
 * outside.
 */

import { pino, type DestinationStream, type Logger as Pino } from 'pino'

import { codeOf, messageOf } from '../lib/errors.ts'

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** Data of a line. `error` may be anything that was thrown; it is shown as message, code, stack. */
export type LogFields = Readonly<Record<string, unknown>>

/** Writes lines of the form `part: what happened` with fields. Never throws. */
export interface Logger {
  fatal(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  trace(message: string, fields?: LogFields): void
  /** Whether a line of `level` would be written: guards fields that cost something to build. */
  enabled(level: Exclude<LogLevel, 'silent'>): boolean
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  readonly level: LogLevel
  /** `json`: one object a line. `text`: one readable line, for a terminal. */
  readonly format: 'json' | 'text'
  /** Takes whole lines, each ending in a newline. */
  readonly write: (line: string) => void
}

/** Field names whose values never reach a log, at the top and one level down. */
const SECRET_FIELDS = ['authorization', 'cookie', 'password', 'privateKey', 'secret', 'token']

/**
 * A logger on pino; lines are written synchronously, so that none is lost when the process ends.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { write } = options
  const destination: DestinationStream =
    options.format === 'json' ? { write } : { write: (line) => write(formatLine(line)) }
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '(hidden)' },
    },
    destination,
  )
  return new PinoLogger(root)
}

class PinoLogger implements Logger {
  readonly #pino: Pino

  constructor(logger: Pino) {
    this.#pino = logger
  }

  fatal(message: string, fields?: LogFields): void {
    this.#pino.fatal(fields ?? {}, message)
  }
  error(message: string, fields?: LogFields): void {
    this.#pino.error(fields ?? {}, message)
  }
  warn(message: string, fields?: LogFields): void {
    this.#pino.warn(fields ?? {}, message)
  }
  info(message: string, fields?: LogFields): void {
    this.#pino.info(fields ?? {}, message)
  }
  debug(message: string, fields?: LogFields): void {
    this.#pino.debug(fields ?? {}, message)
  }
  trace(message: string, fields?: LogFields): void {
    this.#pino.trace(fields ?? {}, message)
  }
  enabled(level: Exclude<LogLevel, 'silent'>): boolean {
    return this.#pino.isLevelEnabled(level)
  }
  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(fields))
  }
}

/** A logger that writes nothing. */
export const silentLogger: Logger = createLogger({
  level: 'silent',
  format: 'json',
  write: () => {},
})

function describeError(thrown: unknown): LogFields {
  const code = codeOf(thrown)
  return {
    message: messageOf(thrown),
    ...(code === null ? {} : { code }),
    ...(thrown instanceof Error && thrown.stack !== undefined ? { stack: thrown.stack } : {}),
  }
}

/** `12:34:56.789 INFO  relay: started host=a`, from one JSON line of pino. */
function formatLine(line: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(line)
  const clock = String(time).slice(11, 23)
  const shown = Object.entries(fields).map(([key, value]) => `${key}=${formatField(value)}`)
  const head = `${clock} ${String(level).toUpperCase().padEnd(5)} ${escapeControls(String(msg))}`
  return `${[head, ...shown].join(' ')}\n`
}

function formatField(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value)
    ? value
    : escapeControls(JSON.stringify(value))
}

/** Keeps quoted text from outside from moving the terminal's cursor or faking a line. */
function escapeControls(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}
