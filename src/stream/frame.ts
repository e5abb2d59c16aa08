/**
 * Event-stream frames: reading a stranger's, and sending one on under our own seq.
 *
 * A frame is two DRISL values end to end (event stream specification):
 *
 * ```
 * header  {"op": 1, "t": "#commit"}  or  {"op": -1}
 * body    the message, without $type  or  {"error": name, "message"?: text}
 * ```
 */
import { assert } from '../lib/assert.ts'
import { plainBytes, startsWith, utf8 } from '../lib/bytes.ts'
import { DRISL_ITEMS_MAX, FRAME_BYTES_MAX, SEQ_MAX } from '../lib/limits.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { checkDrisl, decodeDrisl, drislFault, findMapEntry } from '../data/drisl.ts'
import { checkBody, isRawBody, isSeq, type RawBody } from './frame-check.ts'
import type { MessageFrame, MessageType, ParsedFrame, SeqFrame } from './frame-types.ts'
import { wireHeaderBytes, writeWireHeader } from './wire-frame.ts'

export type FrameResult = Result<ParsedFrame, InvalidReason>

/** Most bytes of a CBOR integer, which a seq may grow to when the frame is sent on. */
const SEQ_BYTES_MAX = 9
/** Longest text of a stranger's error, info or type name that is kept, in UTF-16 units. */
const TEXT_CHARS_MAX = 512

type KnownType = MessageType | '#info'

interface Header {
  readonly op: 1 | -1
  readonly type: string
  /** Where the body begins. */
  readonly end: number
}

const KNOWN_TYPES: readonly KnownType[] = ['#commit', '#identity', '#account', '#sync', '#info']

/** The header of nearly all messages of a type: {"t": type, "op": 1}, keys in DRISL order. */
export function usualHeader(type: KnownType): Uint8Array {
  const text = utf8(type)
  return Uint8Array.of(0xa2, 0x61, 0x74, 0x60 + text.length, ...text, 0x62, 0x6f, 0x70, 1)
}

const KNOWN_HEADERS: readonly { readonly bytes: Uint8Array; readonly header: Header }[] =
  KNOWN_TYPES.map((type) => {
    const bytes = usualHeader(type)
    return { bytes, header: { op: 1, type, end: bytes.length } }
  })

/**
 * Parses one event-stream frame (the payload of one WebSocket message). Never throws.
 *
 * Unknown fields are allowed everywhere and stay in `bytes`. A message of an unknown type is a
 * success of kind `unknown`; an unknown `op` is a failure. The result holds views into `received`,
 * which must not change while it is in use. Not checked: whether seq rises, and everything inside
 * `blocks`.
 *
 * A frame so close to FRAME_BYTES_MAX that a longer seq would push it over is refused as too large,
 * so that every accepted frame can be sent on.
 */
export function parseFrame(received: Uint8Array): FrameResult {
  const bytes = plainBytes(received)
  if (bytes.length > FRAME_BYTES_MAX) return fail('frame-too-large', `${bytes.length} bytes`)
  const parsedHeader = parseHeader(bytes)
  if (!parsedHeader.ok) return parsedHeader
  const header = parsedHeader.value
  const decoded = decodeDrisl(bytes, DRISL_ITEMS_MAX, header.end)
  if (!decoded.ok) return fail('frame-malformed', `body: ${decoded.reason}`)
  const body = decoded.value
  if (!isRawBody(body)) return fail('frame-malformed', 'body is not a map')
  if (header.op === -1) return errorFrame(body)
  if (!isKnownType(header.type)) return ok(unknownFrame(header.type, body))
  const fault = checkBody(header.type, body)
  if (fault !== null) return fault
  if (header.type === '#info') return ok(infoFrame(body))
  return messageFrame(bytes, header.end, header.type, body)
}

function isKnownType(type: string): type is KnownType {
  return (KNOWN_TYPES as readonly string[]).includes(type)
}

function parseHeader(bytes: Uint8Array): Result<Header, InvalidReason> {
  for (const known of KNOWN_HEADERS) if (startsWith(bytes, known.bytes)) return ok(known.header)
  const end = checkDrisl(bytes)
  if (end < 0) return fail('frame-malformed', `header: ${drislFault(end)}`)
  const decoded = decodeDrisl(bytes.subarray(0, end))
  if (!decoded.ok) return fail('frame-malformed', `header: ${decoded.reason}`)
  if (!isRawBody(decoded.value)) return fail('frame-malformed', 'header is not a map')
  const { op, t } = decoded.value
  if (typeof op !== 'number') return fail('frame-malformed', 'header has no integer op')
  if (op === -1) return ok({ op, type: '', end })
  if (op !== 1) return fail('frame-unknown-op', `op is ${op}`)
  if (typeof t !== 'string') return fail('frame-malformed', 'header has no text t')
  return ok({ op, type: t, end })
}

const SEQ_KEY = utf8('seq')

function messageFrame(
  bytes: Uint8Array,
  bodyOffset: number,
  type: MessageType,
  body: RawBody,
): FrameResult {
  const entry = findMapEntry(bytes, bodyOffset, SEQ_KEY)
  assert(entry !== null, 'a checked body has a seq')
  const { start, end } = entry.value
  if (bytes.length - (end - start) + SEQ_BYTES_MAX > FRAME_BYTES_MAX) {
    return fail('frame-too-large', `${bytes.length} bytes leave no room for another seq`)
  }
  const frame = {
    kind: 'message',
    type,
    body,
    bytes,
    seq: body['seq'],
    seqOffset: start,
    seqLength: end - start,
  }
  // checkBody has shown that the body is the one that belongs to the type.
  return ok(frame as unknown as MessageFrame)
}

function cut(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, TEXT_CHARS_MAX) : undefined
}

function errorFrame(body: RawBody): FrameResult {
  const error = cut(body['error'])
  if (error === undefined) return fail('frame-schema', 'error frame: error is not text')
  const message = cut(body['message'])
  return ok({ kind: 'error', error, ...(message === undefined ? {} : { message }) })
}

function infoFrame(body: RawBody): ParsedFrame {
  const message = cut(body['message'])
  return {
    kind: 'info',
    name: cut(body['name']) ?? '',
    ...(message === undefined ? {} : { message }),
  }
}

function unknownFrame(type: string, body: RawBody): ParsedFrame {
  const { seq } = body
  return {
    kind: 'unknown',
    type: type.slice(0, TEXT_CHARS_MAX),
    ...(isSeq(seq) ? { seq } : {}),
    body,
  }
}

function newArray(bytes: number): Uint8Array {
  return new Uint8Array(bytes)
}

/** How many bytes the shortest CBOR form of a non-negative safe integer takes. */
function integerBytes(value: number): number {
  if (value < 24) return 1
  if (value < 2 ** 8) return 2
  if (value < 2 ** 16) return 3
  return value < 2 ** 32 ? 5 : 9
}

function writeInteger(out: Uint8Array, offset: number, value: number, length: number): void {
  if (length === 1) {
    out[offset] = value
    return
  }
  out[offset] = length === 2 ? 24 : length === 3 ? 25 : length === 5 ? 26 : 27
  let rest = value
  for (let i = offset + length - 1; i > offset; i--) {
    out[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
}

/**
 * The frame as subscribers get it: an unmasked WebSocket binary frame whose payload is
 * `frame.bytes` with nothing but the integer of `seq` replaced, in its shortest form. One new
 * array.
 *
 * @param allocate Gives so many bytes, whatever is in them; the default makes a new array.
 */
export function encodeWireFrame(
  frame: SeqFrame,
  seq: number,
  allocate: (bytes: number) => Uint8Array = newArray,
): Uint8Array {
  assert(isSeq(seq), () => `seq out of range: seq=${seq} max=${SEQ_MAX}`)
  const { bytes, seqOffset, seqLength } = frame
  const length = integerBytes(seq)
  const payloadBytes = bytes.length - seqLength + length
  const out = allocate(wireHeaderBytes(payloadBytes) + payloadBytes)
  const start = writeWireHeader(out, payloadBytes)
  out.set(bytes.subarray(0, seqOffset), start)
  writeInteger(out, start + seqOffset, seq, length)
  out.set(bytes.subarray(seqOffset + seqLength), start + seqOffset + length)
  return out
}
