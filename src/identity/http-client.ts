/** A request that strangers cause, its response, and the ways in which it fails. */

import { SkeinError } from '../lib/errors.ts'

/** Most redirects that a request may ask to follow; the specifications need none. */
export const REDIRECTS_MAX = 3

export interface SafeRequest {
  readonly method?: 'GET' | 'POST'
  /** Sent as they are, also to where a redirect leads unless that is another origin. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  readonly timeoutMs?: number
  readonly bytesMax?: number
  /** Redirects to follow, at most {@link REDIRECTS_MAX}; none by default. GET only. */
  readonly redirectsMax?: number
  readonly signal?: AbortSignal
}

/** A whole response, whatever its status. */
export interface SafeResponse {
  /** Where it came from, after redirects. */
  readonly url: string
  readonly status: number
  /** By lower-case name; repeated headers are joined with a comma. */
  readonly headers: ReadonlyMap<string, string>
  /** The body as sent; owned by the caller. */
  readonly bytes: Uint8Array
}

/** What the resolvers depend on; `SafeFetch` of ./safe-fetch.ts is the one that goes out. */
export interface HttpClient {
  fetch(url: string | URL, request?: SafeRequest): Promise<SafeResponse>
}

/** A request whose body is read as it comes. No redirect is followed: the caller judges it. */
export interface StreamRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** Until status and headers are there, ms. */
  readonly responseTimeoutMs: number
  /** Bounds of the body; see ./bounded-body.ts. */
  readonly idleTimeoutMs: number
  readonly bytesMax: number
  /** Ends the request, and the body for as long as it is read. */
  readonly signal?: AbortSignal
}

/** A response whose body is still to come, whatever its status. */
export interface StreamResponse {
  /** Where it came from. */
  readonly url: string
  readonly status: number
  /** By lower-case name; repeated headers are joined with a comma. */
  readonly headers: ReadonlyMap<string, string>
  /** Bytes that the body announces; null when it does not, or they cannot be compared. */
  readonly contentLength: number | null
  /**
   * To be read once, or given up with `discard`. Pieces are the reader's own. Fails with the
   * errors of `HttpClient`, `truncated` among them.
   */
  readonly body: AsyncIterable<Uint8Array>
  /** Gives the body up: its connection ends. Does nothing once it has been read. */
  readonly discard: () => void
}

/** What the client of a service depends on. Implemented for Node and for the web's `fetch`. */
export interface StreamClient {
  stream(url: string | URL, request: StreamRequest): Promise<StreamResponse>
}

/** The values of {@link RequestFailure}. */
export const REQUEST_FAILURES = [
  'blocked',
  'timeout',
  'too-large',
  'redirect',
  'encoding',
  'limited',
  'malformed',
  'network',
  'truncated',
  'aborted',
  'stopped',
] as const

/** Why a request failed: `fields.why` of the error. */
export type RequestFailure = (typeof REQUEST_FAILURES)[number]

/** Why a client rejected with `error`; null when the error is not a client's. */
export function requestFailureOf(error: unknown): RequestFailure | null {
  if (!(error instanceof SkeinError)) return null
  if (error.code === 'REQUEST_BLOCKED') return 'blocked'
  if (error.code !== 'REQUEST_FAILED') return null
  return REQUEST_FAILURES.find((why) => why === error.fields['why']) ?? 'network'
}

/** The error that a client rejects with. */
export function requestError(
  why: RequestFailure,
  message: string,
  fields: Readonly<Record<string, string | number>>,
  cause?: unknown,
): SkeinError {
  const code = why === 'blocked' ? 'REQUEST_BLOCKED' : 'REQUEST_FAILED'
  return new SkeinError(code, message, { why, ...fields }, cause)
}
