/** What can become of an event at admission. */
import type { PublicKey } from '../crypto/public-key.ts'
import type { Reason } from '../lib/reasons.ts'
import type { AccountRow } from '../store/relay-store.ts'

/**
 * - `pass`: to be sequenced; `account` is the row as the event leaves it, given the event's seq;
 * - `drop`: refused for good;
 * - `verify`: its frame has to be verified with this key before it can be decided;
 * - `doubt-identity`: refused on what is known of the DID, which should be asked for anew once;
 * - `doubt-status`: refused because the account is inactive, which its host should be asked about
 *   once.
 */
export type Decision = Pass | Drop | Doubt | { readonly kind: 'verify'; readonly key: PublicKey }

export interface Pass {
  readonly kind: 'pass'
  readonly account: (seq: number) => AccountRow
  readonly remarks: readonly Remark[]
}

export interface Drop {
  readonly kind: 'drop'
  readonly reason: Reason
  readonly detail: string
}

export interface Doubt {
  readonly kind: 'doubt-identity' | 'doubt-status'
  readonly reason: Reason
  readonly detail: string
}

/** Something worth counting about an event that passes. */
export interface Remark {
  readonly reason: Reason
  readonly detail: string
}

export function drop(reason: Reason, detail: string): Drop {
  return { kind: 'drop', reason, detail }
}
