/** A consumer's schema, step by step. A step that has been released is never changed. */
import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

const consumerState: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('repo')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('did', 'text', (column) => column.notNull().unique())
      .addColumn('rev', 'text')
      .addColumn('commit_cid', 'blob')
      .addColumn('data_cid', 'blob')
      .addColumn('complete', 'integer', (column) => column.notNull())
      .addColumn('inactive', 'text')
      .addColumn('mark_reason', 'text')
      .addColumn('mark_detail', 'text')
      .addColumn('mark_since_ms', 'integer')
      .addColumn('mark_tries', 'integer')
      .addColumn('next_try_ms', 'integer')
      .addColumn('quarantined', 'integer', (column) => column.notNull())
      .execute()
    await db.schema
      .createIndex('repo_next_try')
      .on('repo')
      .column('next_try_ms')
      .where(sql.ref('next_try_ms'), 'is not', null)
      .execute()
    await db.schema
      .createTable('record')
      .addColumn('repo_id', 'integer', (column) => column.notNull())
      .addColumn('path', 'text', (column) => column.notNull())
      .addColumn('cid', 'blob', (column) => column.notNull())
      .addPrimaryKeyConstraint('record_key', ['repo_id', 'path'])
      .modifyEnd(sql`without rowid`)
      .execute()
    await db.schema
      .createTable('quarantine')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('did', 'text', (column) => column.notNull())
      .addColumn('service', 'text')
      .addColumn('seq', 'integer')
      .addColumn('frame', 'blob')
      .addColumn('verdict', 'text', (column) => column.notNull())
      .addColumn('error', 'text')
      .addColumn('tries', 'integer', (column) => column.notNull())
      .addColumn('since_ms', 'integer', (column) => column.notNull())
      .execute()
    await db.schema.createIndex('quarantine_did').on('quarantine').columns(['did', 'id']).execute()
    await db.schema
      .createTable('cursor')
      .addColumn('service', 'text', (column) => column.primaryKey())
      .addColumn('seq', 'integer', (column) => column.notNull())
      .addColumn('time_ms', 'integer')
      // Rises with every save: tells which service was used last.
      .addColumn('saved', 'integer', (column) => column.notNull())
      .modifyEnd(sql`without rowid`)
      .execute()
  },
}

/** By name, in order. */
export const CONSUMER_MIGRATIONS: Record<string, Migration> = {
  '0001-consumer-state': consumerState,
}
