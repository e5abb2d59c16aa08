/** Errors as a person sees them: one line that says what is wrong and what to do. */

import { ERROR_CODES, messageOf, SkeinError } from '../lib/errors.ts'
import { type CliIo, EXIT } from './io.ts'

const USAGE_CODES: ReadonlySet<string> = new Set(['OPTION_INVALID', 'OPTION_UNKNOWN'])

/**
 * Writes one line about `thrown` to standard error, with the stack below it when `debug` is set,
 * and returns the exit code that fits.
 */
export function reportError(io: CliIo, thrown: unknown, debug: 'stack' | 'line'): number {
  const message = messageOf(thrown).replaceAll(/\s*\n\s*/g, ' ')
  if (thrown instanceof SkeinError) io.stderr(`skein: ${message}. ${ERROR_CODES[thrown.code]}\n`)
  else io.stderr(`skein: unexpected error: ${message}. SKEIN_DEBUG=true shows where.\n`)
  if (debug === 'stack') io.stderr(`${stackOf(thrown)}\n`)
  return thrown instanceof SkeinError && USAGE_CODES.has(thrown.code) ? EXIT.usage : EXIT.failure
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const cause = thrown.cause === undefined ? '' : `\ncaused by: ${stackOf(thrown.cause)}`
  return `${thrown.stack ?? thrown.message}${cause}`
}
