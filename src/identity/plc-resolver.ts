/** Resolves did:plc through a list of directories: the first that answers decides. */

import type { Clock } from '../lib/clock.ts'
import { sleep } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { isPlcDid } from '../syntax/did.ts'
import { fetchDocument } from './fetch-document.ts'
import type { DocumentAnswer } from './fetch-document.ts'
import { TokenBucket } from './host-limits.ts'
import type { DidResolver, DocumentOutcome } from './identity.ts'
import type { HttpClient } from './http-client.ts'

/** The public directory. */
export const PLC_DIRECTORY = 'https://plc.directory'

export interface PlcResolverOptions {
  /**
   * Base URLs in order of preference: a directory and its mirrors. They are the operator's choice,
   * so `http` may be one that is allowed to reach private networks.
   */
  readonly directories: readonly string[]
  readonly http: HttpClient
  readonly clock: Clock
  /** Requests to each directory per second, once the burst is used up. */
  readonly perSecond?: number
  readonly burst?: number
  /** For one directory, ms. With n directories a look-up may take n times as long. */
  readonly timeoutMs?: number
}

/** Our own restraint: a cold cache fills at 180,000 DIDs an hour. One's own mirror takes more. */
const PER_SECOND = 50
const BURST = 100
/** A healthy directory answers in a fraction of a second; waiting longer holds up the queue. */
const TIMEOUT_MS = 5_000
/** Longest wait for our own rate limit, ms; beyond it another directory is better. */
const RATE_WAIT_MS_MAX = 5_000
/** Failures in a row after which a directory is left alone for a while. */
const FAILURES_TOLERATED = 3
/** The first such pause and the longest, ms; each one doubles. */
const PAUSE_MS_MIN = 1_000
const PAUSE_MS_MAX = 30_000
/** The pause after a 429 that does not say how long, ms. */
const THROTTLE_MS = 5_000

type Failure = Extract<DocumentAnswer, { kind: 'failed' }>

/**
 * Asks the directories in order. 200, 404 and 410 are final; anything else (network, time-out, 5xx,
 * 429, a document that is not of the DID) moves on to the next. A directory that keeps failing, or
 * asks for patience, is passed over until its pause ends, so that an outage costs no time-outs.
 *
 * The operation log is not verified: a directory is trusted for what it says.
 */
export class PlcResolver implements DidResolver {
  readonly #directories: readonly Directory[]

  /** Throws OPTION_INVALID when a directory is not an http(s) URL or there is none. */
  constructor(options: PlcResolverOptions) {
    if (options.directories.length === 0) {
      throw new SkeinError('OPTION_INVALID', 'PLC directories: none given')
    }
    this.#directories = options.directories.map((url) => new Directory(url, options))
  }

  async resolve(did: string, signal: AbortSignal): Promise<DocumentOutcome> {
    if (!isPlcDid(did)) return { kind: 'missing', detail: 'not a did:plc' }
    const details: string[] = []
    let retryAfterMs: number | null = Number.POSITIVE_INFINITY
    for (const directory of this.#directories) {
      const answer = await directory.ask(did, signal)
      if (answer.kind !== 'failed') return answer
      details.push(`${directory.host}: ${answer.detail}`)
      // The DID itself is held back only if a directory was asked and said nothing else.
      if (answer.retryAfterMs === null) retryAfterMs = null
      else if (retryAfterMs !== null) retryAfterMs = Math.min(retryAfterMs, answer.retryAfterMs)
      if (signal.aborted) break
    }
    return { kind: 'unresolved', detail: details.join(', '), retryAfterMs }
  }
}

/** One directory: its rate and its health. */
class Directory {
  readonly host: string
  readonly #base: string
  readonly #options: PlcResolverOptions
  readonly #bucket: TokenBucket
  #failures = 0
  #failedAtMs = Number.NEGATIVE_INFINITY
  #pausedUntilMs = 0

  constructor(url: string, options: PlcResolverOptions) {
    const parsed = URL.parse(url)
    if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.search !== '') {
      throw new SkeinError('OPTION_INVALID', 'PLC directory: not an http(s) URL', { url })
    }
    this.host = parsed.host
    this.#base = parsed.href.endsWith('/') ? parsed.href : `${parsed.href}/`
    this.#options = options
    const { clock, perSecond = PER_SECOND, burst = BURST } = options
    this.#bucket = new TokenBucket(clock, perSecond, burst)
  }

  async ask(did: string, signal: AbortSignal): Promise<DocumentAnswer> {
    const { clock, http, timeoutMs = TIMEOUT_MS } = this.#options
    const pausedMs = this.#pausedUntilMs - clock.monotonicMs()
    if (pausedMs > 0) return limited('paused', pausedMs)
    const waitMs = this.#bucket.tryTake()
    if (waitMs > RATE_WAIT_MS_MAX) return limited('rate limit', waitMs)
    if (waitMs > 0) await sleep(clock, this.#bucket.reserve(), signal)
    if (signal.aborted) return limited('aborted', 0)

    const startedMs = clock.monotonicMs()
    const url = this.#base + did
    const answer = await fetchDocument({ http, url, did, timeoutMs, signal, nowMs: clock.nowMs() })
    if (signal.aborted) return limited('aborted', 0)
    if (answer.kind === 'failed') return this.#onFailure(answer, startedMs)
    this.#failures = 0
    return answer
  }

  #onFailure(answer: Failure, startedMs: number): Failure {
    if (answer.fault !== 'server') return answer
    const now = this.#options.clock.monotonicMs()
    const throttleMs = answer.detail === 'status 429' ? THROTTLE_MS : null
    const retryAfterMs = answer.retryAfterMs ?? throttleMs
    // Requests that were under way together fail together; that is one failure.
    if (startedMs > this.#failedAtMs) {
      this.#failures++
      this.#failedAtMs = now
    }
    const doublings = this.#failures - FAILURES_TOLERATED
    const ownMs = doublings < 0 ? 0 : Math.min(PAUSE_MS_MIN * 2 ** doublings, PAUSE_MS_MAX)
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, now + Math.max(retryAfterMs ?? 0, ownMs))
    return { ...answer, retryAfterMs }
  }
}

function limited(detail: string, retryAfterMs: number): Failure {
  return { kind: 'failed', fault: 'limited', detail, retryAfterMs: Math.ceil(retryAfterMs) }
}
