/** Finds the blobs that a record refers to. (Data model specification, "blob type".) */
import { CidLinkWrapper } from '@atcute/cid'
import { cidFromString } from '../data/cid.ts'
import { cidKey } from '../store/block-rows.ts'

/** A reference out of a record. */
export interface BlobReference {
  /** 36 bytes, the caller's. */
  readonly cid: Uint8Array
  /**
   * The form of before 2023, `{cid, mimeType}`. Nothing but its shape tells it from other data.
   */
  readonly legacy: boolean
}

/**
 * The blobs in a decoded record, each once, in order of first mention. Recursion is bounded by what
 * decoding lets through.
 */
export function blobReferences(value: unknown): BlobReference[] {
  const found = new Map<string, BlobReference>()
  collect(value, found)
  return [...found.values()]
}

function collect(value: unknown, found: Map<string, BlobReference>): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) collect(item, found)
    return
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return
  const reference = referenceOf(value as Readonly<Record<string, unknown>>)
  if (reference === null) {
    for (const item of Object.values(value)) collect(item, found)
    return
  }
  // A record may hold ten thousand: looking each up among the others would take seconds.
  const key = cidKey(reference.cid)
  if (!found.has(key)) found.set(key, reference)
}

function referenceOf(map: Readonly<Record<string, unknown>>): BlobReference | null {
  const { $type, ref, cid, mimeType } = map
  if ($type === 'blob' && ref instanceof CidLinkWrapper) {
    return { cid: ref.bytes.slice(), legacy: false }
  }
  const isLegacy =
    typeof cid === 'string' && typeof mimeType === 'string' && Object.keys(map).length === 2
  const bytes = isLegacy ? cidFromString(cid) : null
  return bytes === null ? null : { cid: bytes, legacy: true }
}
