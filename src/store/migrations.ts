/** The schema, step by step. A step that has been released is never changed. */
import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

const relayState: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('host')
      .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
      .addColumn('hostname', 'text', (column) => column.notNull().unique())
      .addColumn('endpoint', 'text', (column) => column.notNull())
      .addColumn('created_at_ms', 'integer', (column) => column.notNull())
      // Whether the host counts against the limit of new hosts a day.
      .addColumn('requested', 'integer', (column) => column.notNull())
      .addColumn('banned', 'integer', (column) => column.notNull().defaultTo(0))
      .addColumn('epoch', 'integer', (column) => column.notNull().defaultTo(0))
      .addColumn('cursor', 'integer')
      .addColumn('ahead_from_seq', 'integer')
      .addColumn('attempt', 'integer', (column) => column.notNull().defaultTo(0))
      .addColumn('next_attempt_at_ms', 'integer')
      .addColumn('last_event_at_ms', 'integer')
      .execute()
    await db.schema
      .createTable('account')
      .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
      .addColumn('did', 'text', (column) => column.notNull().unique())
      .addColumn('host_id', 'integer', (column) => column.notNull().references('host.id'))
      .addColumn('active', 'integer', (column) => column.notNull())
      .addColumn('status', 'text')
      .addColumn('takendown', 'integer', (column) => column.notNull().defaultTo(0))
      .addColumn('inactive_seq', 'integer')
      .addColumn('rev', 'text')
      .addColumn('commit_cid', 'blob')
      .addColumn('data_cid', 'blob')
      .execute()
    await db.schema.createIndex('account_host').on('account').column('host_id').execute()
    await db.schema
      .createIndex('account_inactive_seq')
      .on('account')
      .column('inactive_seq')
      .where(sql.ref('inactive_seq'), 'is not', null)
      .execute()
    await db.schema
      .createTable('setting')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('value', 'integer', (column) => column.notNull())
      .execute()
  },
}

const identityCache: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('identity')
      .addColumn('did', 'text', (column) => column.primaryKey())
      .addColumn('curve', 'text')
      .addColumn('key', 'blob')
      .addColumn('endpoint', 'text')
      .addColumn('handle', 'text')
      .addColumn('fetched_at_ms', 'integer', (column) => column.notNull())
      .modifyEnd(sql`without rowid`)
      .execute()
  },
}

/** By name, in order. */
export const MIGRATIONS: Record<string, Migration> = {
  '0001-relay-state': relayState,
  '0002-identity-cache': identityCache,
}
