/** Opens the embedded database of a data directory and brings its schema up to date. */
import Database from 'better-sqlite3'
import { messageOf, SkeinError } from '../lib/errors.ts'

/** The driver's connection: prepared statements for hot paths. */
export type Connection = Database.Database

export interface OpenDatabase {
  readonly connection: Connection
  /** Flushes and closes. Statements are void afterwards. */
  close(): void
}

/** How many steps ./migrations.ts has; kept in the file as `user_version`. */
export const SCHEMA_VERSION = 2
/** Pages that the write-ahead log may grow to between checkpoints: 64 MiB of 4 KiB pages. */
const WAL_AUTOCHECKPOINT_PAGES = 16_384
/** Page cache, KiB. */
const CACHE_KIB = 65_536

/**
 * Opens `file`, creating it when missing.
 *
 * A commit is consistent after a crash but, with `synchronous = NORMAL`, may be lost to a power
 * failure: the event log is durable before it, and what is lost is caught up from there (I8).
 *
 * @throws SkeinError STORE_FAILED, or STORE_TOO_NEW when a newer version has written the file.
 */
export async function openDatabase(file: string): Promise<OpenDatabase> {
  let connection: Connection | null = null
  try {
    connection = new Database(file)
    connection.pragma('journal_mode = WAL')
    connection.pragma('synchronous = NORMAL')
    connection.pragma(`wal_autocheckpoint = ${WAL_AUTOCHECKPOINT_PAGES}`)
    connection.pragma(`cache_size = -${CACHE_KIB}`)
    connection.pragma('foreign_keys = ON')
    await bringUpToDate(connection, file)
    const open = connection
    return { connection: open, close: () => open.close() }
  } catch (cause) {
    connection?.close()
    if (cause instanceof SkeinError) throw cause
    throw new SkeinError('STORE_FAILED', `open database: ${messageOf(cause)}`, { file }, cause)
  }
}

async function bringUpToDate(connection: Connection, file: string): Promise<void> {
  const version = Number(connection.pragma('user_version', { simple: true }))
  if (version === SCHEMA_VERSION) return
  if (version > SCHEMA_VERSION) {
    const fields = { file, version, known: SCHEMA_VERSION }
    throw new SkeinError('STORE_TOO_NEW', 'open database: its schema is newer', fields)
  }
  // The query builder is loaded for this alone: it would take as much memory as all the rest.
  const { migrate } = await import('./migrate.ts')
  await migrate(connection)
  connection.pragma(`user_version = ${SCHEMA_VERSION}`)
}
