/**
 * Writing DRISL: the one canonical form of a value. (DASL specification, "DRISL"; atproto
 * specification, "data model".)
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { utf8 } from '../lib/bytes.ts'
import { SkeinError } from '../lib/errors.ts'
import { DRISL_DEPTH_MAX } from '../lib/limits.ts'
import { CID_BYTES, isCidBytes } from './cid.ts'

const MAJOR_NEGATIVE = 1
const MAJOR_BYTES = 2
const MAJOR_TEXT = 3
const MAJOR_ARRAY = 4
const MAJOR_MAP = 5

/** Appends a head of `major` with `argument`, in its shortest form, to `out`. */
export function pushHead(out: number[], major: number, argument: number): void {
  const top = major << 5
  if (argument < 24) out.push(top | argument)
  else if (argument < 2 ** 8) out.push(top | 24, argument)
  else if (argument < 2 ** 16) out.push(top | 25, argument >> 8, argument & 255)
  else {
    const low = argument >>> 0
    if (argument < 2 ** 32) out.push(top | 26)
    else {
      const high = Math.floor(argument / 2 ** 32)
      out.push(top | 27, high >>> 24, (high >>> 16) & 255, (high >>> 8) & 255, high & 255)
    }
    out.push(low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255)
  }
}

function pushBytes(out: number[], bytes: Uint8Array): void {
  for (const byte of bytes) out.push(byte)
}

/**
 * Encodes `value`: null, booleans, safe integers, text, `Uint8Array` or `BytesWrapper`, links,
 * arrays and plain objects (own enumerable keys; entries that are `undefined` are left out).
 *
 * @throws SkeinError ENCODE_UNSUPPORTED on anything else: floats, unsafe integers, lone surrogates,
 *   CIDs of another kind, values nested deeper than DRISL_DEPTH_MAX.
 */
export function encodeDrisl(value: unknown): Uint8Array {
  const out: number[] = []
  encodeInto(out, value, 0)
  return Uint8Array.from(out)
}

function encodeInto(out: number[], value: unknown, depth: number): void {
  if (value === null) out.push(0xf6)
  else if (typeof value === 'boolean') out.push(value ? 0xf5 : 0xf4)
  else if (typeof value === 'number') encodeInteger(out, value)
  else if (typeof value === 'string') encodeText(out, value)
  else if (typeof value === 'object') encodeObject(out, value, depth)
  else throw unsupported(typeof value)
}

function encodeInteger(out: number[], value: number): void {
  if (!Number.isSafeInteger(value)) throw unsupported(`number ${value}`)
  if (value >= 0) pushHead(out, 0, value)
  else pushHead(out, MAJOR_NEGATIVE, -1 - value)
}

function encodeText(out: number[], value: string): void {
  if (!value.isWellFormed()) throw unsupported('text with a lone surrogate')
  const bytes = utf8(value)
  pushHead(out, MAJOR_TEXT, bytes.length)
  pushBytes(out, bytes)
}

function encodeObject(out: number[], value: object, depth: number): void {
  if (value instanceof CidLinkWrapper) {
    const isCid = value.bytes.length === CID_BYTES && isCidBytes(value.bytes, 0)
    if (!isCid) throw unsupported('CID of another kind')
    out.push(0xd8, 42, 0x58, CID_BYTES + 1, 0)
    pushBytes(out, value.bytes)
  } else if (value instanceof Uint8Array || value instanceof BytesWrapper) {
    const bytes = value instanceof Uint8Array ? value : value.buf
    pushHead(out, MAJOR_BYTES, bytes.length)
    pushBytes(out, bytes)
  } else if (depth === DRISL_DEPTH_MAX) throw unsupported('value nested too deep')
  else if (Array.isArray(value)) {
    pushHead(out, MAJOR_ARRAY, value.length)
    for (const item of value) encodeInto(out, item, depth + 1)
  } else encodeMap(out, value, depth)
}

function encodeMap(out: number[], value: object, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw unsupported('class instance')
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => ({ key, bytes: utf8(key), item: item as unknown }))
  entries.sort((a, b) => {
    const lengths = a.bytes.length - b.bytes.length
    if (lengths !== 0) return lengths
    for (let i = 0; i < a.bytes.length; i++) {
      const difference = (a.bytes[i] as number) - (b.bytes[i] as number)
      if (difference !== 0) return difference
    }
    return 0
  })
  pushHead(out, MAJOR_MAP, entries.length)
  for (const { key, item } of entries) {
    encodeText(out, key)
    encodeInto(out, item, depth + 1)
  }
}

function unsupported(what: string): SkeinError {
  return new SkeinError('ENCODE_UNSUPPORTED', 'encode DRISL: value has no encoding', { what })
}
