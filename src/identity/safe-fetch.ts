/**
 * Outbound HTTP for requests that strangers cause: bounded in time, size, rate and destination.
 *
 * Built on undici with our own checks. `@atproto-labs/fetch-node` covers the addresses, but ties
 * its dispatcher to the undici inside the runtime, lifts every address check at once for private
 * networks, and leaves redirect counts, connect time-outs and rates open.
 */

import { Agent, buildConnector, errors } from 'undici'
import type { Dispatcher } from 'undici'
import type { Clock } from '../lib/clock.ts'
import { systemClock } from '../lib/clock.ts'
import { createDeadline } from '../lib/deadline.ts'
import { codeOf, messageOf, SkeinError } from '../lib/errors.ts'
import { createAddressPolicy, isBlocked } from './address-policy.ts'
import type { AddressPolicy } from './address-policy.ts'
import { HostLimits } from './host-limits.ts'
import type { ResolveAddresses } from './address-lookup.ts'
import { BoundedBody } from './bounded-body.ts'
import { REDIRECTS_MAX, requestError } from './http-client.ts'
import type { HttpClient, SafeRequest, SafeResponse } from './http-client.ts'
import type { StreamClient, StreamRequest, StreamResponse } from './http-client.ts'

export interface SafeFetchLimits {
  /** DNS, TCP and TLS together, ms. */
  readonly connectTimeoutMs: number
  /** The whole exchange with all redirects, ms, unless the request says otherwise. */
  readonly timeoutMs: number
  /** Largest response body, bytes, unless the request says otherwise. */
  readonly responseBytesMax: number
  readonly inFlightMax: number
  readonly inFlightPerHostMax: number
  readonly perHostPerSecond: number
  readonly perHostBurst: number
}

/** Good for requests to many hosts that nobody has vouched for. */
export const SAFE_FETCH_LIMITS: SafeFetchLimits = {
  // A host that takes longer than this to accept a connection is not fit to be relayed.
  connectTimeoutMs: 5_000,
  timeoutMs: 10_000,
  // describeServer and getRepoStatus answer in a few kilobytes.
  responseBytesMax: 512 * 1_024,
  // Each may hold a socket and a body of the size above.
  inFlightMax: 256,
  inFlightPerHostMax: 8,
  perHostPerSecond: 20,
  perHostBurst: 40,
}

const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** Headers of a response, bytes: what proxies and browsers allow. */
const HEADER_BYTES_MAX = 16 * 1_024

export interface SafeFetchOptions {
  /** Sent with every request: `skein/<version> (+https://relay.example)`. */
  readonly userAgent: string
  /** See the option of the same name of ./address-policy.ts. */
  readonly allowPrivateNetwork?: boolean
  readonly resolveAddresses?: ResolveAddresses
  readonly limits?: Partial<SafeFetchLimits>
  readonly clock?: Clock
}

export function createSafeFetch(options: SafeFetchOptions): SafeFetch {
  return new SafeFetch(options)
}

/** Owns the sockets of its requests. Make one per kind of destination and share it. */
export class SafeFetch implements HttpClient, StreamClient {
  readonly policy: AddressPolicy
  readonly #limits: SafeFetchLimits
  readonly #hosts: HostLimits
  readonly #userAgent: string
  readonly #clock: Clock
  readonly #agent: Agent
  readonly #stop = new AbortController()

  constructor(options: SafeFetchOptions) {
    this.policy = createAddressPolicy(options)
    this.#limits = { ...SAFE_FETCH_LIMITS, ...options.limits }
    this.#clock = options.clock ?? systemClock
    this.#hosts = new HostLimits({ clock: this.#clock, ...this.#limits })
    this.#userAgent = options.userAgent
    this.#agent = new Agent({
      connect: createCheckedConnector(this.policy, this.#limits.connectTimeoutMs),
      connections: this.#limits.inFlightPerHostMax,
      maxHeaderSize: HEADER_BYTES_MAX,
      allowH2: false,
    })
  }

  /**
   * Sends the request and reads the whole response. Only an uncompressed body is accepted, so that
   * what is counted is what is kept.
   *
   * Rejects with a SkeinError: REQUEST_BLOCKED when the URL, a redirect or a resolved address is
   * refused, REQUEST_FAILED otherwise, with `fields.why` of {@link RequestFailure} and, for
   * `limited`, `fields.retryAfterMs`. Any HTTP status that is not followed is a response.
   */
  async fetch(url: string | URL, request: SafeRequest = {}): Promise<SafeResponse> {
    const timeoutMs = request.timeoutMs ?? this.#limits.timeoutMs
    const deadline = createDeadline(this.#clock, timeoutMs, [request.signal, this.#stop.signal])
    try {
      return await this.#follow(String(url), request, deadline.signal)
    } catch (error) {
      if (error instanceof SkeinError) throw error
      const host = URL.parse(String(url))?.host ?? ''
      throw this.#classify(error, host, request.signal, deadline.hasExpired())
    } finally {
      deadline.clear()
    }
  }

  /**
   * Sends the request and gives the response as soon as its head is there; the body comes as it is
   * read, uncompressed, and holds a place among the requests under way until it ends. Redirects
   * are responses. Rejects as `fetch` does; the body fails with `truncated` when it breaks off.
   */
  async stream(url: string | URL, request: StreamRequest): Promise<StreamResponse> {
    const checked = this.policy.checkUrl(url)
    const host = URL.parse(String(url))?.host ?? ''
    if (!checked.ok) throw requestError('blocked', `request: ${checked.detail}`, { host })
    const admission = this.#enter(host)
    const { responseTimeoutMs, signal } = request
    const signals = [signal, this.#stop.signal]
    const deadline = createDeadline(this.#clock, responseTimeoutMs, signals)
    const onEnd = (): void => {
      deadline.clear()
      admission.leave()
    }
    try {
      if (deadline.signal.aborted) throw new Error('aborted')
      const { statusCode, headers, body } = await this.#send(
        checked.value,
        request,
        deadline.signal,
      )
      deadline.stopTimer()
      const flat = flattenHeaders(headers)
      const contentLength = checkBodyHead(body, flat, request.bytesMax, {
        host,
        status: statusCode,
      })
      const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
      const bounded = new BoundedBody(
        {
          async next() {
            const next = await chunks.next()
            return next.done === true ? null : next.value
          },
          cancel: () => body.destroy(),
        },
        {
          clock: this.#clock,
          idleTimeoutMs: request.idleTimeoutMs,
          bytesMax: request.bytesMax,
          contentLength,
          host,
          classify: (error) => this.#classifyBody(error, host, signal),
          onEnd,
        },
      )
      const discard = (): void => bounded.discard()
      return {
        url: checked.value.href,
        status: statusCode,
        headers: flat,
        contentLength,
        body: bounded,
        discard,
      }
    } catch (error) {
      onEnd()
      if (error instanceof SkeinError) throw error
      throw this.#classify(error, host, signal, deadline.hasExpired())
    }
  }

  /** Ends what is under way (it fails with `stopped`) and closes the sockets. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#agent.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #follow(start: string, request: SafeRequest, signal: AbortSignal): Promise<SafeResponse> {
    const isGet = (request.method ?? 'GET') === 'GET'
    const redirectsMax = isGet ? Math.min(request.redirectsMax ?? 0, REDIRECTS_MAX) : 0
    let next = start
    let headers = request.headers ?? {}
    for (let hop = 0; ; hop++) {
      const checked = this.policy.checkUrl(next)
      if (!checked.ok) {
        const host = URL.parse(next)?.host ?? ''
        throw requestError('blocked', `request: ${checked.detail}`, { host })
      }
      const response = await this.#exchange(checked.value, { ...request, headers }, signal)
      if (!REDIRECT_STATUSES.has(response.status)) return response
      const { host } = checked.value
      if (hop >= redirectsMax) throw requestError('redirect', 'request: redirected', { host })
      const location = response.headers.get('location')
      const target = location === undefined ? null : URL.parse(location, checked.value.href)
      if (target === null) throw requestError('redirect', 'request: redirected nowhere', { host })
      // What was meant for one origin (authorization) is not shown to another.
      if (target.origin !== checked.value.origin) headers = {}
      next = target.href
    }
  }

  async #exchange(url: URL, request: SafeRequest, signal: AbortSignal): Promise<SafeResponse> {
    const { host } = url
    if (signal.aborted) throw new Error('aborted')
    const admission = this.#enter(host)
    try {
      const { statusCode, headers, body } = await this.#send(url, request, signal)
      const flat = flattenHeaders(headers)
      const bytesMax = request.bytesMax ?? this.#limits.responseBytesMax
      const bytes = await readBody(body, flat, bytesMax, { host, status: statusCode })
      return { url: url.href, status: statusCode, headers: flat, bytes }
    } finally {
      admission.leave()
    }
  }

  #enter(host: string): { readonly leave: () => void } {
    const admission = this.#hosts.enter(host)
    if (admission.ok) return admission
    const { detail, retryAfterMs } = admission
    throw requestError('limited', `request: ${detail}`, { host, retryAfterMs })
  }

  #send(
    url: URL,
    request: Pick<SafeRequest, 'method' | 'headers' | 'body'>,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    return this.#agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method ?? 'GET',
      headers: {
        'user-agent': this.#userAgent,
        ...request.headers,
        'accept-encoding': 'identity',
      },
      body: request.body ?? null,
      signal,
      // The deadline covers both; these would only fire after it.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  /** The error of a body that has begun: what breaks it off is `truncated`. */
  #classifyBody(error: unknown, host: string, signal: AbortSignal | undefined): SkeinError {
    const { fields } = this.#classify(error, host, signal, false)
    if (fields['why'] === 'aborted' || fields['why'] === 'stopped') {
      return requestError(fields['why'], `response: ${fields['why']}`, { host }, error)
    }
    const detail = codeOf(error) ?? messageOf(error)
    return requestError('truncated', 'response: broke off', { host, detail }, error)
  }

  #classify(
    error: unknown,
    host: string,
    signal: AbortSignal | undefined,
    expired: boolean,
  ): SkeinError {
    if (isBlocked(error)) return requestError('blocked', messageOf(error), { host }, error)
    if (expired) return requestError('timeout', 'request: timed out', { host }, error)
    if (this.#stop.signal.aborted) return requestError('stopped', 'request: stopped', { host })
    if (signal?.aborted === true) return requestError('aborted', 'request: aborted', { host })
    const code = codeOf(error) ?? ''
    if (code === 'UND_ERR_HEADERS_OVERFLOW') {
      return requestError('too-large', 'response: headers are too large', { host }, error)
    }
    // What came is not HTTP, or contradicts itself.
    if (error instanceof errors.HTTPParserError) {
      const detail = messageOf(error)
      return requestError('malformed', 'response: not HTTP', { host, detail }, error)
    }
    const isTimeout = code.endsWith('TIMEOUT')
    const detail = codeOf(error) ?? messageOf(error)
    return isTimeout
      ? requestError('timeout', 'request: timed out', { host, detail }, error)
      : requestError('network', `request: failed: ${detail}`, { host }, error)
  }
}

/** Connects as undici does, but not to a refused literal, nor on a socket that ended up there. */
function createCheckedConnector(
  policy: AddressPolicy,
  timeoutMs: number,
): buildConnector.connector {
  const connect = buildConnector({ allowH2: false, timeout: timeoutMs, lookup: policy.lookup })
  return (options, callback) => {
    const checked = policy.checkUrl(`${options.protocol}//${options.host ?? options.hostname}`)
    if (!checked.ok) {
      callback(requestError('blocked', `connect: ${checked.detail}`, {}), null)
      return
    }
    connect(options, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null)
        return
      }
      const fault = policy.checkAddress(socket.remoteAddress ?? '')
      if (fault === null) {
        callback(null, socket)
        return
      }
      socket.destroy()
      callback(requestError('blocked', `connect: ${fault}`, {}), null)
    })
  }
}

/** Refuses a body by its headers. Returns the length that they announce, or null. */
function checkBodyHead(
  body: Dispatcher.ResponseData['body'],
  headers: ReadonlyMap<string, string>,
  bytesMax: number,
  fields: { readonly host: string; readonly status: number },
): number | null {
  // Destroying the body may make it report that; nobody else listens by then.
  body.on('error', () => {})
  const encoding = headers.get('content-encoding') ?? 'identity'
  const announced = headers.get('content-length')
  const isTooLarge = Number(announced ?? 0) > bytesMax
  if (encoding !== 'identity' || isTooLarge) {
    body.destroy()
    if (isTooLarge) throw requestError('too-large', 'response: too large', fields)
    throw requestError('encoding', 'response: compressed against our request', fields)
  }
  return announced !== undefined && /^\d{1,15}$/.test(announced) ? Number(announced) : null
}

async function readBody(
  body: Dispatcher.ResponseData['body'],
  headers: ReadonlyMap<string, string>,
  bytesMax: number,
  fields: { readonly host: string; readonly status: number },
): Promise<Uint8Array> {
  checkBodyHead(body, headers, bytesMax, fields)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.length
    // Leaving the loop destroys the body and with it the connection.
    if (length > bytesMax) throw requestError('too-large', 'response: too large', fields)
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

function flattenHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): ReadonlyMap<string, string> {
  const flat = new Map<string, string>()
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat.set(name, typeof value === 'string' ? value : value.join(', '))
  }
  return flat
}
