/** Finds the blobs that a record refers to. (Data model specification, "blob type".) */
import { CidLinkWrapper } from '@atcute/cid'
import { cidEquals, cidFromString } from '../data/cid.ts'

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
  const found: BlobReference[] = []
  collect(value, found)
  return found
}

function collect(value: unknown, found: BlobReference[]): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) collect(item, found)
    return
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return
  const reference = referenceOf(value as Readonly<Record<string, unknown>>)
  if (reference === null) {
    for (const item of Object.values(value)) collect(item, found)
  } else if (!found.some(({ cid }) => cidEquals(cid, reference.cid))) found.push(reference)
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
