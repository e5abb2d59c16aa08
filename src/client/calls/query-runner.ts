/** Runs calls by their lexicons: what the methods of a {@link SyncClient} have in common. */
import { networkRuntime } from '#network'
import type { BaseSchema, ObjectSchema } from '@atcute/lexicons/validations'

import type { StreamResponse } from '../../identity/http-client.ts'
import type { Network } from '../../identity/network.ts'
import { openWebNetwork } from '../../identity/web-network.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { SkeinError } from '../../lib/errors.ts'
import { systemRandom } from '../../lib/random.ts'
import { type ByteCheck, ByteStream, mediaTypeOf } from './byte-stream.ts'
import { encodeInput, encodeQuery } from './call-input.ts'
import { CallError, type CallTarget } from './call-error.ts'
import {
  type CallOptions,
  CLIENT_LIMITS,
  type ClientLimits,
  type SyncClientOptions,
} from './client-options.ts'
import { sharedGovernor } from './governor.ts'
import { Caller, type HttpCall } from './http.ts'
import { readJson } from './json-answer.ts'
import { NO_RETRY, RETRY_POLICY, type RetryPolicy } from './retry.ts'
import { parseService, type Service } from './service.ts'

/** A lexicon's query whose answer is JSON. */
export interface JsonQuery {
  readonly nsid: string
  readonly params: ObjectSchema | null
  readonly output: { readonly type: 'lex'; readonly schema: BaseSchema }
}

/** A lexicon's query whose answer is bytes, of one of the types in `encoding` if there is one. */
export interface ByteQuery {
  readonly nsid: string
  readonly params: ObjectSchema | null
  readonly output: { readonly type: 'blob'; readonly encoding?: string[] }
}

/** A lexicon's procedure without an output. */
export interface Procedure {
  readonly nsid: string
  readonly input: { readonly type: 'lex'; readonly schema: ObjectSchema }
}

/** Options of a call whose answer is bytes. */
export interface StreamOptions extends CallOptions {
  readonly bytesMax: number
  /** Made anew for each attempt. */
  readonly check: () => ByteCheck
}

/** One service and how it is asked. */
export class QueryRunner {
  readonly service: Service
  readonly limits: ClientLimits
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
  readonly #caller: Caller

  constructor(service: string | URL, options: SyncClientOptions) {
    this.service = parseService(service)
    this.limits = { ...CLIENT_LIMITS, ...options.limits }
    this.clock = options.clock ?? systemClock
    this.signal = options.signal
    this.#caller = new Caller({
      service: this.service,
      network: networkOf(options),
      governor: options.governor ?? sharedGovernor,
      retry: policyOf(options.retry),
      limits: this.limits,
      headers: headersOf(options.headers),
      clock: this.clock,
      random: options.random ?? systemRandom,
      signal: options.signal,
    })
  }

  target(nsid: string): CallTarget {
    return this.#caller.target(nsid)
  }

  /** The checked answer of a query. `T` is what the lexicon's schema says, in our types. */
  async json<T>(query: JsonQuery, params: object, options: CallOptions): Promise<T> {
    const target = this.target(query.nsid)
    const call = this.#get(query, params, options, {
      accept: 'application/json',
      bytesMax: this.limits.jsonBytesMax,
    })
    const bounds = { clock: this.clock, timeoutMs: this.limits.answerTimeoutMs }
    const value = await this.#caller.call(call, (response) =>
      readJson(response, target, query.output.schema, bounds),
    )
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schema has just said so
    return value as T
  }

  /** The answer of a query as it comes; retried until its head is there. */
  async stream(query: ByteQuery, params: object, options: StreamOptions): Promise<ByteStream> {
    return this.read(query, params, options, (stream) => stream)
  }

  /** The same, and read by `read`: what is retryable there has the whole call sent again. */
  async read<T>(
    query: ByteQuery,
    params: object,
    options: StreamOptions,
    read: (stream: ByteStream) => T | Promise<T>,
  ): Promise<T> {
    const target = this.target(query.nsid)
    const types = query.output.encoding ?? []
    const call = this.#get(query, params, options, {
      accept: types.length === 0 ? '*/*' : types.join(', '),
      bytesMax: options.bytesMax,
    })
    return this.#caller.call(call, (response) => {
      checkType(response, target, types)
      return read(new ByteStream(response, target, options.check()))
    })
  }

  async procedure(procedure: Procedure, input: object, options: CallOptions): Promise<void> {
    const target = this.target(procedure.nsid)
    const call: HttpCall = {
      nsid: procedure.nsid,
      method: 'POST',
      query: '',
      body: encodeInput(target, procedure.input.schema, { ...input }),
      accept: '*/*',
      bytesMax: this.limits.jsonBytesMax,
      signal: options.signal,
    }
    await this.#caller.call(call, (response) => response.discard())
  }

  #get(
    query: JsonQuery | ByteQuery,
    params: object,
    options: CallOptions,
    rest: Pick<HttpCall, 'accept' | 'bytesMax'>,
  ): HttpCall {
    const { nsid } = query
    const encoded = encodeQuery(this.target(nsid), query.params, { ...params })
    return { nsid, method: 'GET', query: encoded, signal: options.signal, ...rest }
  }
}

function checkType(response: StreamResponse, target: CallTarget, types: readonly string[]): void {
  const type = mediaTypeOf(response.headers)
  if (types.length === 0 || (type !== null && types.includes(type))) return
  response.discard()
  const message = `answer is ${type ?? 'of no type'}, not ${types.join(' or ')}`
  throw new CallError('InvalidResponse', target, message, { status: response.status })
}

function networkOf(options: SyncClientOptions): Network {
  const { fetch, allowPrivateNetwork = false, namedBy = 'user' } = options
  const network =
    fetch === undefined
      ? networkRuntime.openNetwork({ allowPrivateNetwork })
      : openWebNetwork({ fetch, allowPrivateNetwork })
  return namedBy === 'user' ? network : { ...network, named: network.strangers }
}

/** By lower-case name, so that each is there once. */
function headersOf(given: SyncClientOptions['headers'] = {}): Readonly<Record<string, string>> {
  try {
    return Object.fromEntries(new Headers(given))
  } catch (error) {
    throw new SkeinError('OPTION_INVALID', 'read headers: not a header', {}, error)
  }
}

function policyOf(retry: SyncClientOptions['retry']): RetryPolicy {
  return retry === 'never' ? NO_RETRY : { ...RETRY_POLICY, ...retry }
}
