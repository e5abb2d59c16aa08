/**
 * What becomes of a repository with each thing that is learned about it. Pure: rows in, rows out;
 * ./consumer.ts and ./repairs.ts do what follows from them.
 *
 * ```
 *  unknown ─first commit─▶ synchronized ─break, #sync─▶ desynchronized ─fetched─▶ synchronized
 *     └─backfill─▶ desynchronized                              │  ▲
 *                                        account not active ───┘  └─── active again
 * ```
 */
import type { Head } from '../../repo/head.ts'
import type { MarkReason, RepoMark, RepoRow } from '../../store/consumer-state.ts'

/** Where a repository stands, in one word. */
export type RepoPhase =
  /** Nothing is known of it. */
  | 'unknown'
  /** What was delivered is what it holds, as of the head. */
  | 'synchronized'
  /** It is to be fetched at a known time. */
  | 'desynchronized'
  /** It is to be fetched when an event or the application brings it about. */
  | 'parked'
  /** The handler has failed: events wait in quarantine. */
  | 'quarantined'
  /** The account is not active; nothing is amiss. */
  | 'inactive'

export function phaseOf(row: RepoRow): RepoPhase {
  if (row.quarantined > 0) return 'quarantined'
  if (row.mark !== null) return row.mark.nextTryMs === null ? 'parked' : 'desynchronized'
  if (row.inactive !== null) return 'inactive'
  return row.head === null ? 'unknown' : 'synchronized'
}

export function unknownRepo(did: string): RepoRow {
  return { did, head: null, complete: false, inactive: null, mark: null, quarantined: 0 }
}

/** A commit was delivered, or stored in quarantine. */
export function afterCommit(row: RepoRow, head: Head, whole: 'whole' | 'part'): RepoRow {
  return { ...row, head, complete: row.complete || whole === 'whole' }
}

/** The repository must be fetched: now, unless it is marked already. */
export function marked(row: RepoRow, reason: MarkReason, detail: string, nowMs: number): RepoRow {
  if (row.mark !== null) return row
  const mark: RepoMark = { reason, detail, sinceMs: nowMs, tries: 0, nextTryMs: nowMs }
  return { ...row, mark }
}

/** It must be fetched, but only when the application says so. */
export function parked(row: RepoRow, reason: MarkReason, detail: string, nowMs: number): RepoRow {
  const mark: RepoMark = { reason, detail, sinceMs: nowMs, tries: 0, nextTryMs: null }
  return { ...row, mark }
}

/** A fetch has failed. */
export function afterFailure(row: RepoRow, nextTryMs: number | null): RepoRow {
  const { mark } = row
  return mark === null ? row : { ...row, mark: { ...mark, tries: mark.tries + 1, nextTryMs } }
}

/** The fetch is put off without having been tried. */
export function putOff(row: RepoRow, nextTryMs: number | null): RepoRow {
  return row.mark === null ? row : { ...row, mark: { ...row.mark, nextTryMs } }
}

/**
 * The host goes on sending an older state than was delivered: it has been restored from a backup,
 * or will never catch up. A rev may not go backwards (repository specification, "commit objects"),
 * so that what was delivered stands, and the repository is fetched rarely until there is news.
 */
export function fallenBehind(row: RepoRow, nextTryMs: number): RepoRow {
  const { mark } = row
  if (mark === null) return row
  return { ...row, mark: { ...mark, reason: 'host-behind', tries: mark.tries + 1, nextTryMs } }
}

/** An event newer than the head was let go since the repository is marked. */
export function toldOfNews(row: RepoRow, nowMs: number): RepoRow {
  const { mark } = row
  if (mark?.nextTryMs === null) return roused(row, nowMs)
  if (mark?.reason !== 'host-behind') return row
  return { ...row, mark: { ...mark, reason: 'since-mismatch', tries: 0, nextTryMs: nowMs } }
}

/** The host says that the account is not active. What was to be fetched waits until it is. */
export function afterTerminal(row: RepoRow, inactive: string): RepoRow {
  return { ...afterFailure(row, null), inactive }
}

/** The repository was fetched and all that differs delivered. */
export function afterRepair(row: RepoRow, head: Head): RepoRow {
  return { ...row, head, complete: true, inactive: null, mark: null }
}

/** Statuses after which nothing of an account is left. */
export function isDeleted(status: string | null): boolean {
  return status === 'deleted'
}

/** An `#account` event was delivered. After a deletion the head alone is left, for old events. */
export function afterAccount(
  row: RepoRow,
  account: { readonly active: boolean; readonly status: string | null },
  nowMs: number,
): RepoRow {
  if (account.active) return roused({ ...row, inactive: null }, nowMs)
  const inactive = account.status ?? 'inactive'
  if (!isDeleted(inactive)) return { ...row, inactive }
  return { ...row, inactive, mark: null, complete: false, quarantined: 0 }
}

/** Reasons for which only the application can bring a fetch about. */
const OWN: ReadonlySet<MarkReason> = new Set<MarkReason>(['handler-failed', 'quarantine-overflow'])

/** Something has happened that may let a fetch succeed: it is tried at once. */
export function roused(row: RepoRow, nowMs: number): RepoRow {
  const { mark } = row
  if (mark === null || OWN.has(mark.reason)) return row
  if (mark.nextTryMs !== null && mark.nextTryMs <= nowMs) return row
  return { ...row, mark: { ...mark, nextTryMs: nowMs } }
}

/** The application wants it fetched now. */
export function replayed(row: RepoRow, nowMs: number): RepoRow {
  return row.mark === null ? row : { ...row, mark: { ...row.mark, tries: 0, nextTryMs: nowMs } }
}

/** When to fetch again after `tries` failures, doubling from `firstMs` to `mostMs`, with jitter. */
export function pauseAfter(
  tries: number,
  bounds: { readonly firstMs: number; readonly mostMs: number },
  random: number,
): number {
  const fullMs = Math.min(bounds.firstMs * 2 ** Math.min(tries, 30), bounds.mostMs)
  return Math.round(fullMs * (0.5 + random / 2))
}
