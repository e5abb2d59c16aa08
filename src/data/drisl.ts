/**
 * Strict DRISL, the deterministic CBOR of atproto: checking and reading.
 *
 * Bytes are checked first, without building anything, and then decoded by ./drisl-decode.ts, which
 * relies on the check; ./drisl-encode.ts writes. Tests hold all against `@atcute/cbor`.
 *
 * Rules (atproto data model, DASL DRISL): shortest integers and lengths, definite lengths, map keys
 * text, unique and sorted by length then bytes, text valid UTF-8, tag 42 around a CID and no other
 * tag, only false, true and null of the simple values, no floats, integers within 53 bits, at most
 * DRISL_DEPTH_MAX levels of arrays and maps. CIDs are version 1, dag-cbor or raw, SHA-256.
 */
import { DRISL_DEPTH_MAX, DRISL_ITEMS_MAX } from '../lib/limits.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { CID_BYTES, isCidBytes } from './cid.ts'
import { buildValue } from './drisl-decode.ts'
import { utf8End } from './utf8.ts'

/** What is wrong with bytes that are not strict DRISL. */
export type DrislFault =
  | 'truncated'
  | 'not-minimal'
  | 'integer-range'
  | 'indefinite-length'
  | 'reserved-head'
  | 'invalid-utf8'
  | 'tag'
  | 'cid'
  | 'float'
  | 'simple-value'
  | 'map-key'
  | 'map-key-order'
  | 'too-deep'
  | 'too-many-items'
  | 'trailing-bytes'

const FAULTS: readonly DrislFault[] = [
  'truncated',
  'not-minimal',
  'integer-range',
  'indefinite-length',
  'reserved-head',
  'invalid-utf8',
  'tag',
  'cid',
  'float',
  'simple-value',
  'map-key',
  'map-key-order',
  'too-deep',
  'too-many-items',
  'trailing-bytes',
]

const outcomeOf = (fault: DrislFault): number => -1 - FAULTS.indexOf(fault)

const TRUNCATED = outcomeOf('truncated')
const NOT_MINIMAL = outcomeOf('not-minimal')
const INTEGER_RANGE = outcomeOf('integer-range')
const INDEFINITE = outcomeOf('indefinite-length')
const RESERVED_HEAD = outcomeOf('reserved-head')
const INVALID_UTF8 = outcomeOf('invalid-utf8')
const TAG = outcomeOf('tag')
const CID = outcomeOf('cid')
const FLOAT = outcomeOf('float')
const SIMPLE = outcomeOf('simple-value')
const MAP_KEY = outcomeOf('map-key')
const MAP_KEY_ORDER = outcomeOf('map-key-order')
const TOO_DEEP = outcomeOf('too-deep')
const TOO_MANY = outcomeOf('too-many-items')

/** The fault that a negative outcome of {@link checkDrisl} stands for. */
export function drislFault(outcome: number): DrislFault {
  return FAULTS[-1 - outcome] ?? 'truncated'
}

const MAJOR_NEGATIVE = 1
const MAJOR_BYTES = 2
const MAJOR_TEXT = 3
const MAJOR_ARRAY = 4
const MAJOR_MAP = 5
const MAJOR_TAG = 6

// A head is read by `readHead`, which leaves the argument and the position after it here: returning
// an object for each head would be most of the cost of checking.
let headArgument = 0
let headEnd = 0

/** Reads the head at `pos`. Returns its major type, or a negative fault. */
function readHead(bytes: Uint8Array, pos: number): number {
  if (pos >= bytes.length) return TRUNCATED
  const initial = bytes[pos] as number
  const info = initial & 31
  const major = initial >> 5
  if (info < 24) {
    headArgument = info
    headEnd = pos + 1
    return major
  }
  if (info > 27) return info === 31 ? INDEFINITE : RESERVED_HEAD
  const width = 1 << (info - 24)
  if (pos + 1 + width > bytes.length) return TRUNCATED
  if (major === 7) return info === 24 ? SIMPLE : FLOAT
  let argument = 0
  for (let i = 1; i <= width; i++) argument = argument * 256 + (bytes[pos + i] as number)
  const least = info === 24 ? 24 : info === 25 ? 2 ** 8 : info === 26 ? 2 ** 16 : 2 ** 32
  if (argument < least) return NOT_MINIMAL
  if (argument > Number.MAX_SAFE_INTEGER) return INTEGER_RANGE
  headArgument = argument
  headEnd = pos + 1 + width
  return major
}

/**
 * Compares a map key with the one before it: positive when it sorts after, by length then bytes.
 */
function keyOrder(bytes: Uint8Array, before: number, beforeEnd: number, at: number, end: number) {
  const lengths = end - at - (beforeEnd - before)
  if (lengths !== 0) return lengths
  for (let i = 0; at + i < end; i++) {
    const difference = (bytes[at + i] as number) - (bytes[before + i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

// The open arrays and maps: how many items are still to come, and where the last key of a map lay.
const remaining = new Float64Array(DRISL_DEPTH_MAX)
const lastKeyStart = new Float64Array(DRISL_DEPTH_MAX)
const lastKeyEnd = new Float64Array(DRISL_DEPTH_MAX)
const ARRAY_LEVEL = -2
const FIRST_KEY = -1

/**
 * Checks one DRISL value at `start` without building it.
 *
 * @param itemsMax Most items, entries of maps counted once.
 * @returns The offset after the value, or a negative number that {@link drislFault} names. Does not
 *   care about what follows the value.
 */
export function checkDrisl(bytes: Uint8Array, start = 0, itemsMax: number = Infinity): number {
  let pos = start
  let depth = 0
  for (let items = 0; ; items++) {
    if (items === itemsMax) return TOO_MANY
    if (depth > 0 && (lastKeyStart[depth - 1] as number) !== ARRAY_LEVEL) {
      pos = checkKey(bytes, pos, depth - 1)
      if (pos < 0) return pos
    }
    const major = readHead(bytes, pos)
    if (major < 0) return major
    const argument = headArgument
    if (major === MAJOR_ARRAY || major === MAJOR_MAP) {
      if (depth === DRISL_DEPTH_MAX) return TOO_DEEP
      pos = headEnd
      if (argument > 0) {
        // Every item takes a byte or more, so that a length bomb ends here and not in the loop.
        if (argument > bytes.length - pos) return TRUNCATED
        remaining[depth] = argument
        lastKeyStart[depth] = major === MAJOR_MAP ? FIRST_KEY : ARRAY_LEVEL
        depth++
        continue
      }
    } else {
      pos = checkScalar(bytes, major, argument)
      if (pos < 0) return pos
    }
    while (depth > 0) {
      const left = (remaining[depth - 1] as number) - 1
      remaining[depth - 1] = left
      if (left > 0) break
      depth--
    }
    if (depth === 0) return pos
  }
}

/** Checks the map key at `pos` of the map at `level`. Returns the offset after it, or a fault. */
function checkKey(bytes: Uint8Array, pos: number, level: number): number {
  const major = readHead(bytes, pos)
  if (major < 0) return major
  if (major !== MAJOR_TEXT) return MAP_KEY
  const keyStart = headEnd
  const keyEnd = keyStart + headArgument
  const end = utf8End(bytes, keyStart, headArgument)
  if (end < 0) return keyEnd > bytes.length ? TRUNCATED : INVALID_UTF8
  const before = lastKeyStart[level] as number
  if (before !== FIRST_KEY) {
    const order = keyOrder(bytes, before, lastKeyEnd[level] as number, keyStart, keyEnd)
    if (order <= 0) return MAP_KEY_ORDER
  }
  lastKeyStart[level] = keyStart
  lastKeyEnd[level] = keyEnd
  return keyEnd
}

/**
 * Checks what is neither array nor map, after its head. Returns the offset after it, or a fault.
 */
function checkScalar(bytes: Uint8Array, major: number, argument: number): number {
  const after = headEnd
  switch (major) {
    case 0:
      return after
    case MAJOR_NEGATIVE:
      return argument === Number.MAX_SAFE_INTEGER ? INTEGER_RANGE : after
    case MAJOR_BYTES:
      return argument > bytes.length - after ? TRUNCATED : after + argument
    case MAJOR_TEXT: {
      if (argument > bytes.length - after) return TRUNCATED
      return utf8End(bytes, after, argument) < 0 ? INVALID_UTF8 : after + argument
    }
    case MAJOR_TAG:
      return argument === 42 ? checkCidLink(bytes, after) : TAG
    default:
      return argument >= 20 && argument <= 22 ? after : SIMPLE
  }
}

/** The byte string of a CID link: 0x58 0x25, a zero byte, then the 36 bytes of the CID. */
function checkCidLink(bytes: Uint8Array, pos: number): number {
  const end = pos + 3 + CID_BYTES
  if (end > bytes.length) return TRUNCATED
  if (bytes[pos] !== 0x58 || bytes[pos + 1] !== CID_BYTES + 1 || bytes[pos + 2] !== 0) return CID
  return isCidBytes(bytes, pos + 3) ? end : CID
}

/**
 * Decodes exactly one DRISL value that fills `bytes` from `start` on.
 *
 * Maps become plain objects, byte strings `BytesWrapper` (`.buf`), links `CidLinkWrapper`
 * (`.bytes`: 36 bytes, a view into `bytes`). Values may be views: copy what outlives `bytes`.
 *
 * @param itemsMax Most items: what is decoded takes many times its bytes.
 */
export function decodeDrisl(
  bytes: Uint8Array,
  itemsMax: number = DRISL_ITEMS_MAX,
  start: number = 0,
): Result<unknown, DrislFault> {
  const end = checkDrisl(bytes, start, itemsMax)
  if (end < 0) return fail(drislFault(end), `DRISL: ${drislFault(end)}`)
  if (end !== bytes.length)
    return fail('trailing-bytes', `DRISL: ${bytes.length - end} bytes after`)
  return ok(buildValue(bytes, start))
}

/** A byte range, `end` exclusive. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** One entry of a map in bytes: the whole of key and value, and the value alone. */
export interface MapEntryRange {
  readonly keyStart: number
  readonly value: ByteRange
}

/**
 * Finds `key` in the map that stands at `mapOffset` of bytes that {@link checkDrisl} has accepted.
 * Null when there is no map or no such key.
 */
export function findMapEntry(
  bytes: Uint8Array,
  mapOffset: number,
  key: Uint8Array,
): MapEntryRange | null {
  if (readHead(bytes, mapOffset) !== MAJOR_MAP) return null
  const count = headArgument
  let pos = headEnd
  for (let i = 0; i < count; i++) {
    const keyStart = pos
    if (readHead(bytes, pos) !== MAJOR_TEXT) return null
    const nameStart = headEnd
    const valueStart = nameStart + headArgument
    const end = skipValue(bytes, valueStart)
    if (end < 0) return null
    if (rangeEquals(bytes, nameStart, valueStart, key)) {
      return { keyStart, value: { start: valueStart, end } }
    }
    pos = end
  }
  return null
}

/** The offset after the value at `start`, which has been checked before; negative when cut. */
function skipValue(bytes: Uint8Array, start: number): number {
  let pos = start
  for (let left = 1; left > 0; left--) {
    const major = readHead(bytes, pos)
    if (major < 0) return major
    pos = headEnd
    if (major === MAJOR_BYTES || major === MAJOR_TEXT) pos += headArgument
    else if (major === MAJOR_ARRAY) left += headArgument
    else if (major === MAJOR_MAP) left += headArgument * 2
    else if (major === MAJOR_TAG) left++
  }
  return pos
}

/**
 * Goes through the map at `mapOffset` of bytes that nobody has checked, until `visit`, which is
 * told where a name begins and ends, returns false or the map ends. The value follows the name. No
 * more is read than that takes, and no depth is too great.
 *
 * @returns False when there is no map whose entries can be told apart.
 */
export function scanMap(
  bytes: Uint8Array,
  mapOffset: number,
  visit: (nameStart: number, nameEnd: number) => boolean,
): boolean {
  if (readHead(bytes, mapOffset) !== MAJOR_MAP) return false
  const count = headArgument
  let pos = headEnd
  for (let i = 0; i < count; i++) {
    if (readHead(bytes, pos) !== MAJOR_TEXT) return false
    const nameStart = headEnd
    const nameEnd = nameStart + headArgument
    if (nameEnd >= bytes.length) return false
    if (!visit(nameStart, nameEnd)) return true
    pos = skipValue(bytes, nameEnd)
    if (pos < 0) return false
  }
  return true
}

/** The whole number from 0 on that stands at `offset`, and where it ends; null for all else. */
export function uintAt(
  bytes: Uint8Array,
  offset: number,
): { readonly value: number; readonly end: number } | null {
  return readHead(bytes, offset) === 0 ? { value: headArgument, end: headEnd } : null
}

/** Where the text that stands at `offset` begins and ends; null for all else. Not checked. */
export function textAt(bytes: Uint8Array, offset: number): ByteRange | null {
  if (readHead(bytes, offset) !== MAJOR_TEXT) return null
  const end = headEnd + headArgument
  return end > bytes.length ? null : { start: headEnd, end }
}

function rangeEquals(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false
  for (let i = 0; i < other.length; i++) if (bytes[start + i] !== other[i]) return false
  return true
}

/**
 * The number of entries of the map at `offset`, with the length of its head; null when not a map.
 */
export function mapHead(
  bytes: Uint8Array,
  offset: number,
): { readonly count: number; readonly end: number } | null {
  if (readHead(bytes, offset) !== MAJOR_MAP) return null
  return { count: headArgument, end: headEnd }
}
