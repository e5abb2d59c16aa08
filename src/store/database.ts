/** Opens the embedded database of a data directory and brings its schema up to date. */
import Database from 'better-sqlite3'
import { crashPoint } from '../lib/crash-point.ts'
import { messageOf, SkeinError } from '../lib/errors.ts'
import type { Schema } from './schemas.ts'

/** The driver's connection: prepared statements for hot paths. */
export type Connection = Database.Database

export interface OpenDatabase {
  readonly connection: Connection
  /** Flushes and closes. Statements are void afterwards. */
  close(): void
}

export interface DatabaseOptions {
  /**
   * What a commit survives. `process` (the default): the end of the process, but perhaps not a
   * power failure, though the file stays consistent; for state that is caught up from the event log
   * (I8). `power`: both, at the price of a sync for each commit; for state that nothing else holds.
   */
  readonly survives?: 'process' | 'power'
  /** Size of the pages of a new file, bytes; default that of SQLite. */
  readonly pageBytes?: number
}

/** Pages that the write-ahead log may grow to between checkpoints: 64 MiB of 4 KiB pages. */
const WAL_AUTOCHECKPOINT_PAGES = 16_384
/** Page cache, KiB. */
const CACHE_KIB = 65_536

/**
 * Opens `file`, creating it when missing, and brings it to `schema`.
 *
 * @throws SkeinError STORE_FAILED, or STORE_TOO_NEW when a newer version has written the file.
 */
export async function openDatabase(
  file: string,
  schema: Schema,
  options: DatabaseOptions = {},
): Promise<OpenDatabase> {
  let connection: Connection | null = null
  try {
    connection = new Database(file)
    const { pageBytes, survives } = options
    if (pageBytes !== undefined) connection.pragma(`page_size = ${pageBytes}`)
    connection.pragma('journal_mode = WAL')
    connection.pragma(`synchronous = ${survives === 'power' ? 'FULL' : 'NORMAL'}`)
    connection.pragma(`wal_autocheckpoint = ${WAL_AUTOCHECKPOINT_PAGES}`)
    connection.pragma(`cache_size = -${CACHE_KIB}`)
    connection.pragma('foreign_keys = ON')
    await bringUpToDate(connection, file, schema)
    const open = connection
    return { connection: open, close: () => open.close() }
  } catch (cause) {
    connection?.close()
    if (cause instanceof SkeinError) throw cause
    throw new SkeinError('STORE_FAILED', `open database: ${messageOf(cause)}`, { file }, cause)
  }
}

async function bringUpToDate(connection: Connection, file: string, schema: Schema): Promise<void> {
  const version = Number(connection.pragma('user_version', { simple: true }))
  if (version === schema.version) return
  if (version > schema.version) {
    const fields = { file, version, known: schema.version }
    throw new SkeinError('STORE_TOO_NEW', 'open database: its schema is newer', fields)
  }
  const { migrate } = await import('./migrate.ts')
  await migrate(connection, await schema.migrations())
  crashPoint('store.migrated')
  connection.pragma(`user_version = ${schema.version}`)
}
