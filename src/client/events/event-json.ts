/** Events in atproto's JSON form, and back (specifications: event stream, data model). */
import { checkDrisl, decodeDrisl } from '../../data/drisl.ts'
import { encodeDrisl } from '../../data/drisl-encode.ts'
import { fromDataJson, type JsonMap, toDataJson } from '../../data/data-json.ts'
import { assert } from '../../lib/assert.ts'
import { concatBytes } from '../../lib/bytes.ts'
import { fail } from '../../lib/result.ts'
import { decodeEvent, type EventResult } from './decode-event.ts'
import type { CommitEvent, StreamEvent } from './events.ts'

const STREAM_NSID = 'com.atproto.sync.subscribeRepos'
/** Longest `$type` that is read: an NSID of 317 characters, `#` and a name need less. */
const TYPE_CHARS_MAX = 1_024

/**
 * The message as JSON: its fields, with `$link` and `$bytes`, and
 * `$type: "com.atproto.sync.subscribeRepos#commit"` and so on. An error frame is
 * `{error, message}`, as in answers of XRPC. Unknown fields are kept; records stay in `blocks`.
 *
 * @param event As decoded, or with typed records.
 */
export function toJSON(event: StreamEvent | CommitEvent<unknown>): JsonMap {
  const { bytes } = event
  const end = checkDrisl(bytes)
  assert(end > 0, 'the bytes of an event begin with a header')
  const { op, t } = mapIn(bytes.subarray(0, end))
  const body = mapIn(bytes.subarray(end))
  if (op === -1) return fieldsOf(body)
  assert(typeof t === 'string', 'the header of a message has a type')
  const name = { $type: t.startsWith('#') ? STREAM_NSID + t : t }
  // First for the reader, and last so that a $type in the body does not take its place.
  return { ...name, ...fieldsOf(body), ...name }
}

function mapIn(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const decoded = decodeDrisl(bytes)
  assert(decoded.ok, 'the bytes of an event have been decoded before')
  return decoded.value as Readonly<Record<string, unknown>>
}

function fieldsOf(map: Readonly<Record<string, unknown>>): JsonMap {
  return toDataJson(map) as JsonMap
}

/**
 * The event that JSON stands for: what {@link toJSON} gives, or an equal value from elsewhere. It
 * is encoded as a frame and decoded as any frame is, so that the same is checked; its `bytes` are
 * those of the frame that the JSON came from. (Not when that frame had what the protocol does not
 * know: a header with other fields or a full name as its type, a `$type` in the body, or a map that
 * passes itself off as a link or bytes.) Never throws.
 *
 * @param value What `JSON.parse` gives.
 */
export function fromJSON(value: unknown): EventResult {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail('frame-malformed', 'JSON: an event is an object')
  }
  const { $type: type, ...fields } = value as { readonly $type?: unknown }
  const header = type === undefined && 'error' in fields ? { op: -1 } : messageHeader(type)
  if (header === null) return fail('frame-malformed', 'JSON: $type names no message')
  const body = fromDataJson(fields)
  if (!body.ok) {
    return fail(body.reason === 'too-large' ? 'frame-too-large' : 'frame-malformed', body.detail)
  }
  return decodeEvent(concatBytes([encodeDrisl(header), encodeDrisl(body.value)]))
}

/** Null unless `type` is text that a header can hold. */
function messageHeader(type: unknown): object | null {
  if (typeof type !== 'string' || type.length > TYPE_CHARS_MAX || !type.isWellFormed()) return null
  return { op: 1, t: type.startsWith(`${STREAM_NSID}#`) ? type.slice(STREAM_NSID.length) : type }
}
