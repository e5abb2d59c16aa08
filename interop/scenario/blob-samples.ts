/** Blobs that accounts upload. Real PDSes believe their bytes more than the type that is named. */

export interface Sample {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly mimeType: string
}

/** A PNG of one pixel. */
const PIXEL_BASE64 =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

/** More than one piece of reading and of sending, and no multiple of any. */
const LARGE_BYTES = 200_003

export const PIXEL: Sample = { bytes: bytesOf(atob(PIXEL_BASE64)), mimeType: 'image/png' }

/** The beginning of a JPEG, as far as anybody looks. */
export const PHOTO: Sample = {
  bytes: bytesOf(`\u00ff\u00d8\u00ff\u00e0\u0000\u0010JFIF\u0000 and so on`),
  mimeType: 'image/jpeg',
}

export const NOTE: Sample = { bytes: bytesOf('not an image'), mimeType: 'text/plain' }

/** A type that nobody knows, with every sign that occurs in names of types. */
export const ODD: Sample = {
  bytes: Uint8Array.from({ length: LARGE_BYTES }, (_, n) => (n * 31 + (n >> 8)) % 251),
  mimeType: 'application/vnd.example.odd-thing_v1.2+thing',
}

/** One byte, of a type that says nothing. */
export const BYTE: Sample = { bytes: bytesOf('.'), mimeType: 'application/octet-stream' }

export const SAMPLES: readonly Sample[] = [PIXEL, PHOTO, ODD, BYTE]

function bytesOf(binary: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
