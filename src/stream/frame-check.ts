/**
 * Checks the decoded body of a message: first the limits and syntaxes that have a reason of their
 * own, then the lexicon's schema, then that links and byte strings are CBOR's own and not the JSON
 * forms (`{"$link": ...}`), which the schema would take as well.
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import * as schemas from '@atcute/atproto/types/sync/subscribeRepos'
import { is } from '@atcute/lexicons'
import { isDatetime, isDid, isTid } from '@atcute/lexicons/syntax'
import { utf8 } from '../lib/bytes.ts'
import { COMMIT_BLOCKS_BYTES_MAX, OPS_MAX, SEQ_MAX, SYNC_BLOCKS_BYTES_MAX } from '../lib/limits.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { type Failure, fail } from '../lib/result.ts'
import type { MessageType } from './frame-types.ts'

/** Longest `#account` status, bytes: the known ones take 15; the rest is a stranger's text. */
export const STATUS_BYTES_MAX = 128

/** A decoded map whose fields have not been looked at. */
export type RawBody = Readonly<Record<string, unknown>>

type Fault = Failure<InvalidReason>

const SCHEMAS = {
  '#commit': schemas.commitSchema,
  '#sync': schemas.syncSchema,
  '#identity': schemas.identitySchema,
  '#account': schemas.accountSchema,
  '#info': schemas.infoSchema,
} as const

/** True for what a CBOR map decodes to. Links and byte strings are objects too, but not maps. */
export function isRawBody(value: unknown): value is RawBody {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(value instanceof CidLinkWrapper) && !(value instanceof BytesWrapper)
}

/** True for an integer that may stand as `seq`: 1 to 2^53 - 1 (event stream specification). */
export function isSeq(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= SEQ_MAX
}

/**
 * Null when `body` is what the lexicon says of `type`; else the first fault.
 *
 * Stricter than the lexicon on purpose: `rev` of `#sync` must be a TID, `seq` positive, `status` at
 * most {@link STATUS_BYTES_MAX} bytes. As the lexicon says: a handle in `#identity` must have
 * handle syntax (`handle.invalid` has), `since` must be there even if null, `blobs` must be an
 * array, and a
 * `$type`, which should be absent, must name this very type. Does not check what actions, paths,
 * blocks or DID methods mean.
 */
export function checkBody(type: MessageType | '#info', body: RawBody): Fault | null {
  const tooLarge = checkSizes(type, body)
  if (tooLarge !== null) return tooLarge
  // Nearly all bodies are good, so the schema comes first and the reason is looked for afterwards.
  if (!is(SCHEMAS[type], body)) {
    const special = type === '#info' ? null : checkFields(type, body)
    return special ?? fail('frame-schema', faultyField(type, body))
  }
  if (type === '#info') return null
  return checkBeyondSchema(type, body) ?? checkWireForms(type, body)
}

/** What the schema leaves open. */
function checkBeyondSchema(type: MessageType, body: RawBody): Fault | null {
  if (type === '#sync' && !isTid(body['rev'])) return badText('rev-invalid', 'rev', body)
  if (!isSeq(body['seq'])) return fail('frame-schema', `${type}: seq is not an integer from 1`)
  return null
}

function checkFields(type: MessageType, body: RawBody): Fault | null {
  const didField = type === '#commit' ? 'repo' : 'did'
  if (isTextWithout(body[didField], isDid)) return badText('did-invalid', didField, body)
  if (isTextWithout(body['time'], isDatetime)) return badText('time-invalid', 'time', body)
  if (type === '#commit' || type === '#sync') {
    if (isTextWithout(body['rev'], isTid)) return badText('rev-invalid', 'rev', body)
  }
  if (type === '#commit' && isTextWithout(body['since'], isTid)) {
    return badText('rev-invalid', 'since', body)
  }
  if (!isSeq(body['seq'])) return fail('frame-schema', `${type}: seq is not an integer from 1`)
  return null
}

function checkSizes(type: MessageType | '#info', body: RawBody): Fault | null {
  if (type === '#account') {
    const status = body['status']
    if (typeof status !== 'string') return null
    // A UTF-16 unit is never less than a byte, so long texts are refused without encoding them.
    const over = status.length > STATUS_BYTES_MAX || utf8(status).length > STATUS_BYTES_MAX
    return over ? fail('status-invalid', `status is over ${STATUS_BYTES_MAX} bytes`) : null
  }
  if (type !== '#commit' && type !== '#sync') return null
  const { blocks, ops } = body
  const most = type === '#commit' ? COMMIT_BLOCKS_BYTES_MAX : SYNC_BLOCKS_BYTES_MAX
  if (blocks instanceof BytesWrapper && blocks.buf.length > most) {
    return fail('blocks-too-large', `${type}: blocks has ${blocks.buf.length} bytes`)
  }
  if (type === '#commit' && Array.isArray(ops) && ops.length > OPS_MAX) {
    return fail('ops-too-many', `${ops.length} operations`)
  }
  return null
}

function isTextWithout(value: unknown, hasSyntax: (text: unknown) => boolean): value is string {
  return typeof value === 'string' && !hasSyntax(value)
}

const QUOTE_CHARS_MAX = 64

function badText(reason: InvalidReason, field: string, body: RawBody): Fault {
  return fail(
    reason,
    `${field} is ${JSON.stringify(String(body[field]).slice(0, QUOTE_CHARS_MAX))}`,
  )
}

/** Names the first field against the schema. The schema's own message is not bounded in size. */
function faultyField(type: MessageType | '#info', body: RawBody): string {
  const { shape } = SCHEMAS[type]
  for (const [field, schema] of Object.entries(shape)) {
    const optional = schema.type === 'optional'
    if (!(field in body) || body[field] === undefined) {
      if (!optional) return `${type}: ${field} is missing`
    } else if (!is(schema, body[field])) return `${type}: ${field} is not what the lexicon says`
  }
  return `${type}: body is not what the lexicon says`
}

function checkWireForms(type: MessageType | '#info', body: RawBody): Fault | null {
  if (type !== '#commit' && type !== '#sync') return null
  if (!(body['blocks'] instanceof BytesWrapper)) return jsonForm('blocks')
  if (type === '#sync') return null
  if (!(body['commit'] instanceof CidLinkWrapper)) return jsonForm('commit')
  if (!isLinkOr(body['prevData'], undefined)) return jsonForm('prevData')
  for (const blob of listOf(body['blobs'])) {
    if (!(blob instanceof CidLinkWrapper)) return jsonForm('blobs')
  }
  for (const op of listOf(body['ops'])) {
    if (!isRawBody(op)) return jsonForm('ops')
    if (!isLinkOr(op['cid'], null) || !isLinkOr(op['prev'], undefined)) return jsonForm('ops')
  }
  return null
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isLinkOr(value: unknown, other: null | undefined): boolean {
  return value === other || value instanceof CidLinkWrapper
}

function jsonForm(field: string): Fault {
  return fail('frame-schema', `#commit or #sync: ${field} is a map, not a CBOR link or byte string`)
}
