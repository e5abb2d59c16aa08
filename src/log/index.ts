/**
 * The durable event log: what has been verified goes in once, as the bytes that subscribers get,
 * and is read from any cursor.
 *
 * - `event-log.ts`: the log as its owner and readers see it; begin here
 * - `log-types.ts`, `log-limits.ts`: what goes in and out; bounds and options
 * - `entry-codec.ts`: byte layout of an index; `segment.ts`: files of a segment, their life
 * - `recovery.ts`: opening, torn batches and damage
 * - `log-writer.ts`: batches, new segments, write failures; `tail.ts`: the newest events in memory
 * - `segment-reader.ts`, `segment-cache.ts`: reading files; slices, open handles
 * - `retention.ts`: which segments go
 * - `visibility.ts`: what readers are not given; `purge-sweeper.ts`, `purge-journal.ts`: purges
 * - `directory-lock.ts`: one writer a data directory; `storage.ts`, `node-storage.ts`: the file
 *   system
 * - `crc32c.ts`, `did-hash.ts`
 *
 * The data directory holds `lock`, `lock.pid` and the folder `log`, which belongs to this layer
 * alone. The log owns its segments and the buffers of its tail; readers own their position. The
 * owner decides on seqs, on publication, and on when to retain.
 *
 * It refuses to interpret frames, to keep a queue for a reader, to run timers, to go on after a
 * failed write, and to repair damage that is not an unfinished batch.
 *
 * @module
 */
export { crc32c } from './crc32c.ts'
export { hashDid } from './did-hash.ts'
export { DirectoryLock } from './directory-lock.ts'
export { EventLog } from './event-log.ts'
export { LOG_DEFAULTS } from './log-limits.ts'
export type { LogOptions, LogSettings } from './log-limits.ts'
export type {
  EventKind,
  IndexEntry,
  LogAppend,
  LogChunk,
  LogRecord,
  LogStats,
} from './log-types.ts'
export { nodeStorage } from './node-storage.ts'
export type { LogFile, LogLock, LogStorage } from './storage.ts'
