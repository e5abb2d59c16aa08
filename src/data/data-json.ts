/**
 * The JSON form of decoded data (specification: data model, "JSON representation"): links as
 * `{"$link": text}`, byte strings as `{"$bytes": base64}`, all else as it is.
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { fromBase64, fromBase64Pad } from '@atcute/multibase'
import { SkeinError } from '../lib/errors.ts'
import { DRISL_DEPTH_MAX, DRISL_ITEMS_MAX, FRAME_BYTES_MAX } from '../lib/limits.ts'
import { fail, ok, type Failure, type Result } from '../lib/result.ts'
import { cidFromString } from './cid.ts'

/** What `JSON.parse` gives, and `JSON.stringify` takes without loss. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonMap

export interface JsonMap {
  readonly [key: string]: JsonValue
}

/**
 * The JSON form of a value as `decodeDrisl` gives it. Bytes are base64 without padding. Maps with a
 * key `$link` or `$bytes` of their own, which the data model forbids, are left as they are and
 * cannot be told from links and bytes afterwards.
 *
 * @throws SkeinError ENCODE_UNSUPPORTED when `value` holds something that decoding does not give,
 *   or is nested deeper than DRISL_DEPTH_MAX.
 */
export function toDataJson(value: unknown): JsonValue {
  return jsonOf(value, 0)
}

function jsonOf(value: unknown, depth: number): JsonValue {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') {
    return value
  }
  if (typeof value !== 'object') throw unsupported(typeof value)
  if (value === null) return null
  if (value instanceof CidLinkWrapper) return { $link: value.$link }
  if (value instanceof BytesWrapper) return { $bytes: value.$bytes }
  if (value instanceof Uint8Array) return { $bytes: new BytesWrapper(value).$bytes }
  if (depth === DRISL_DEPTH_MAX) throw unsupported('value nested too deep')
  if (Array.isArray(value)) return value.map((item: unknown) => jsonOf(item, depth + 1))
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.map(([key, item]) => [key, jsonOf(item, depth + 1)]))
}

function unsupported(what: string): SkeinError {
  return new SkeinError('ENCODE_UNSUPPORTED', 'to JSON: value has no JSON form', { what })
}

/** What is wrong with JSON that stands for no value of the data model. */
export type DataJsonFault =
  | 'not-json'
  | 'number'
  | 'text'
  | 'link'
  | 'bytes'
  | 'too-deep'
  | 'too-many-items'
  | 'too-large'

/** How much JSON is turned into data. */
export interface DataJsonLimits {
  /** Most items, entries of maps counted once. */
  readonly itemsMax?: number
  /** Most bytes of texts, keys and byte strings together; a text counts its UTF-16 units. */
  readonly bytesMax?: number
}

/**
 * The value that JSON stands for, in the form of `decodeDrisl`, which `encodeDrisl` takes. `$bytes`
 * may be padded. Refuses numbers that are no safe integers, lone surrogates, and maps with `$link`
 * or `$bytes` that are not exactly a link or bytes. Does not check `$type` or the shape of blobs.
 * Never throws.
 */
export function fromDataJson(
  value: unknown,
  limits: DataJsonLimits = {},
): Result<unknown, DataJsonFault> {
  const budget = {
    items: limits.itemsMax ?? DRISL_ITEMS_MAX,
    bytes: limits.bytesMax ?? FRAME_BYTES_MAX,
  }
  return dataOf(value, 0, budget)
}

interface Budget {
  items: number
  bytes: number
}

type DataResult = Result<unknown, DataJsonFault>

function dataOf(value: unknown, depth: number, budget: Budget): DataResult {
  if (budget.items-- === 0) return fail('too-many-items', 'JSON: too many items')
  if (value === null || typeof value === 'boolean') return ok(value)
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? ok(value) : fail('number', 'JSON: not a safe integer')
  }
  if (typeof value === 'string') return textFault(value, budget) ?? ok(value)
  if (typeof value !== 'object') return fail('not-json', `JSON: ${typeof value}`)
  if (depth === DRISL_DEPTH_MAX) return fail('too-deep', 'JSON: nested too deep')
  return Array.isArray(value) ? listOf(value, depth, budget) : mapOf(value, depth, budget)
}

function textFault(text: string, budget: Budget): Failure<DataJsonFault> | null {
  budget.bytes -= text.length
  if (budget.bytes < 0) return fail('too-large', 'JSON: too large')
  return text.isWellFormed() ? null : fail('text', 'JSON: text with a lone surrogate')
}

function listOf(list: readonly unknown[], depth: number, budget: Budget): DataResult {
  const out: unknown[] = []
  for (const item of list) {
    const read = dataOf(item, depth + 1, budget)
    if (!read.ok) return read
    out.push(read.value)
  }
  return ok(out)
}

function mapOf(map: object, depth: number, budget: Budget): DataResult {
  if (Object.hasOwn(map, '$link')) return linkOf(map)
  if (Object.hasOwn(map, '$bytes')) return bytesOf(map, budget)
  const out: [string, unknown][] = []
  for (const [key, item] of Object.entries(map)) {
    const fault = textFault(key, budget)
    if (fault !== null) return fault
    const read = dataOf(item, depth + 1, budget)
    if (!read.ok) return read
    out.push([key, read.value])
  }
  return ok(Object.fromEntries(out))
}

/** The text that is the only entry of `map`; null when there is more, or no text. */
function onlyText(map: object): string | null {
  const values: unknown[] = Object.values(map)
  const [text] = values
  return values.length === 1 && typeof text === 'string' ? text : null
}

function linkOf(map: object): DataResult {
  const text = onlyText(map)
  const cid = text === null ? null : cidFromString(text)
  return cid === null ? fail('link', 'JSON: $link is no CID') : ok(new CidLinkWrapper(cid))
}

function bytesOf(map: object, budget: Budget): DataResult {
  const text = onlyText(map)
  if (text === null) return fail('bytes', 'JSON: $bytes is no base64')
  budget.bytes -= Math.floor((text.length * 3) / 4)
  if (budget.bytes < 0) return fail('too-large', 'JSON: too large')
  try {
    const bytes = text.endsWith('=') ? fromBase64Pad(text) : fromBase64(text)
    return ok(new BytesWrapper(bytes))
  } catch {
    return fail('bytes', 'JSON: $bytes is no base64')
  }
}
