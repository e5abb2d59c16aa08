/** Errors as a person sees them: one line that says what is wrong and what to do. */

import { CALL_ERRORS, CallError, LEXICON_ERRORS } from '../../client/calls/call-error.ts'
import { codeOf, ERROR_CODES, messageOf, SkeinError } from '../../lib/errors.ts'
import { type CliIo, EXIT } from '../io.ts'
import { cleanText, jsonText } from './output.ts'

const USAGE_CODES: ReadonlySet<string> = new Set([
  'OPTION_INVALID',
  'OPTION_UNKNOWN',
  'SYNTAX_INVALID',
])
/** What is wrong with a repository that asking again, or another limit, may mend. */
const PASSING_FAULTS: ReadonlySet<unknown> = new Set(['too-large', 'unverifiable'])

/**
 * Writes one line about `thrown` to standard error, with the stack below it when `debug` is set,
 * and returns the exit code that fits. As JSON it is one object of `error`, `message` and `exit`.
 */
export function reportError(
  io: CliIo,
  thrown: unknown,
  debug: 'stack' | 'line',
  form: 'text' | 'json' = 'text',
): number {
  const exit = exitCodeOf(thrown)
  const message = cleanText(messageOf(thrown).replaceAll(/\s*\n\s*/g, ' '))
  if (form === 'json') io.stderr(`${jsonText({ error: nameOf(thrown), message, exit })}\n`)
  else io.stderr(`skein: ${sentenceOf(thrown, message)}\n`)
  if (debug === 'stack') io.stderr(`${stackOf(thrown).split('\n').map(cleanText).join('\n')}\n`)
  return exit
}

/** See {@link EXIT}. */
export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof CallError) return exitCodeOfCall(thrown)
  if (!(thrown instanceof SkeinError)) return EXIT.failure
  if (USAGE_CODES.has(thrown.code)) return EXIT.usage
  if (thrown.code === 'NOT_THERE') return EXIT.absent
  if (thrown.code !== 'REPO_UNVERIFIED') return EXIT.failure
  if (thrown.fields['reason'] === 'identity-missing') return EXIT.absent
  return PASSING_FAULTS.has(thrown.fields['fault']) ? EXIT.failure : EXIT.unverified
}

function exitCodeOfCall({ code, kind, reason, status }: CallError): number {
  if (code === 'Unverified') {
    if (reason === 'identity-missing') return EXIT.absent
    return reason?.startsWith('identity-') === true ? EXIT.failure : EXIT.unverified
  }
  if (kind === 'terminal') return EXIT.absent
  // Refused before it was sent.
  return code === 'InvalidRequest' && status === null ? EXIT.usage : EXIT.failure
}

/** The stable name of what went wrong. */
function nameOf(thrown: unknown): string {
  return thrown instanceof CallError ? thrown.code : (codeOf(thrown) ?? 'Unexpected')
}

function sentenceOf(thrown: unknown, message: string): string {
  if (thrown instanceof SkeinError) {
    const next = thrown.fields['fault'] === 'unverifiable' ? ` ${KEY_STEP}` : ''
    return `${message}. ${ERROR_CODES[thrown.code]}${next}`
  }
  if (thrown instanceof CallError) return `${message}. ${adviceOf(thrown)}`
  return `unexpected error: ${message}. SKEIN_DEBUG=true shows where.`
}

const TEXTS: Readonly<Record<string, string>> = { ...LEXICON_ERRORS, ...CALL_ERRORS }

/** What the code means, and what a person can do. */
function adviceOf({ code, error, reason, retryAfterMs }: CallError): string {
  const named = code === 'OtherError' && error !== null ? ` It calls it ${cleanText(error)}.` : ''
  const why = reason === null ? '' : ` Reason: ${reason}.`
  const wait = retryAfterMs === null ? '' : ` Try again in ${Math.ceil(retryAfterMs / 1_000)} s.`
  const next = NEXT_STEPS[code] === undefined ? '' : ` ${NEXT_STEPS[code]}`
  return `${TEXTS[code] ?? code}${named}${why}${wait}${next}`
}

const KEY_STEP = 'A CAR file can be read with --key, or with --skip-signature.'

const NEXT_STEPS: Readonly<Partial<Record<string, string>>> = {
  Blocked: 'In a closed network --allow-private-network permits it.',
  InvalidResponse: 'Is this the address of a host, relay or mirror?',
  MethodNotImplemented: 'Ask another service.',
  NotFound: 'Is this the address of a host, relay or mirror?',
  Timeout: 'Try again, or wait longer with --timeout.',
  TooLarge: 'Nothing is read beyond these limits.',
  Truncated: 'Try again.',
  Unreachable: 'Check the address and the network: skein doctor walks the way there.',
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const cause = thrown.cause === undefined ? '' : `\ncaused by: ${stackOf(thrown.cause)}`
  return `${thrown.stack ?? thrown.message}${cause}`
}
