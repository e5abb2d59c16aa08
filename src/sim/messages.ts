/** Frames of any content, and the bodies of messages that nobody signs. */
import { encodeDrisl } from '../data/drisl-encode.ts'
import { concatBytes } from '../lib/bytes.ts'

/** Encodes any frame; nothing is checked, so that it may be of an unknown kind. */
export function frameOf(header: unknown, body: unknown): Uint8Array {
  return concatBytes([encodeDrisl(header), encodeDrisl(body)])
}

/** A datetime of atproto, in milliseconds and UTC. */
export function datetimeOf(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** Fields of an `#account` body but for its seq. Any status but `active` means not active. */
export interface AccountFields {
  readonly did: string
  readonly time: string
  readonly active: boolean
  readonly status?: string
}

export function accountBody(did: string, timeMs: number, status: string): AccountFields {
  const time = datetimeOf(timeMs)
  return status === 'active' ? { did, time, active: true } : { did, time, active: false, status }
}

/** Fields of an `#identity` body but for its seq. */
export interface IdentityFields {
  readonly did: string
  readonly time: string
  readonly handle?: string
}

export function identityBody(did: string, timeMs: number, handle?: string): IdentityFields {
  return { did, time: datetimeOf(timeMs), ...(handle === undefined ? {} : { handle }) }
}
