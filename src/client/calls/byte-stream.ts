/** The body of an answer as an async iterable, with what its headers say. */
import {
  requestFailureOf,
  type RequestFailure,
  type StreamResponse,
} from '../../identity/http-client.ts'
import { concatBytes } from '../../lib/bytes.ts'
import { messageOf, SkeinError } from '../../lib/errors.ts'
import { CallError, type CallErrorCode, type CallTarget } from './call-error.ts'

/** Looks at a body as it passes. Both throw a CallError on what does not hold. */
export interface ByteCheck {
  piece(bytes: Uint8Array): void
  end(): void
}

const CODE_OF_FAILURE: Readonly<Record<RequestFailure, CallErrorCode>> = {
  blocked: 'Blocked',
  timeout: 'Timeout',
  'too-large': 'TooLarge',
  redirect: 'Blocked',
  encoding: 'InvalidResponse',
  limited: 'RateLimited',
  malformed: 'InvalidResponse',
  network: 'Unreachable',
  truncated: 'Truncated',
  aborted: 'Aborted',
  stopped: 'Aborted',
}

/** The CallError for what a network client rejected with; anything else is given back. */
export function callErrorOf(error: unknown, target: CallTarget): unknown {
  const why = requestFailureOf(error)
  if (why === null || !(error instanceof SkeinError)) return error
  const retryAfter = error.fields['retryAfterMs']
  return new CallError(CODE_OF_FAILURE[why], target, messageOf(error), {
    retryAfterMs: typeof retryAfter === 'number' ? retryAfter : null,
    cause: error,
  })
}

/**
 * The bytes of an answer, to be iterated once: pieces come as the service sends them, and nothing
 * is read that is not asked for. Leaving the loop ends the connection, as `cancel` does; a stream
 * that is neither read nor cancelled keeps it.
 *
 * Iterating throws a CallError: Truncated when the body ends before its end, Timeout when it falls
 * silent, TooLarge, Aborted, and what the call's own checks find.
 */
export class ByteStream implements AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Where the answer came from, after redirects. */
  readonly url: string
  /** As sent, in lower case, without parameters; null when there is none. */
  readonly contentType: string | null
  /** What the service announces; null when it does not. Checked against what comes. */
  readonly contentLength: number | null
  readonly #response: StreamResponse
  readonly #target: CallTarget
  readonly #check: ByteCheck | null

  constructor(response: StreamResponse, target: CallTarget, check: ByteCheck | null) {
    this.url = response.url
    this.contentType = mediaTypeOf(response.headers)
    this.contentLength = response.contentLength
    this.#response = response
    this.#target = target
    this.#check = check
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of this.#response.body) {
        this.#check?.piece(piece)
        yield piece
      }
      this.#check?.end()
    } catch (error) {
      throw callErrorOf(error, this.#target)
    }
  }

  /** The whole body; within the limit of the call, since that bounds what comes. */
  async bytes(): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const piece of this) parts.push(piece)
    return concatBytes(parts)
  }

  /** Gives up what has not been read. */
  cancel(): void {
    this.#response.discard()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cancel()
    return Promise.resolve()
  }
}

/** The type of a body without its parameters, in lower case. */
export function mediaTypeOf(headers: ReadonlyMap<string, string>): string | null {
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  return type === undefined || type === '' ? null : type.slice(0, 100)
}
