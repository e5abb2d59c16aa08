/** Answers that are no success: status and error body to a CallError. */
import type { StreamResponse } from '../../identity/http-client.ts'
import { concatBytes, fromUtf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { CallError, type CallErrorCode, type CallTarget, LEXICON_ERRORS } from './call-error.ts'

/** What an error body says; null for what it does not. */
export interface ErrorBody {
  readonly error: string | null
  readonly message: string | null
}

/** Largest error body that is looked at, bytes: two texts in JSON. */
const ERROR_BYTES_MAX = 16 * 1_024

/** Names beside those of the lexicons, as the reference implementation and XRPC have them. */
const CODE_OF_NAME: ReadonlyMap<string, CallErrorCode> = new Map([
  ...Object.keys(LEXICON_ERRORS).map((name) => [name, name as CallErrorCode] as const),
  ['AuthMissing', 'AuthenticationRequired'],
  ['AuthenticationRequired', 'AuthenticationRequired'],
  ['ExpiredToken', 'AuthenticationRequired'],
  ['InvalidToken', 'AuthenticationRequired'],
  ['AuthRequired', 'AuthenticationRequired'],
  ['Forbidden', 'Forbidden'],
  ['InvalidRequest', 'InvalidRequest'],
  ['MethodNotImplemented', 'MethodNotImplemented'],
  ['XRPCNotSupported', 'MethodNotImplemented'],
  ['NotFound', 'NotFound'],
  ['RateLimitExceeded', 'RateLimited'],
  ['InternalServerError', 'ServerError'],
  ['NotEnoughResources', 'ServerError'],
  ['UpstreamFailure', 'ServerError'],
  ['UpstreamTimeout', 'ServerError'],
] as const)

const CODE_OF_STATUS: ReadonlyMap<number, CallErrorCode> = new Map([
  [400, 'InvalidRequest'],
  [401, 'AuthenticationRequired'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [408, 'Timeout'],
  [429, 'RateLimited'],
  [501, 'MethodNotImplemented'],
] as const)

/**
 * Reads what there is of `{"error", "message"}`; a body that is none, or does not come within
 * `timeoutMs`, says nothing.
 */
export async function readErrorBody(
  response: StreamResponse,
  clock: Clock,
  timeoutMs: number,
): Promise<ErrorBody> {
  const timer = clock.after(timeoutMs, () => response.discard())
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for await (const piece of response.body) {
      length += piece.length
      if (length > ERROR_BYTES_MAX) return { error: null, message: null }
      parts.push(piece)
    }
    const parsed: unknown = JSON.parse(fromUtf8(concatBytes(parts)) ?? '')
    return { error: textOf(parsed, 'error'), message: textOf(parsed, 'message') }
  } catch {
    // The status is answer enough.
    return { error: null, message: null }
  } finally {
    timer.cancel()
  }
}

function textOf(value: unknown, name: string): string | null {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null
  const field = (value as Readonly<Record<string, unknown>>)[name]
  return typeof field === 'string' ? field : null
}

/**
 * The error for an answer with `status`. A 5xx or 429 is that whatever its body says: its sender
 * is in no state to speak of accounts. Below, names decide before statuses, since the reference
 * sends its own with 400.
 */
export function statusError(
  target: CallTarget,
  status: number,
  body: ErrorBody,
  retryAfterMs: number | null,
): CallError {
  const { error, message } = body
  const said = [error, message].filter((text) => text !== null).join(': ')
  const shown = `status ${status}${said === '' ? '' : `, ${said}`}`
  return new CallError(codeOf(status, error), target, shown, { status, error, retryAfterMs })
}

function codeOf(status: number, error: string | null): CallErrorCode {
  if (status >= 500 && status !== 501) return 'ServerError'
  if (status < 400) return 'InvalidResponse'
  const named = status === 429 || error === null ? undefined : CODE_OF_NAME.get(error)
  if (named !== undefined) return named
  const byStatus = CODE_OF_STATUS.get(status)
  // A name that is not known says more than that the request was bad.
  if (error !== null && (byStatus === undefined || byStatus === 'InvalidRequest')) {
    return 'OtherError'
  }
  return byStatus ?? 'InvalidRequest'
}
