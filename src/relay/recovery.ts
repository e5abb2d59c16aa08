/**
 * Brings state up to the log after a start (I8), and finds which events of each host the log already
 * holds, so that what hosts send again is not taken twice.
 */
import { parseCar } from '../data/car.ts'
import { COMMIT_CAR_BLOCKS_MAX } from '../lib/limits.ts'
import { must } from '../lib/assert.ts'
import type { IndexEntry, LogRecord } from '../log/log-types.ts'
import { decodeCommit } from '../repo/commit.ts'
import type { AccountRow, HostRow, RelayStore } from '../store/relay-store.ts'
import { parseFrame } from '../stream/frame.ts'
import type { MessageFrame } from '../stream/frame-types.ts'
import { payloadRange } from '../stream/wire-frame.ts'
import { SkeinError } from '../lib/errors.ts'
import type { Accounts } from './accounts.ts'
import { DEFER_MS_MAX } from './admission.ts'
import { withStatus } from './judge.ts'

/** The part of the log that recovery reads. */
export interface RecoveryLog {
  readonly durableSeq: number
  entriesAfter(seq: number): AsyncIterable<LogRecord>
  indexBackwards(): AsyncIterable<IndexEntry>
}

/** Accounts taken over in one transaction. */
const RECOVERY_BATCH = 1_000

/**
 * Applies every event of the log that state has not taken in.
 *
 * @returns How many there were.
 * @throws SkeinError LOG_DAMAGED when an event of our own log cannot be read.
 */
export async function catchUpState(
  log: RecoveryLog,
  store: RelayStore,
  accounts: Accounts,
): Promise<number> {
  const applied = store.appliedSeq()
  if (applied > log.durableSeq) {
    throw new SkeinError(
      'LOG_DAMAGED',
      'recover state: the log ends before what state has seen; restore the log',
      {
        logSeq: log.durableSeq,
        stateSeq: applied,
      },
    )
  }
  let count = 0
  let last = applied
  const rows = new Map<string, AccountRow>()
  const commit = (): void => {
    store.apply({ accounts: rows.values(), hosts: [], appliedSeq: last })
    for (const did of rows.keys()) accounts.release(did)
    rows.clear()
  }
  for await (const record of log.entriesAfter(applied)) {
    const row = record.entry.purged ? null : rowAfter(record, accounts)
    if (row !== null) {
      if (!rows.has(row.did)) accounts.put(row)
      else accounts.replace(row)
      rows.set(row.did, row)
    }
    last = record.entry.seq
    count++
    if (rows.size >= RECOVERY_BATCH) commit()
  }
  if (count > 0) commit()
  return count
}

/** The account's row after an event of the log. */
function rowAfter({ entry, frame }: LogRecord, accounts: Accounts): AccountRow {
  const range = payloadRange(frame, 0)
  const parsed = range === null ? null : parseFrame(frame.subarray(range.start, range.end))
  if (parsed === null || !parsed.ok || parsed.value.kind !== 'message') {
    throw new SkeinError('LOG_DAMAGED', 'recover state: an event cannot be read', {
      seq: entry.seq,
    })
  }
  const message = parsed.value
  const did = message.type === '#commit' ? message.body.repo : message.body.did
  const known = accounts.get(did)
  if (entry.hostId === 0)
    return ownStatus(must(known, 'account of an own event'), message, entry.seq)
  const account =
    known === null ? accounts.fresh(did, entry.hostId) : { ...known, hostId: entry.hostId }
  if (message.type === '#account') return withStatus(account, message.body, entry.seq)
  if (message.type === '#identity') return account
  return { ...account, ...headFrom(message, entry.seq) }
}

/** The relay's own events are about accounts only: a takedown, its end, or a host's corrected status. */
function ownStatus(account: AccountRow, message: MessageFrame, seq: number): AccountRow {
  if (message.type !== '#account') return account
  const takendown = !message.body.active && message.body.status === 'takendown'
  return takendown
    ? { ...account, takendown: true, inactiveSeq: account.inactiveSeq ?? seq }
    : { ...withStatus(account, message.body, seq), takendown: false }
}

function headFrom(
  message: Extract<MessageFrame, { readonly type: '#commit' | '#sync' }>,
  seq: number,
): Pick<AccountRow, 'rev' | 'commit' | 'data'> {
  const car = parseCar(message.body.blocks.buf, { blocksMax: COMMIT_CAR_BLOCKS_MAX })
  const cid = car.ok ? car.value.roots[0] : undefined
  const block = car.ok && cid !== undefined ? car.value.blocks.get(cid) : null
  const commit = block === null ? null : decodeCommit(block)
  if (cid === undefined || commit === null || !commit.ok) {
    throw new SkeinError('LOG_DAMAGED', 'recover state: a commit cannot be read', { seq })
  }
  return { rev: commit.value.rev, commit: cid.slice(), data: commit.value.data.slice() }
}

/** Where a host's stream stands, as log and state say together. */
export interface HostPosition {
  readonly epoch: number
  readonly cursor: number | null
  /** Seqs of the host over its cursor that are in the log. */
  readonly ahead: ReadonlySet<number>
}

/**
 * How far back the log is searched, from what state has taken in: no event waits longer than this
 * before it is logged, so that older ones lie under their host's cursor. Milliseconds.
 */
const SEARCH_BACK_MS = DEFER_MS_MAX * 2
/** Most entries searched. A network at 5,000 events a second logs this many in the time above. */
const SEARCH_ENTRIES_MAX = 3_000_000

/** Finds the position of every host. `appliedSeq` is what state said before it was caught up. */
export async function hostPositions(
  log: RecoveryLog,
  hosts: readonly HostRow[],
  appliedSeq: number,
): Promise<Map<number, HostPosition>> {
  const positions = new Map<number, { epoch: number; cursor: number | null; ahead: Set<number> }>()
  for (const { id, epoch, cursor } of hosts) positions.set(id, { epoch, cursor, ahead: new Set() })
  let endMs = Number.NEGATIVE_INFINITY
  let searched = 0
  for await (const entry of log.indexBackwards()) {
    if (entry.seq <= appliedSeq && endMs === Number.NEGATIVE_INFINITY) {
      endMs = entry.timeMs - SEARCH_BACK_MS
    }
    if (entry.timeMs < endMs || ++searched > SEARCH_ENTRIES_MAX) break
    const position = positions.get(entry.hostId)
    if (position === undefined || entry.hostEpoch < position.epoch) continue
    if (entry.hostEpoch > position.epoch) {
      // State was lost before it heard that the host had started over.
      position.epoch = entry.hostEpoch
      position.cursor = null
      position.ahead = new Set()
    }
    if (position.cursor === null || entry.hostSeq > position.cursor)
      position.ahead.add(entry.hostSeq)
  }
  return positions
}
