/**
 * Crash points: places at which a test ends its process, so that what a kill leaves there is seen.
 * In everyday running a point costs one look at a variable. Nothing here ends a process by itself,
 * and nothing reads the environment: a test's child arms one point and says how it is to die.
 */

/** Every point, with what stands on its two sides. A test fails for one that is not driven. */
export const CRASH_POINTS = {
  'lock.taken': 'the data directory is locked; the holder has not written its process id',
  'log.batch': 'a batch has its seqs; nothing of it is written',
  'log.frames-written': 'frames are in the file, perhaps without entries; nothing is synced',
  'log.index-written': 'entries are in the file, perhaps without frames; nothing is synced',
  'log.written': 'frames and entries are in the files; neither is synced',
  'log.frames-synced': 'frames are durable; their entries need not be',
  'log.index-synced': 'entries are durable; their frames need not be',
  'log.synced': 'a batch is durable; the log has not said so to its owner',
  'log.failed': 'a batch could not be written; what there is of it has not been cut off',
  'log.closing': 'everything is written; files are open and the directory is locked',
  'segment.created': 'the files of a new segment are there under a name that does not count',
  'segment.named': 'a new segment exists; its name is not durable',
  'segment.rolled': 'a new segment is durable and empty; the one before is still open',
  'segment.dropping': 'a segment counts no more; the name that says so is not durable',
  'segment.frames-removed': 'frames of a dropped segment are gone; its renamed index is there',
  'segment.dropped': 'all files of a dropped segment are gone; their names perhaps not durably',
  'purge.journal-written': 'a new journal of purges is written beside the old one',
  'purge.journaled': 'the journal names the purges; nothing of them is flagged',
  'purge.journal-removed': 'no purge is pending any more; that the journal is gone is not durable',
  'purge.flagged': 'entries carry the flag of a purge; that is not durable',
  'purge.flags-synced': 'flags are durable; no frame is blank',
  'purge.blanked': 'frames are blank; that is not durable, and the journal is as before',
  'log-recovery.tidied': 'creations and removals that were cut off are ended; nothing is cut',
  'log-recovery.index-cut': 'the index has lost its torn end; the frames have not',
  'log-recovery.cut': 'the torn end is cut off; that is not durable',
  'log-recovery.synced': 'what was found is durable; the log is not open',
  'store.migrated': 'the schema is up to date; its version is not written down',
  'store.host-added': 'a host has its number; nobody has connected to it',
  'store.rows-written': 'accounts of a batch are written in a transaction that is not committed',
  'store.batch-written': 'the whole change is written in a transaction that is not committed',
  'store.committed': 'state has taken a change over; who asked for it does not know',
  'relay.logged': 'a batch is durable in the log; state has not heard of it',
  'relay.state-saved': 'log and state hold a batch; nobody has seen it',
  'relay.published': 'subscribers may read a batch; nothing that follows from it is done',
  'relay.purging': 'an account is gone for good, by log and state; nothing of it is purged',
  'relay-recovery.behind': 'the log holds more than state; nothing has been taken over',
  'relay-recovery.caught-up': 'state has caught up; no host has been asked for anything',
  'start.log-opened': 'the log is open; the database is not',
  'start.database-opened': 'log and database are open; they have not been compared',
  'start.relay-opened': 'hosts are being read; nobody can subscribe',
  'start.serving': 'subscribers can come; configured hosts are not added',
} as const

export type CrashPoint = keyof typeof CRASH_POINTS

interface Armed {
  readonly point: CrashPoint
  readonly die: () => void
  left: number
}

let armed: Armed | null = null

/** Passes a point: does nothing unless a test has armed it. */
export function crashPoint(point: CrashPoint): void {
  if (armed !== null) meet(armed, point)
}

/**
 * Arms one point of this process, in place of any that was armed.
 *
 * @param nth Which passage of it is the last, counted from 1 and from now.
 * @param die Ends the process at once, by SIGKILL: what comes after the point must not run.
 */
export function armCrashPoint(point: CrashPoint, nth: number, die: () => void): void {
  armed = { point, die, left: nth }
}

function meet(trap: Armed, point: CrashPoint): void {
  if (point !== trap.point) return
  trap.left--
  if (trap.left === 0) trap.die()
}
