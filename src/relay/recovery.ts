/**
 * Brings state up to the log after a start (I8), and finds which events of each host the log
 * already holds, so that what hosts send again is not taken twice.
 */
import { parseCar } from '../data/car.ts'
import { must } from '../lib/assert.ts'
import { crashPoint } from '../lib/crash-point.ts'
import { COMMIT_CAR_BLOCKS_MAX } from '../lib/limits.ts'
import type { IndexEntry, LogRecord } from '../log/log-types.ts'
import { decodeCommit } from '../repo/commit.ts'
import type { AccountRow, HostProgress, HostRow, RelayStore } from '../store/relay-store.ts'
import { parseFrame } from '../stream/frame.ts'
import type { MessageFrame } from '../stream/frame-types.ts'
import { payloadRange } from '../stream/wire-frame.ts'
import { SkeinError } from '../lib/errors.ts'
import type { Accounts } from './accounts.ts'
import type { SequencePlace } from './host-sequence.ts'
import { withStatus } from './judge.ts'
import { ownActOf, rowAfterOwn } from './own-events.ts'

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
  if (applied < log.durableSeq) crashPoint('relay-recovery.behind')
  let count = 0
  let last = applied
  const rows = new Map<string, AccountRow>()
  const ahead = new AheadMarks(store.hosts())
  const commit = (): void => {
    store.apply({ accounts: rows.values(), hosts: ahead.take(), appliedSeq: last })
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
    ahead.note(record.entry)
    last = record.entry.seq
    count++
    if (rows.size >= RECOVERY_BATCH) commit()
  }
  if (count > 0) commit()
  if (count > 0) crashPoint('relay-recovery.caught-up')
  return count
}

/**
 * Where in the log the events lie that hosts do not know to be taken in. State no longer says so by
 * itself once it has caught up, and the next start, should this one be killed before a cursor is
 * saved, must find them again.
 */
class AheadMarks {
  readonly #rows: Map<number, HostRow>
  #changed = new Set<number>()

  constructor(rows: readonly HostRow[]) {
    this.#rows = new Map(rows.map((row) => [row.id, row]))
  }

  /** Entries come in the order of the log: the first of a host is the one to remember. */
  note({ hostId, seq }: IndexEntry): void {
    const row = this.#rows.get(hostId)
    if (row === undefined || row.aheadFromSeq !== null) return
    this.#rows.set(hostId, { ...row, aheadFromSeq: seq })
    this.#changed.add(hostId)
  }

  /** The hosts that are to be saved, once. */
  take(): HostProgress[] {
    const changed = [...this.#changed].map((id) => must(this.#rows.get(id), 'host'))
    this.#changed = new Set()
    return changed
  }
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
  const isOwn = entry.hostId === 0
  const { act, hostId } = isOwn ? ownActOf(entry) : { act: null, hostId: entry.hostId }
  // What made an account known may have been purged since.
  const account = known === null ? accounts.fresh(did, hostId) : { ...known, hostId }
  if (message.type === '#identity') return account
  if (message.type !== '#account') return { ...account, ...headFrom(message, entry.seq) }
  return act === null
    ? withStatus(account, message.body, entry.seq)
    : rowAfterOwn(act, account, message.body, entry.seq)
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

/**
 * Finds where every host's stream stands, as log and state say together: which of its events over
 * its cursor the log holds already. State says how far back they may lie.
 *
 * @param appliedSeq What state said of the log before it was caught up.
 */
export async function hostPlaces(
  log: RecoveryLog,
  hosts: readonly HostRow[],
  appliedSeq: number,
): Promise<Map<number, SequencePlace>> {
  const places = new Map<number, Place>()
  let fromSeq = appliedSeq + 1
  for (const { id, epoch, cursor, aheadFromSeq } of hosts) {
    places.set(id, { epoch, cursor, ahead: new Map() })
    if (aheadFromSeq !== null) fromSeq = Math.min(fromSeq, aheadFromSeq)
  }
  for await (const entry of log.indexBackwards()) {
    if (entry.seq < fromSeq) break
    const place = places.get(entry.hostId)
    if (place !== undefined) note(place, entry)
  }
  return places
}

interface Place {
  epoch: number
  cursor: number | null
  ahead: Map<number, number>
}

function note(place: Place, entry: IndexEntry): void {
  if (entry.hostEpoch < place.epoch) return
  if (entry.hostEpoch > place.epoch) {
    // State was lost before it heard that the host had started over.
    place.epoch = entry.hostEpoch
    place.cursor = 0
    place.ahead = new Map()
  }
  if (place.cursor === null || entry.hostSeq > place.cursor) {
    place.ahead.set(entry.hostSeq, entry.seq)
  }
}
