import { hash } from 'node:crypto'

/**
 * The 64-bit name of a DID in the index: the first 8 bytes of its SHA-256, as a big-endian number.
 * Two of n DIDs share a name with odds of n² / 2⁶⁵; meeting a given DID's name takes 2⁶⁴ tries.
 */
export function hashDid(did: string): bigint {
  return BigInt(`0x${hash('sha256', did, 'hex').slice(0, 16)}`)
}
