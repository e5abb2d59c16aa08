/**
 * The `#account` events that the relay sends itself: what each does to an account, and how the log
 * tells them apart. State is brought up to the log by the same rules that made it.
 */
import { SkeinError } from '../lib/errors.ts'
import type { IndexEntry } from '../log/log-types.ts'
import type { AccountRow } from '../store/relay-store.ts'
import { withStatus } from './judge.ts'

/**
 * - `takedown`: the operator has taken the account down;
 * - `reversal`: the takedown has ended, and the status is again what the host last said;
 * - `correction`: the host was asked, and says otherwise than its last event.
 */
export type OwnAct = 'takedown' | 'reversal' | 'correction'

/** What such an event tells subscribers. */
export interface OwnStatus {
  readonly active: boolean
  readonly status?: string
}

/**
 * In the log an own event has host 0; the epoch stands for the act, the seq for the account's host.
 */
const ACTS: readonly OwnAct[] = ['takedown', 'reversal', 'correction']

/** Where an own event came from, as the log keeps it. */
export function ownOrigin(
  act: OwnAct,
  account: AccountRow,
): Pick<IndexEntry, 'hostId' | 'hostEpoch' | 'hostSeq'> {
  return { hostId: 0, hostEpoch: ACTS.indexOf(act) + 1, hostSeq: account.hostId }
}

/**
 * The act of an own event in the log, and the account's host at that time.
 *
 * @throws SkeinError LOG_DAMAGED when the entry is not one that {@link ownOrigin} makes.
 */
export function ownActOf(entry: IndexEntry): { readonly act: OwnAct; readonly hostId: number } {
  const act = ACTS[entry.hostEpoch - 1]
  if (act === undefined) {
    throw new SkeinError('LOG_DAMAGED', 'read log: an event of our own is of no known act', {
      seq: entry.seq,
    })
  }
  return { act, hostId: entry.hostSeq }
}

/** What subscribers are told. A correction brings its status along. */
export function ownStatus(act: 'takedown' | 'reversal', account: AccountRow): OwnStatus {
  if (act === 'takedown') return { active: false, status: 'takendown' }
  const { active, status } = account
  return { active, ...(status === null ? {} : { status }) }
}

/** The account's row after the event. */
export function rowAfterOwn(
  act: OwnAct,
  account: AccountRow,
  status: OwnStatus,
  seq: number,
): AccountRow {
  if (act === 'correction') return withStatus(account, status, seq)
  const takendown = act === 'takedown'
  const served = account.active && !takendown
  return { ...account, takendown, inactiveSeq: served ? null : (account.inactiveSeq ?? seq) }
}
