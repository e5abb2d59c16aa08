/** Reading the files of vectors: JSON, frames, and the JSON form of the atproto data model. */
import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'

import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'

import { parseVerificationMethodKey, type PublicKey } from '../../src/crypto/public-key.ts'
import { cidFromString } from '../../src/data/cid.ts'

/** The parsed JSON of a file; its shape is the caller's claim. */
export async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T
}

/** The bytes of a file, unpacked when its name ends in `.gz`. */
export async function readBytes(path: string): Promise<Buffer> {
  const stored = await readFile(path)
  return path.endsWith('.gz') ? gunzipSync(stored) : stored
}

/** Frames of a file: u32 little-endian length, bytes, and so on. Each is a copy. */
export async function readFrames(path: string): Promise<Uint8Array[]> {
  const bytes = await readBytes(path)
  const frames: Uint8Array[] = []
  for (let offset = 0; offset < bytes.length;) {
    const end = offset + 4 + bytes.readUInt32LE(offset)
    frames.push(new Uint8Array(bytes.subarray(offset + 4, end)))
    offset = end
  }
  return frames
}

interface DidDocument {
  readonly verificationMethod: readonly {
    readonly id: string
    readonly type: string
    readonly publicKeyMultibase: string
  }[]
}

/** The atproto signing key of each DID in a file of DID documents, in either format. */
export async function readKeys(path: string): Promise<ReadonlyMap<string, PublicKey>> {
  const documents = await readJson<Readonly<Record<string, DidDocument>>>(path)
  const keys = new Map<string, PublicKey>()
  for (const [did, { verificationMethod }] of Object.entries(documents)) {
    const method = verificationMethod.find(({ id }) => id.endsWith('#atproto'))
    const key = method && parseVerificationMethodKey(method.type, method.publicKeyMultibase)
    if (key) keys.set(did, key)
  }
  return keys
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/**
 * The value of the data model that a JSON value stands for (data model specification, "JSON
 * representation"): `$link` and `$bytes` objects become links and bytes. Throws on what is not
 * valid, but leaves numbers to the encoder.
 */
export function fromDataJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(fromDataJson)
  const map = value as Readonly<Record<string, unknown>>
  if ('$link' in map) return linkOf(map)
  if ('$bytes' in map) return bytesOf(map)
  checkType(map)
  return Object.fromEntries(Object.entries(map).map(([key, item]) => [key, fromDataJson(item)]))
}

function linkOf(map: Readonly<Record<string, unknown>>): CidLinkWrapper {
  const text = map['$link']
  const cid = typeof text === 'string' ? cidFromString(text) : null
  if (cid === null || Object.keys(map).length !== 1) throw new Error('$link is malformed')
  return new CidLinkWrapper(cid)
}

function bytesOf(map: Readonly<Record<string, unknown>>): BytesWrapper {
  const text = map['$bytes']
  if (typeof text !== 'string' || !BASE64.test(text) || Object.keys(map).length !== 1) {
    throw new Error('$bytes is malformed')
  }
  return new BytesWrapper(new Uint8Array(Buffer.from(text, 'base64')))
}

function checkType(map: Readonly<Record<string, unknown>>): void {
  if (!('$type' in map)) return
  const type = map['$type']
  if (typeof type !== 'string' || type === '') throw new Error('$type is not a name')
  if (type !== 'blob') return
  const { ref, mimeType, size } = map
  const isRef = typeof ref === 'object' && ref !== null && '$link' in ref
  if (!isRef || typeof mimeType !== 'string' || !Number.isSafeInteger(size)) {
    throw new Error('blob is malformed')
  }
}

/** The JSON value that stands for a value of the data model. Bytes are base64 without padding. */
export function toDataJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof CidLinkWrapper) return { $link: value.$link }
  if (value instanceof BytesWrapper) {
    return { $bytes: Buffer.from(value.buf).toString('base64').replace(/=+$/, '') }
  }
  if (Array.isArray(value)) return value.map(toDataJson)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toDataJson(item)]))
}
