/** SHA-256, synchronous in every runtime. */
import { runtime } from '#runtime'

import type { Sha256 } from './runtime.ts'

/** The 32 bytes of SHA-256(`bytes`), in a new array that the caller owns. */
export const sha256: (bytes: Uint8Array) => Uint8Array = runtime.sha256

/**
 * SHA-256(`bytes`) as 32 characters of U+0000 to U+00FF, one a byte: on Node the cheapest form, and
 * comparable with another such string without touching bytes.
 */
export const sha256Latin1: (bytes: Uint8Array) => string = runtime.sha256Latin1

/** A hash of nothing yet. */
export const createSha256: () => Sha256 = runtime.createSha256
