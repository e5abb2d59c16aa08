/** Runs the migrations that a database lacks, by kysely. */
import { Kysely, SqliteDialect } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { messageOf, SkeinError } from '../lib/errors.ts'
import type { Connection } from './database.ts'

/** Brings the schema up to date, each step in a transaction. Leaves the connection open. */
export async function migrate(
  connection: Connection,
  migrations: Record<string, Migration>,
): Promise<void> {
  // Kysely would close the connection with itself; the owner does that.
  const database = { prepare: (text: string) => connection.prepare(text), close: () => undefined }
  const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database }) })
  const migrator = new Migrator({
    db: kysely,
    provider: { getMigrations: () => Promise.resolve(migrations) },
  })
  const { error, results } = await migrator.migrateToLatest()
  await kysely.destroy()
  if (error === undefined) return
  const step = results?.find((result) => result.status === 'Error')?.migrationName ?? null
  throw new SkeinError('STORE_FAILED', `migrate database: ${messageOf(error)}`, { step }, error)
}
