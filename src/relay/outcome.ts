/** What can become of an event at admission. */
import type { Reason } from '../lib/reasons.ts'
import type { AccountRow } from '../store/relay-store.ts'

/**
 * - `pass`: to be sequenced; `account` is the row as the event leaves it, given the event's seq;
 * - `drop`: refused for good;
 * - `doubt-identity`: refused on what is known of the DID, which should be asked for anew once;
 * - `doubt-status`: refused because the account is inactive, which its host should be asked about
 *   once.
 */
export type Decision =
  | {
      readonly kind: 'pass'
      readonly account: (seq: number) => AccountRow
      readonly remarks: readonly Remark[]
    }
  | {
      readonly kind: 'drop' | 'doubt-identity' | 'doubt-status'
      readonly reason: Reason
      readonly detail: string
    }

/** Something worth counting about an event that passes. */
export interface Remark {
  readonly reason: Reason
  readonly detail: string
}

export function drop(reason: Reason, detail: string): Decision {
  return { kind: 'drop', reason, detail }
}
