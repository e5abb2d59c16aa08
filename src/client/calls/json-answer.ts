/** Answers in JSON: bounded, of the right type, checked against the lexicon's schema. */
import { type BaseSchema, safeParse } from '@atcute/lexicons/validations'

import type { StreamResponse } from '../../identity/http-client.ts'
import { concatBytes, fromUtf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { createDeadline } from '../../lib/deadline.ts'
import { DRISL_DEPTH_MAX } from '../../lib/limits.ts'
import { callErrorOf, mediaTypeOf } from './byte-stream.ts'
import { CallError, type CallTarget } from './call-error.ts'

/**
 * Reads a whole body within `timeoutMs`; the response bounds its bytes.
 *
 * @throws CallError
 */
export async function readWhole(
  response: Pick<StreamResponse, 'body' | 'discard'>,
  target: CallTarget,
  clock: Clock,
  timeoutMs: number,
): Promise<Uint8Array> {
  const deadline = createDeadline(clock, timeoutMs, [])
  deadline.signal.addEventListener('abort', response.discard, { once: true })
  try {
    const parts: Uint8Array[] = []
    for await (const piece of response.body) parts.push(piece)
    return concatBytes(parts)
  } catch (error) {
    if (!deadline.hasExpired()) throw callErrorOf(error, target)
    throw new CallError('Timeout', target, `no whole answer in ${timeoutMs} ms`, { cause: error })
  } finally {
    deadline.signal.removeEventListener('abort', response.discard)
    deadline.clear()
  }
}

/**
 * Reads and checks a JSON answer. What it holds beyond the schema is kept, unchecked but for how
 * deep it is nested: parsing has no bound of its own, and what writes or walks the value has one.
 *
 * @throws CallError InvalidResponse when it is not what the lexicon says.
 */
export async function readJson(
  response: StreamResponse,
  target: CallTarget,
  schema: BaseSchema,
  limits: { readonly clock: Clock; readonly timeoutMs: number },
): Promise<unknown> {
  const refuse = (message: string): CallError =>
    new CallError('InvalidResponse', target, message, { status: response.status })
  const type = mediaTypeOf(response.headers)
  if (type !== 'application/json') {
    response.discard()
    throw refuse(`answer is ${type ?? 'of no type'}, not JSON`)
  }
  const text = fromUtf8(await readWhole(response, target, limits.clock, limits.timeoutMs))
  if (text === null) throw refuse('answer is not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse('answer is not JSON')
  }
  if (isDeeperThan(value, DRISL_DEPTH_MAX)) throw refuse('answer is nested too deep')
  const parsed = safeParse(schema, value)
  if (parsed.ok) return parsed.value
  throw refuse(`answer is against its schema: ${parsed.message}`)
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((item) => isDeeperThan(item, levels - 1))
}
