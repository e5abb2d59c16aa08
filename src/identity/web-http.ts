/**
 * Outbound HTTP on the web's `fetch`: for browsers, Deno, Bun and workers, and for whoever brings a
 * `fetch` of their own.
 *
 * Where requests may go is decided by the URL alone, since names cannot be looked up here. A
 * browser shows no redirect before it has followed it: there its own rules stand in.
 */

import type { Clock } from '../lib/clock.ts'
import { systemClock } from '../lib/clock.ts'
import { concatBytes } from '../lib/bytes.ts'
import { createDeadline, type Deadline } from '../lib/deadline.ts'
import { messageOf, SkeinError } from '../lib/errors.ts'
import { BoundedBody } from './bounded-body.ts'
import { parseHostname } from './hostname.ts'
import { REDIRECTS_MAX, requestError } from './http-client.ts'
import type { HttpClient, SafeRequest, SafeResponse } from './http-client.ts'
import type { StreamClient, StreamRequest, StreamResponse } from './http-client.ts'

export interface WebHttpOptions {
  /** Default the runtime's. */
  readonly fetch?: typeof fetch
  /** Permits plain HTTP, ports, addresses and `localhost`. */
  readonly allowPrivateNetwork?: boolean
  /**
   * Whether an answer is taken that came over such an address after the runtime had followed a
   * redirect by itself; default as for requests.
   */
  readonly allowPrivateRedirects?: boolean
  readonly clock?: Clock
}

/** What applies to `fetch` unless the request says otherwise. */
const TIMEOUT_MS = 10_000
const RESPONSE_BYTES_MAX = 512 * 1_024
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** What a page shares with whom it asks unless it is told not to. */
const BROWSER_OPTIONS: RequestInit = {
  credentials: 'omit',
  referrerPolicy: 'no-referrer',
  cache: 'no-store',
}
/** Workers have no such things, and some throw when they are named. */
const KNOWS_BROWSER_OPTIONS: boolean = 'credentials' in Request.prototype

/** Holds no sockets: those are the runtime's. */
export class WebHttp implements HttpClient, StreamClient {
  readonly #fetch: typeof fetch
  readonly #allowPrivateNetwork: boolean
  readonly #allowPrivateRedirects: boolean
  readonly #clock: Clock
  /** The runtime hides redirects, so that they have to be followed to be seen. */
  #hidesRedirects = false

  constructor(options: WebHttpOptions = {}) {
    this.#fetch = options.fetch ?? ((...request) => globalThis.fetch(...request))
    this.#allowPrivateNetwork = options.allowPrivateNetwork === true
    this.#allowPrivateRedirects = options.allowPrivateRedirects ?? this.#allowPrivateNetwork
    this.#clock = options.clock ?? systemClock
  }

  /** Reads the whole response. Rejects with the errors of {@link HttpClient}. */
  async fetch(url: string | URL, request: SafeRequest = {}): Promise<SafeResponse> {
    const { timeoutMs = TIMEOUT_MS, bytesMax = RESPONSE_BYTES_MAX, signal } = request
    const isGet = (request.method ?? 'GET') === 'GET'
    const redirectsMax = isGet ? Math.min(request.redirectsMax ?? 0, REDIRECTS_MAX) : 0
    const deadline = createDeadline(this.#clock, timeoutMs, [signal])
    try {
      return await this.#follow(String(url), redirectsMax, {
        ...request,
        signal: deadline.signal,
        bytesMax,
        // The deadline covers both.
        responseTimeoutMs: timeoutMs * 2,
        idleTimeoutMs: timeoutMs * 2,
      })
    } catch (error) {
      if (!deadline.hasExpired()) throw error
      throw requestError('timeout', 'request: timed out', {}, error)
    } finally {
      deadline.clear()
    }
  }

  /** Gives the response when its head is there. See `StreamClient`. */
  async stream(url: string | URL, request: StreamRequest): Promise<StreamResponse> {
    const target = checked(url, this.#allowPrivateNetwork)
    const { host } = target
    const { responseTimeoutMs, signal } = request
    const end = new AbortController()
    const deadline = createDeadline(this.#clock, responseTimeoutMs, [signal, end.signal])
    try {
      const response = await this.#send(target, request, deadline.signal)
      deadline.stopTimer()
      return this.#answer(response, request, { target, end, deadline })
    } catch (error) {
      end.abort()
      deadline.clear()
      if (error instanceof SkeinError) throw error
      if (deadline.hasExpired()) {
        throw requestError('timeout', 'request: timed out', { host }, error)
      }
      if (signal?.aborted === true) {
        throw requestError('aborted', 'request: aborted', { host }, error)
      }
      throw requestError('network', `request: failed: ${messageOf(error)}`, { host }, error)
    }
  }

  async #follow(
    start: string,
    redirectsMax: number,
    request: StreamRequest,
  ): Promise<SafeResponse> {
    let next = start
    let { headers = {} } = request
    for (let hop = 0; ; hop++) {
      const response = await this.stream(next, { ...request, headers })
      const { status, url, headers: answered } = response
      if (!REDIRECT_STATUSES.has(status)) {
        const parts: Uint8Array[] = []
        for await (const piece of response.body) parts.push(piece)
        return { url, status, headers: answered, bytes: concatBytes(parts) }
      }
      response.discard()
      const { host, origin } = new URL(url)
      if (hop >= redirectsMax) throw requestError('redirect', 'request: redirected', { host })
      const target = URL.parse(answered.get('location') ?? ':', url)
      if (target === null) throw requestError('redirect', 'request: redirected nowhere', { host })
      if (target.origin !== origin) headers = {}
      next = target.href
    }
  }

  /** Where an answer came from, which the runtime may have been led to. */
  #endOf({ url }: Response, target: URL): string {
    const isElsewhere = url !== '' && URL.parse(url)?.origin !== target.origin
    if (isElsewhere) return checked(url, this.#allowPrivateRedirects).href
    return url === '' ? target.href : url
  }

  async #send(target: URL, request: StreamRequest, signal: AbortSignal): Promise<Response> {
    const init: RequestInit = {
      method: request.method ?? 'GET',
      // Browsers keep this header to themselves; elsewhere it asks for what can be counted.
      headers: { 'accept-encoding': 'identity', ...request.headers },
      body: bodyOf(request.body),
      signal,
      ...(KNOWS_BROWSER_OPTIONS ? BROWSER_OPTIONS : {}),
    }
    if (this.#hidesRedirects) return this.#fetch(target.href, { ...init, redirect: 'follow' })
    const response = await this.#fetch(target.href, { ...init, redirect: 'manual' })
    if (response.type !== 'opaqueredirect') return response
    this.#hidesRedirects = true
    return this.#fetch(target.href, { ...init, redirect: 'follow' })
  }

  #answer(response: Response, request: StreamRequest, parts: AnswerParts): StreamResponse {
    const { target, end, deadline } = parts
    const { host } = target
    // Where the runtime followed redirects by itself, their end is judged here.
    const url = this.#endOf(response, target)
    const headers = new Map<string, string>()
    response.headers.forEach((value, name) => headers.set(name.toLowerCase(), value))
    const contentLength = comparableLength(response)
    if ((contentLength ?? 0) > request.bytesMax) {
      throw requestError('too-large', 'response: too large', { host, status: response.status })
    }
    const reader = response.body?.getReader() ?? null
    const body = new BoundedBody(
      {
        async next() {
          const read = await reader?.read()
          return read?.value ?? null
        },
        cancel() {
          end.abort()
          // What the body says to that is of no interest any more.
          reader?.cancel().catch(() => {})
        },
      },
      {
        clock: this.#clock,
        idleTimeoutMs: request.idleTimeoutMs,
        bytesMax: request.bytesMax,
        contentLength,
        host,
        classify: (error) =>
          request.signal?.aborted === true
            ? requestError('aborted', 'response: aborted', { host }, error)
            : requestError(
                'truncated',
                `response: broke off: ${messageOf(error)}`,
                { host },
                error,
              ),
        onEnd: () => deadline.clear(),
      },
    )
    const discard = (): void => body.discard()
    return { url, status: response.status, headers, contentLength, body, discard }
  }
}

interface AnswerParts {
  readonly target: URL
  /** Ends the exchange. */
  readonly end: AbortController
  readonly deadline: Deadline
}

/** A URL that may be asked. */
function checked(url: string | URL, allowPrivateNetwork: boolean): URL {
  const target = URL.parse(String(url))
  const host = target?.host ?? ''
  if (target === null || !/^https?:$/.test(target.protocol)) {
    throw requestError('blocked', 'request: not an http(s) URL', { host })
  }
  if (target.username !== '' || target.password !== '') {
    throw requestError('blocked', 'request: a user name is not allowed', { host })
  }
  if (allowPrivateNetwork) return target
  const parsed = parseHostname(target.origin)
  if (!parsed.ok) throw requestError('blocked', `request: ${parsed.detail}`, { host })
  return target
}

function bodyOf(body: Uint8Array | string | undefined): Uint8Array<ArrayBuffer> | string | null {
  return typeof body === 'object' ? new Uint8Array(body) : (body ?? null)
}

/**
 * The announced length, if the body can be compared with it: not after decompression, which a
 * browser does without showing it in an answer from another origin.
 */
function comparableLength(response: Response): number | null {
  const announced = response.headers.get('content-length')
  if (announced === null || !/^\d{1,15}$/.test(announced)) return null
  if (response.headers.get('content-encoding') !== null || response.type === 'cors') return null
  return Number(announced)
}
