/** Query parameters and JSON input, checked against the lexicons of `@atcute/atproto`. */

import {
  type BaseSchema,
  type InferOutput,
  type Issue,
  type ObjectSchema,
  safeParse,
} from '@atcute/lexicons/validations'

import { fail, ok, type Result } from '../lib/result.ts'

/**
 * Reads the parameters that `schema` declares. Unknown ones are ignored, as the XRPC specification
 * asks. A parameter that is not a list may be given once. The failure's detail names the parameter.
 */
export function readParams<S extends ObjectSchema>(
  nsid: string,
  schema: S,
  query: URLSearchParams,
): Result<InferOutput<S>, 'params'> {
  const raw: Record<string, unknown> = {}
  const shape: Readonly<Record<string, BaseSchema>> = schema.shape
  for (const [name, declared] of Object.entries(shape)) {
    const given = query.getAll(name)
    if (given.length === 0) continue
    const kind = unwrapped(declared).type
    if (kind === 'array') raw[name] = given
    else if (given.length > 1) return fail('params', `Invalid ${nsid} params: ${name} is repeated`)
    else raw[name] = fromText(kind, given[0] ?? '')
  }
  return validated(`${nsid} params`, schema, raw)
}

/**
 * Where a listing begins. An empty cursor asks for the first page: some clients send one, as they
 * do not leave parameters out.
 */
export function cursorOf({ cursor }: { readonly cursor?: string | undefined }): string | null {
  return cursor === undefined || cursor === '' ? null : cursor
}

/** Checks a parsed JSON body against the lexicon's input. */
export function readInput<S extends ObjectSchema>(
  nsid: string,
  schema: S,
  input: unknown,
): Result<InferOutput<S>, 'params'> {
  return validated(`${nsid} input`, schema, input)
}

function validated<S extends ObjectSchema>(
  what: string,
  schema: S,
  input: unknown,
): Result<InferOutput<S>, 'params'> {
  const parsed = safeParse(schema, input)
  if (parsed.ok) return ok(parsed.value)
  const [issue] = parsed.issues
  return fail('params', `Invalid ${what}: ${issue === undefined ? 'invalid' : describe(issue)}`)
}

function unwrapped(schema: BaseSchema): BaseSchema {
  const isOptional = schema.type === 'optional' && 'wrapped' in schema
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what an optional schema wraps
  return isOptional ? (schema.wrapped as BaseSchema) : schema
}

/** A parameter as its schema's type; text that is none stays text, which the schema refuses. */
function fromText(kind: string, text: string): unknown {
  if (kind === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text
  if (kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return text
}

function describe(issue: Issue): string {
  const name = issue.path.length === 0 ? 'the value' : issue.path.join('.')
  if (issue.code === 'missing_value') return `${name} is required`
  if (issue.code === 'invalid_type') return `${name} must be of type ${issue.expected}`
  if (issue.code === 'invalid_string_format') return `${name} must be a valid ${issue.expected}`
  if (issue.code === 'invalid_integer_range') {
    return `${name} must be an integer from ${issue.min} to ${issue.max}`
  }
  if (issue.code === 'invalid_array_length') {
    return `${name} must be given at least ${issue.minLength} times`
  }
  return `${name} is not allowed (${issue.code})`
}
