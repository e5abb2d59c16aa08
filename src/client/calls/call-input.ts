/** Parameters and inputs of calls, checked against the lexicon before anything is sent. */
import { type ObjectSchema, safeParse } from '@atcute/lexicons/validations'

import { CallError, type CallTarget } from './call-error.ts'

/** Longest query, in characters; services and what stands before them take 8,192 at least. */
const QUERY_CHARS_MAX = 8_000

/**
 * The query of a call: parameters that are undefined are left out, lists are repeated.
 *
 * @throws CallError InvalidRequest when they do not fit the lexicon, or make a URL too long.
 */
export function encodeQuery(
  target: CallTarget,
  schema: ObjectSchema | null,
  params: Readonly<Record<string, unknown>>,
): string {
  if (schema === null) return ''
  const given = defined(params)
  check(target, schema, given)
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(given)) {
    for (const item of Array.isArray(value) ? value : [value]) query.append(name, String(item))
  }
  const text = query.toString()
  if (text.length <= QUERY_CHARS_MAX) return text
  throw new CallError('InvalidRequest', target, `query of ${text.length} characters`)
}

/**
 * The body of a procedure.
 *
 * @throws CallError InvalidRequest when it does not fit the lexicon.
 */
export function encodeInput(
  target: CallTarget,
  schema: ObjectSchema,
  input: Readonly<Record<string, unknown>>,
): string {
  const given = defined(input)
  check(target, schema, given)
  return JSON.stringify(given)
}

function defined(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

function check(target: CallTarget, schema: ObjectSchema, value: unknown): void {
  const parsed = safeParse(schema, value)
  if (!parsed.ok) throw new CallError('InvalidRequest', target, parsed.message)
}
