/**
 * How a call ends when it does not end well: one error with a code that tells what happened and
 * what may be done about it.
 */
import type { InvalidReason, UnverifiableReason } from '../../lib/reasons.ts'

/**
 * Every error name that the lexicons of com.atproto.sync declare, with what it says. The schemas of
 * `@atcute/atproto` leave these names out, so they stand here.
 */
export const LEXICON_ERRORS = {
  BlobNotFound: 'The account has no such blob here.',
  BlockNotFound: 'A block that was asked for is not there.',
  ConsumerTooSlow: 'The subscriber did not keep up with the stream.',
  FutureCursor: 'The cursor is after the newest event of the stream.',
  HeadNotFound: 'The repository, or its head, is not there.',
  HostBanned: 'The relay does not take this host.',
  HostNotFound: 'The relay does not know this host.',
  RecordNotFound: 'The repository holds no such record.',
  RepoDeactivated: 'The account has been deactivated by its owner.',
  RepoNotFound: 'The account has no repository here.',
  RepoSuspended: 'The account has been suspended by its host.',
  RepoTakendown: 'The account has been taken down.',
} as const

/** An error name that a lexicon of com.atproto.sync declares. */
export type LexiconErrorName = keyof typeof LEXICON_ERRORS

/** Every other code, with what it says. */
export const CALL_ERRORS = {
  Aborted: 'The signal that was given aborted.',
  AuthenticationRequired: 'The service wants to know who asks (401).',
  Blocked: 'An address, or where a redirect leads, is one that must not be asked.',
  Forbidden: 'The service does not answer this to who asks (403).',
  InvalidRequest: 'Parameters do not fit the lexicon, or the service says so (400).',
  InvalidResponse: 'The answer is HTML, of another type, against its schema, or garbage.',
  MethodNotImplemented: 'The service does not have this call (501, or by that name).',
  NotFound: 'There is nothing at this address (404 without a name from the lexicon).',
  OtherError: 'The service names an error that no lexicon declares: see `error`.',
  RateLimited: 'Too many requests (429): see `retryAfterMs`.',
  ServerError: 'The service, or what stands before it, failed (5xx).',
  Timeout: 'No answer, or no more of it, came in time.',
  TooLarge: 'The answer, or what must be held to verify it, is over the limit.',
  Truncated: 'The answer ended before its end.',
  Unreachable: 'No connection could be made, or it broke before an answer.',
  Unverified: 'A signature, proof, CID or tree does not hold, or has no key: see `reason`.',
} as const

/** What a {@link CallError} is told by. A switch over it sees every case. */
export type CallErrorCode = LexiconErrorName | keyof typeof CALL_ERRORS

/**
 * What to do: `terminal`, the account or thing is not there, and asking again says the same until
 * something changes; `retryable`, ask again; `refused`, our request or their answer is wrong, and
 * asking again does not help.
 */
export type CallErrorKind = 'terminal' | 'retryable' | 'refused'

const TERMINAL: ReadonlySet<CallErrorCode> = new Set([
  'BlobNotFound',
  'BlockNotFound',
  'HeadNotFound',
  'HostBanned',
  'HostNotFound',
  'RecordNotFound',
  'RepoDeactivated',
  'RepoNotFound',
  'RepoSuspended',
  'RepoTakendown',
])

const RETRYABLE: ReadonlySet<CallErrorCode> = new Set([
  'ConsumerTooSlow',
  'RateLimited',
  'ServerError',
  'Timeout',
  'Truncated',
  'Unreachable',
])

/** Longest text of a service that an error keeps, in UTF-16 units. */
const ERROR_CHARS_MAX = 128
const MESSAGE_CHARS_MAX = 256
/** What a terminal would act on: control characters, and what turns the direction of text. */
// oxlint-disable-next-line no-control-regex -- these are what has to be found
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Of which call an error is. */
export interface CallTarget {
  /** `com.atproto.sync.getRepo`. */
  readonly nsid: string
  /** Origin of the service that was asked: `https://relay.example`. */
  readonly service: string
}

/** What is known of a failure beside its code. Everything defaults to null. */
export interface CallErrorDetails {
  readonly status?: number | null
  /** The error's name as the service sent it. */
  readonly error?: string | null
  readonly reason?: InvalidReason | UnverifiableReason | null
  readonly retryAfterMs?: number | null
  readonly cause?: unknown
}

/**
 * The only error that a call rejects with, and that an iteration of its answer throws. The message
 * reads `<nsid> at <service>: <what>`; what a service sent is cut to a bounded length there, and
 * control characters in it stand as `\uNNNN`, since messages end up on terminals and in logs.
 */
export class CallError extends Error {
  override readonly name = 'CallError'
  readonly code: CallErrorCode
  readonly kind: CallErrorKind
  readonly nsid: string
  /** Origin of the service that was asked. */
  readonly service: string
  /** HTTP status of the answer; null when there was none. */
  readonly status: number | null
  /** The error's name as the service sent it, cut and otherwise as it is; null for none. */
  readonly error: string | null
  /** Why something did not verify; null when that is not the matter. */
  readonly reason: InvalidReason | UnverifiableReason | null
  /** How long the service asks to be left alone, ms; null when it does not say. */
  readonly retryAfterMs: number | null

  constructor(
    code: CallErrorCode,
    target: CallTarget,
    message: string,
    details: CallErrorDetails = {},
  ) {
    const { status = null, error = null, reason = null, retryAfterMs = null, cause } = details
    const shown = `${target.nsid} at ${target.service}: ${harmless(message)}`
    super(shown, cause === undefined ? undefined : { cause })
    this.code = code
    this.kind = kindOf(code, reason)
    this.nsid = target.nsid
    this.service = target.service
    this.status = status
    this.error = error?.slice(0, ERROR_CHARS_MAX) ?? null
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

function harmless(message: string): string {
  return message
    .slice(0, MESSAGE_CHARS_MAX)
    .replaceAll(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function kindOf(code: CallErrorCode, reason: string | null): CallErrorKind {
  if (TERMINAL.has(code)) return 'terminal'
  // That the directory gave no answer says nothing about what was to be verified.
  if (code === 'Unverified' && reason === 'identity-unresolved') return 'retryable'
  return RETRYABLE.has(code) ? 'retryable' : 'refused'
}

/** True for a {@link CallError} of one of `codes`, or of any when none is given. */
export function isCallError<C extends CallErrorCode = CallErrorCode>(
  error: unknown,
  ...codes: readonly C[]
): error is CallError & { readonly code: C } {
  if (!(error instanceof CallError)) return false
  const { code } = error
  return codes.length === 0 || codes.some((wanted) => wanted === code)
}
