/**
 * What the end of a connection, or of an attempt at one, means. Pure; total over close codes, HTTP
 * answers and error frames, so that each leads to a defined next state.
 */
import type { SubscriberClose } from '../../stream/subscriber.ts'
import type { CloseKind, SourceClose } from './source-types.ts'

/** Error names that a peer may put into the reason of its close frame instead of an error frame. */
const ERROR_NAMES: ReadonlySet<string> = new Set([
  'FutureCursor',
  'ConsumerTooSlow',
  'InvalidRequest',
])

/**
 * The error that ended a connection: what an error frame said, else the close frame's reason where
 * that names one.
 */
export function errorOf(close: SubscriberClose, errorFrame: string | null): string | null {
  if (errorFrame !== null) return errorFrame
  return ERROR_NAMES.has(close.reason) ? close.reason : null
}

/**
 * Judges an end.
 *
 * @param errorFrame Name in an error frame that came before it; null when there was none.
 * @param atMs Wall time.
 */
export function judgeClose(
  close: SubscriberClose,
  errorFrame: string | null,
  atMs: number,
): SourceClose {
  const error = errorOf(close, errorFrame)
  return { kind: kindOf(close, error), detail: detailOf(close, error), close, atMs }
}

function kindOf(close: SubscriberClose, error: string | null): CloseKind {
  if (close.renewal !== undefined) return 'renewed'
  // What this side found is certain; codes are what a stranger says.
  if (close.cause === 'frame-too-large') return 'frame-too-large'
  if (close.cause !== null) return 'lost'
  if (close.httpStatus !== null) return kindOfStatus(close.httpStatus)
  if (error !== null) return kindOfError(error)
  const kind = kindOfCode(close.code)
  // Who has sent messages did have us: it is for another cause that it ends the connection.
  return kind === 'refused' && close.hadProgress ? 'failed' : kind
}

/** An answer instead of an upgrade. */
function kindOfStatus(status: number): CloseKind {
  if (status === 429 || status === 503) return 'overloaded'
  if (status === 408 || status === 425) return 'lost'
  // Gateways say so of a service behind them that is being restarted.
  if (status === 502 || status === 504) return 'lost'
  if (status === 501 || status === 505) return 'refused'
  if (status >= 500) return 'failed'
  // 200 without an upgrade, redirects (which are not followed), 4xx: no event stream for us here.
  return 'refused'
}

function kindOfError(error: string): CloseKind {
  if (error === 'FutureCursor' || error === 'ConsumerTooSlow') return 'ended'
  if (error === 'RateLimitExceeded') return 'overloaded'
  return error === 'InvalidRequest' ? 'refused' : 'failed'
}

/** Codes of RFC 6455, section 7.4, and of the IANA registry. */
function kindOfCode(code: number): CloseKind {
  switch (code) {
    case 1000: // normal closure
    case 1001: // going away
    case 1012: // service restart
      return 'ended'
    case 1005: // no code
    case 1006: // no close frame
    case 1014: // bad gateway
      return 'lost'
    case 1013: // try again later
      return 'overloaded'
    case 1008: // policy violation
    case 1010: // mandatory extension
    case 1015: // TLS
      return 'refused'
    default:
      // 3xxx and 4xxx belong to libraries and applications: nothing that this side knows to mend.
      return code >= 3_000 ? 'refused' : 'failed'
  }
}

function detailOf(close: SubscriberClose, error: string | null): string {
  if (close.renewal !== undefined) return close.renewal
  if (close.cause !== null) return close.cause
  if (close.httpStatus !== null) return `HTTP ${close.httpStatus}`
  if (error !== null) return error
  return close.reason === '' ? `closed ${close.code}` : `closed ${close.code}: ${close.reason}`
}

/** Codes that a peer's broken or unreadable message leads to: the next connection may meet it. */
const MESSAGE_CODES: ReadonlySet<number> = new Set([1002, 1003, 1007, 1009])

/** Whether one message may have ended the connection, so that the same may end the next. */
export function mayBeOneMessage(close: SubscriberClose): boolean {
  return close.cause === null && close.httpStatus === null && MESSAGE_CODES.has(close.code)
}
