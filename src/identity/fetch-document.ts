/** One request for one DID document: what did:plc and did:web have in common. */

import { SkeinError, messageOf } from '../lib/errors.ts'
import { parseDidDocument } from './did-document.ts'
import type { DidDocument } from './did-document.ts'
import { requestFailureOf } from './http-client.ts'
import type { HttpClient, SafeResponse } from './http-client.ts'

/** Largest DID document, bytes: did:plc limits an operation to 7,500, did:web names no bound. */
export const DID_DOCUMENT_BYTES_MAX: number = 256 * 1_024
/** The longest that a `Retry-After` is obeyed, ms: no slip of theirs silences us for hours. */
const RETRY_AFTER_MS_MAX = 5 * 60_000

const ACCEPT = 'application/did+ld+json, application/did+json;q=0.9, application/json;q=0.8'

/** The answer of one server. `fault` says whether the server or the document is to blame. */
export type DocumentAnswer =
  | { readonly kind: 'found'; readonly document: DidDocument }
  | { readonly kind: 'missing'; readonly detail: string }
  | {
      readonly kind: 'failed'
      /** `limited` is our own bound, `server` a network error or status, `document` its content. */
      readonly fault: 'server' | 'document' | 'limited'
      readonly detail: string
      /** When the server, or our own limit, allows another request. */
      readonly retryAfterMs: number | null
    }

export interface DocumentRequest {
  readonly http: HttpClient
  readonly url: string
  readonly did: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Clock time, for a `Retry-After` that is a date. */
  readonly nowMs: number
}

/** Asks once, follows no redirect, and never rejects. 404 and 410 are `missing`. */
export async function fetchDocument(request: DocumentRequest): Promise<DocumentAnswer> {
  let response: SafeResponse
  try {
    response = await request.http.fetch(request.url, {
      headers: { accept: ACCEPT },
      timeoutMs: request.timeoutMs,
      bytesMax: DID_DOCUMENT_BYTES_MAX,
      redirectsMax: 0,
      signal: request.signal,
    })
  } catch (error) {
    return answerOfError(error)
  }
  const { status } = response
  if (status === 404 || status === 410) {
    return { kind: 'missing', detail: status === 404 ? 'not found' : 'tombstoned' }
  }
  if (status !== 200) {
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), request.nowMs)
    return { kind: 'failed', fault: 'server', detail: `status ${status}`, retryAfterMs }
  }
  const parsed = parseDidDocument(request.did, response.bytes)
  if (parsed.ok) return { kind: 'found', document: parsed.value }
  return { kind: 'failed', fault: 'document', detail: parsed.detail, retryAfterMs: null }
}

function answerOfError(error: unknown): DocumentAnswer {
  const why = requestFailureOf(error)
  const retryAfter = error instanceof SkeinError ? error.fields['retryAfterMs'] : null
  const retryAfterMs = typeof retryAfter === 'number' ? retryAfter : null
  const detail = why ?? messageOf(error)
  if (why === 'limited') return { kind: 'failed', fault: 'limited', detail, retryAfterMs }
  const isContent = why === 'too-large' || why === 'redirect' || why === 'encoding'
  return { kind: 'failed', fault: isContent ? 'document' : 'server', detail, retryAfterMs }
}

/** Seconds or a date (RFC 9110, 10.2.3) as ms from now, within a cap; null when it is neither. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), RETRY_AFTER_MS_MAX)
}
