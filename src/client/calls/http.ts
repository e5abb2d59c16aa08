/**
 * One request of a call, and again where that helps: leave of the governor, redirects with checks,
 * statuses and error bodies to CallErrors.
 */
import type { Network } from '../../identity/network.ts'
import { REDIRECTS_MAX, type StreamResponse } from '../../identity/http-client.ts'
import { type Clock, sleep, stayAwake } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { readErrorBody, statusError } from './answer-errors.ts'
import { callErrorOf } from './byte-stream.ts'
import { CallError, type CallTarget } from './call-error.ts'
import type { ClientLimits } from './client-options.ts'
import type { Answered, Governor } from './governor.ts'
import { parseRateLimit, parseRetryAfter } from './rate-headers.ts'
import { retryDelayMs, type RetryPolicy } from './retry.ts'
import type { Service } from './service.ts'

/** What every request of a client needs. */
export interface CallerParts {
  readonly service: Service
  readonly network: Network
  readonly governor: Governor
  readonly retry: RetryPolicy
  readonly limits: ClientLimits
  readonly headers: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly random: Random
  /** Ends everything. */
  readonly signal: AbortSignal | undefined
}

/** A call as it goes over HTTP. */
export interface HttpCall {
  readonly nsid: string
  readonly method: 'GET' | 'POST'
  /** The query, without its `?`. */
  readonly query: string
  /** JSON of a procedure. */
  readonly body?: string
  readonly accept: string
  readonly bytesMax: number
  readonly signal: AbortSignal | undefined
}

const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/**
 * Sends calls to one service. All of them may be repeated: queries change nothing, and the two
 * procedures of com.atproto.sync say the same when said twice.
 */
export class Caller {
  readonly parts: CallerParts

  constructor(parts: CallerParts) {
    this.parts = parts
  }

  target(nsid: string): CallTarget {
    return { nsid, service: this.parts.service.origin }
  }

  /**
   * Sends the call and hands the good answer to `read`, which may reject with a retryable
   * CallError to have it sent again. An answer that `read` leaves unread is its to discard.
   */
  async call<T>(call: HttpCall, read: (response: StreamResponse) => T | Promise<T>): Promise<T> {
    const { retry, random, clock } = this.parts
    const awake = stayAwake()
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          return await read(await this.#attempt(call))
        } catch (thrown) {
          const error = callErrorOf(thrown, this.target(call.nsid))
          if (!(error instanceof CallError)) throw error
          const delayMs = retryDelayMs(error, attempt, retry, random.next())
          if (delayMs === null) throw error
          await sleep(clock, delayMs, this.#signal(call))
          if (this.#signal(call)?.aborted === true) throw this.#aborted(call, error)
        }
      }
    } finally {
      awake.cancel()
    }
  }

  #signal(call: HttpCall): AbortSignal | undefined {
    const own = this.parts.signal
    if (own === undefined || call.signal === undefined) return own ?? call.signal
    return AbortSignal.any([own, call.signal])
  }

  #aborted(call: HttpCall, cause?: unknown): CallError {
    return new CallError('Aborted', this.target(call.nsid), 'aborted', { cause })
  }

  /** One request with its redirects; the answer is good. */
  async #attempt(call: HttpCall): Promise<StreamResponse> {
    const { service } = this.parts
    let url = `${service.origin}/xrpc/${call.nsid}${call.query === '' ? '' : `?${call.query}`}`
    for (let hop = 0; ; hop++) {
      const response = await this.#send(call, new URL(url))
      if (!REDIRECT_STATUSES.has(response.status)) return this.#good(call, response)
      response.discard()
      url = this.#redirect(call, response, hop)
    }
  }

  async #send(call: HttpCall, url: URL): Promise<StreamResponse> {
    const { governor, network, service, limits, headers } = this.parts
    const signal = this.#signal(call)
    const pass = await governor.enter(url.origin, signal)
    if ('why' in pass) {
      if (pass.why === 'aborted') throw this.#aborted(call)
      const message = pass.why === 'busy' ? 'too many requests wait' : 'is left alone for now'
      const { retryAfterMs } = pass
      throw new CallError('RateLimited', this.target(call.nsid), message, { retryAfterMs })
    }
    const isService = url.origin === service.origin
    let answered: Answered = { kind: 'failed' }
    try {
      const response = await (isService ? network.named : network.strangers).stream(url, {
        method: call.method,
        headers: {
          accept: call.accept,
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          // What was meant for the service (authorization) is not shown to another.
          ...(isService ? headers : {}),
        },
        ...(call.body === undefined ? {} : { body: call.body }),
        responseTimeoutMs: limits.responseTimeoutMs,
        idleTimeoutMs: limits.idleTimeoutMs,
        bytesMax: call.bytesMax,
        ...(signal === undefined ? {} : { signal }),
      })
      answered = this.#paceOf(response)
      return response
    } finally {
      pass.leave(answered)
    }
  }

  /** What an answer says to the governor. */
  #paceOf({ status, headers }: StreamResponse): Answered {
    const nowMs = this.parts.clock.nowMs()
    const retryAfterMs = parseRetryAfter(headers, nowMs)
    const limitMs = parseRateLimit(headers, nowMs)
    if (status === 429 || (status === 503 && retryAfterMs !== null)) {
      return { kind: 'throttled', retryAfterMs: retryAfterMs ?? limitMs }
    }
    const kind = status >= 500 ? 'failed' : 'good'
    return limitMs === null ? { kind } : { kind, pauseMs: limitMs }
  }

  async #good(call: HttpCall, response: StreamResponse): Promise<StreamResponse> {
    const { status, headers } = response
    const isGood = call.method === 'GET' ? status === 200 : status >= 200 && status < 300
    if (isGood) return response
    const { clock, limits } = this.parts
    const body = await readErrorBody(response, clock, limits.answerTimeoutMs)
    const nowMs = clock.nowMs()
    const retryAfterMs = parseRetryAfter(headers, nowMs) ?? parseRateLimit(headers, nowMs)
    throw statusError(this.target(call.nsid), status, body, retryAfterMs)
  }

  /** Where a redirect leads; whether that may be asked is for the network to say. */
  #redirect(call: HttpCall, response: StreamResponse, hop: number): string {
    const { status, headers } = response
    const refuse = (message: string): CallError =>
      new CallError('Blocked', this.target(call.nsid), message, { status })
    if (call.method !== 'GET') throw refuse('a procedure is redirected')
    if (hop >= REDIRECTS_MAX) throw refuse(`over ${REDIRECTS_MAX} redirects`)
    const location = headers.get('location')
    const next = location === undefined ? null : URL.parse(location, response.url)
    if (next === null || !/^https?:$/.test(next.protocol)) throw refuse('redirected nowhere')
    next.hash = ''
    return next.href
  }
}
