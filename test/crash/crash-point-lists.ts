/** Which crash points are driven where, and at which passage: every one of them, together. */
import type { CrashPoint } from '../../src/lib/crash-point.ts'

/** Points of the log, driven in a process that has a log alone, each with its last passage. */
export const LOG_POINTS: readonly (readonly [CrashPoint, number])[] = [
  ['lock.taken', 1],
  ['segment.created', 1],
  ['segment.named', 1],
  ['log.batch', 9],
  ['log.frames-written', 8],
  ['log.index-written', 7],
  ['log.written', 6],
  ['log.frames-synced', 9],
  ['log.index-synced', 8],
  ['log.synced', 7],
  ['log.failed', 1],
  ['segment.created', 3],
  ['segment.named', 2],
  ['segment.rolled', 2],
  ['log.closing', 1],
  ['segment.dropping', 1],
  ['segment.frames-removed', 2],
  ['segment.dropped', 1],
  ['purge.journal-written', 1],
  ['purge.journaled', 1],
  ['purge.flagged', 1],
  ['purge.flags-synced', 2],
  ['purge.blanked', 2],
  ['purge.journal-removed', 2],
  ['log-recovery.tidied', 1],
  ['log-recovery.index-cut', 1],
  ['log-recovery.cut', 1],
  ['log-recovery.synced', 1],
]

/** Points of the relay, driven in a whole one under load, in this order. */
export const RELAY_POINTS: readonly (readonly [CrashPoint, number])[] = [
  ['store.migrated', 1],
  ['start.log-opened', 1],
  ['start.database-opened', 1],
  ['store.host-added', 2],
  ['start.relay-opened', 1],
  ['start.serving', 1],
  // What this one leaves is what the two after it are passed with.
  ['relay.logged', 3],
  ['relay-recovery.behind', 1],
  ['relay-recovery.caught-up', 1],
  ['store.rows-written', 4],
  ['store.batch-written', 3],
  ['store.committed', 4],
  ['relay.state-saved', 3],
  ['relay.published', 4],
  ['relay.purging', 1],
]
