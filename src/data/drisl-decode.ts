/**
 * Builds values out of DRISL that has been checked. Because ./drisl.ts has accepted the bytes,
 * every head is in its shortest form, every length fits, text is valid and nesting is bounded;
 * nothing is looked at twice here.
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { utf8Text } from '../crypto/text.ts'
import { CID_BYTES } from './cid.ts'

/** Bytes of a link before its CID, after the tag's first byte: 42, 0x58, 37, 0. */
const LINK_HEAD_BYTES = 4
const NULL_INFO = 22
const TRUE_INFO = 21

const NO_BYTES = new Uint8Array(0)

// What is being read, and where: an object for them would be most of the cost of small values.
let source: Uint8Array = NO_BYTES
let pos = 0

/** The value at `start` of `bytes`, which `checkDrisl` has accepted. See `decodeDrisl`. */
export function buildValue(bytes: Uint8Array, start: number): unknown {
  source = bytes
  pos = start
  const value = readValue()
  source = NO_BYTES
  return value
}

function readValue(): unknown {
  const initial = source[pos++] as number
  const info = initial & 31
  switch (initial >> 5) {
    case 0:
      return readArgument(info)
    case 1:
      return -1 - readArgument(info)
    case 2:
      return new BytesWrapper(take(readArgument(info)))
    case 3:
      return readText(readArgument(info))
    case 4:
      return readList(readArgument(info))
    case 5:
      return readMap(readArgument(info))
    case 6:
      pos += LINK_HEAD_BYTES
      return new CidLinkWrapper(take(CID_BYTES))
    default:
      return info === NULL_INFO ? null : info === TRUE_INFO
  }
}

function readArgument(info: number): number {
  if (info < 24) return info
  let argument = 0
  for (let left = 1 << (info - 24); left > 0; left--) {
    argument = argument * 256 + (source[pos++] as number)
  }
  return argument
}

function take(length: number): Uint8Array {
  const start = pos
  pos += length
  return source.subarray(start, pos)
}

function readText(length: number): string {
  const start = pos
  pos += length
  return utf8Text(source, start, pos)
}

function readList(count: number): unknown[] {
  const out: unknown[] = []
  for (let i = 0; i < count; i++) out.push(readValue())
  return out
}

function readMap(count: number): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (let i = 0; i < count; i++) {
    const length = readArgument((source[pos++] as number) & 31)
    const key = readKey(length)
    const value = readValue()
    if (key !== '__proto__') out[key] = value
    else Object.defineProperty(out, key, { value, ...PLAIN_PROPERTY })
  }
  return out
}

const PLAIN_PROPERTY = { enumerable: true, configurable: true, writable: true }

/**
 * Keys that were read before, by a hash of their bytes: the same few stand in every message, and
 * making their text anew would cost more than all the rest of a small map. A key that hashes as
 * another takes its slot, so that the table never grows and strangers can only empty it.
 */
const KEY_SLOTS = 512
/** Longest key that is remembered, bytes. */
const KEY_BYTES_MAX = 32
const knownKeys: (KnownKey | null)[] = Array.from({ length: KEY_SLOTS }, () => null)

interface KnownKey {
  readonly bytes: Uint8Array
  readonly text: string
}

function readKey(length: number): string {
  if (length > KEY_BYTES_MAX) return readText(length)
  const start = pos
  let hash = length
  for (let i = start; i < start + length; i++)
    hash = (Math.imul(hash, 31) + (source[i] as number)) | 0
  const slot = hash & (KEY_SLOTS - 1)
  const known = knownKeys[slot] ?? null
  if (known !== null && isHere(known.bytes, length)) {
    pos += length
    return known.text
  }
  const text = readText(length)
  knownKeys[slot] = { bytes: source.slice(start, pos), text }
  return text
}

function isHere(key: Uint8Array, length: number): boolean {
  if (key.length !== length) return false
  for (let i = 0; i < length; i++) if (key[i] !== source[pos + i]) return false
  return true
}
