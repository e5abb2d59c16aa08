/**
 * What was missed while events were lost for good: an outage longer than the replay window, a relay
 * that began its sequence anew. A repository that writes again shows its gap by itself; one that
 * stays silent does not, and is found by comparing a listing with what is stored.
 */
import type { ConsumerStore, RepoRow, StoreChanges } from '../../store/consumer-state.ts'
import { cidFromString } from '../../data/cid.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { marked, parked, roused } from './repo-states.ts'
import type { SyncClient } from '../calls/sync-client.ts'
import type { ListedRepo } from '../calls/sync-types.ts'

export interface MissedOptions {
  /** Of the service whose stream is read. */
  readonly client: SyncClient
  /** No consumer may be running on it. */
  readonly store: ConsumerStore
  /** Accounts that are looked at; default all. */
  readonly wants?: (did: string) => boolean
  /** Whether repositories that the store does not know are fetched too; default `skip`. */
  readonly unknown?: 'fetch' | 'skip'
  /** Called for each account that is looked at: its `#account` event may have been lost. */
  readonly onListed?: (repo: ListedRepo) => MaybePromise<void>
  readonly clock?: Clock
}

/** Repositories of one {@link markMissed}. */
export interface MissedCounts {
  /** Looked at. */
  readonly listed: number
  /** Marked, so that the next consumer fetches them. */
  readonly marked: number
}

/** Repositories that are written to the store at once. */
const BATCH_REPOS = 500

/**
 * Reads the listing of a service and marks each repository that is at a later rev than what was
 * delivered of it. The next consumer on this store fetches the marked ones and delivers what
 * differs, deletes included.
 *
 * The listing is believed: a service can have repositories fetched in vain, or leave some out.
 * Accounts that the listing does not name are not found; ask for those you hold with
 * `getRepoStatus`. Statuses of accounts are noted in the store, not delivered: see `onListed`.
 *
 * Rejects with a CallError of the listing, or with what the store throws; what was marked until
 * then stays marked, and running it again is safe.
 */
export async function markMissed(options: MissedOptions): Promise<MissedCounts> {
  const { client, store, wants = () => true, unknown = 'skip', clock = systemClock } = options
  let listed = 0
  let markedCount = 0
  let changed: RepoRow[] = []
  for await (const repo of client.listRepos({ limit: 1_000 })) {
    if (!wants(repo.did)) continue
    listed++
    await options.onListed?.(repo)
    const row = await store.repo(repo.did)
    const now = afterListing(row ?? newRow(repo.did), repo, unknown, clock.nowMs())
    if (now === null) continue
    if (now.mark !== (row?.mark ?? null)) markedCount++
    changed.push(now)
    if (changed.length < BATCH_REPOS) continue
    await write(store, changed)
    changed = []
  }
  if (changed.length > 0) await write(store, changed)
  return { listed, marked: markedCount }
}

/** A record that the application holds. */
export interface HeldRecord {
  /** `<collection>/<record key>`. */
  readonly path: string
  /** As text. */
  readonly cid: string
}

/**
 * Tells the store what the application holds of an account, for when it was killed: a handler may
 * have finished what the store had no time to note. Without this, a repair does not deliver the
 * deletes of such records. What the store knows already stays.
 *
 * No consumer may be running on the store.
 *
 * @throws SkeinError SYNTAX_INVALID when a CID is none.
 */
export async function noteHeld(
  store: ConsumerStore,
  did: string,
  held: Iterable<HeldRecord>,
): Promise<void> {
  const records = new Map<string, Uint8Array>()
  for (const { path, cid } of held) {
    const bytes = cidFromString(cid)
    if (bytes === null) throw new SkeinError('SYNTAX_INVALID', 'note held records: not a CID')
    records.set(path, bytes)
  }
  if (records.size > 0) await write(store, [], [[did, records]])
}

function newRow(did: string): RepoRow {
  return { did, head: null, complete: false, inactive: null, mark: null, quarantined: 0 }
}

/** Null when nothing is to be changed. */
function afterListing(
  row: RepoRow,
  { rev, active = true, status }: ListedRepo,
  unknown: 'fetch' | 'skip',
  nowMs: number,
): RepoRow | null {
  const isKnown = row.head !== null || row.mark !== null
  const inactive = active ? null : (status ?? 'inactive')
  const noted = isKnown && row.inactive !== inactive ? { ...row, inactive } : row
  // What waited for the account to be active again may be tried now.
  const now = inactive === null && noted !== row ? roused(noted, nowMs) : noted
  if (inactive !== null || row.mark !== null) return now === row ? null : now
  const isMissed = row.head === null ? unknown === 'fetch' : rev > row.head.rev
  if (!isMissed) return now === row ? null : now
  const mark = row.quarantined > 0 ? parked : marked
  const reason = row.head === null ? 'backfill' : 'since-mismatch'
  return mark(now, reason, `rev ${rev} is listed`, nowMs)
}

async function write(
  store: ConsumerStore,
  repos: readonly RepoRow[],
  records: StoreChanges['records'] = [],
): Promise<void> {
  const none = { forgotten: [], quarantined: [], released: [] }
  await store.apply({ ...none, repos, records, forgottenCursors: [], cursors: [] })
}
