/** The schema of a repository host, step by step. A step that was released is never changed. */
import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

const repositoryHost: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await createAccounts(db)
    await createRepositories(db)
    await createBlobs(db)
    // Events whose effect is in these tables and which the event log may not hold yet.
    await db.schema
      .createTable('outbox')
      .addColumn('seq', 'integer', (column) => column.primaryKey())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('did', 'text', (column) => column.notNull())
      .addColumn('time_ms', 'integer', (column) => column.notNull())
      .addColumn('frame', 'blob', (column) => column.notNull())
      .execute()
    await db.schema
      .createTable('setting')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('value', 'integer', (column) => column.notNull())
      .execute()
  },
}

async function createAccounts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('account')
    .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('did', 'text', (column) => column.notNull().unique())
    .addColumn('handle', 'text')
    // The signing key as it is: who can read this file can sign. It is made with mode 0600.
    .addColumn('curve', 'text')
    .addColumn('key', 'blob')
    .addColumn('status', 'text', (column) => column.notNull())
    // Whether any #account has been emitted: one that migrates in is silent until then.
    .addColumn('announced', 'integer', (column) => column.notNull())
    .addColumn('inactive_seq', 'integer')
    .addColumn('repo_id', 'integer')
    // Outlives the repository, so that revs rise even over a deletion.
    .addColumn('rev', 'text')
    .addColumn('commit_cid', 'blob')
    .addColumn('data_cid', 'blob')
    .addColumn('created_at_ms', 'integer', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('account_inactive_seq')
    .on('account')
    .column('inactive_seq')
    .where(sql.ref('inactive_seq'), 'is not', null)
    .execute()
}

/**
 * Contents belong to a repository number, not to the account: an import is built under a number of
 * its own and comes into force with one update of the account.
 */
async function createRepositories(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('repo')
    .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('state', 'text', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('block')
    .addColumn('repo_id', 'integer', (column) => column.notNull())
    .addColumn('cid', 'blob', (column) => column.notNull())
    // The rev with which it became part of the repository, and has been part of it since.
    .addColumn('rev', 'text', (column) => column.notNull())
    // How many records, nodes and commits it is.
    .addColumn('refs', 'integer', (column) => column.notNull())
    .addColumn('content', 'blob', (column) => column.notNull())
    // With rowids, contents lie in the order in which they were written, which is about the one in
    // which exports read them; keys are an index that a page cache can hold.
    .addPrimaryKeyConstraint('block_key', ['repo_id', 'cid'])
    .execute()
  await db.schema
    .createTable('record')
    .addColumn('repo_id', 'integer', (column) => column.notNull())
    .addColumn('path', 'text', (column) => column.notNull())
    .addColumn('cid', 'blob', (column) => column.notNull())
    // The rev of the commit that put this value at this path.
    .addColumn('rev', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('record_key', ['repo_id', 'path'])
    .modifyEnd(sql`without rowid`)
    .execute()
}

async function createBlobs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('record_blob')
    .addColumn('repo_id', 'integer', (column) => column.notNull())
    .addColumn('cid', 'blob', (column) => column.notNull())
    .addColumn('path', 'text', (column) => column.notNull())
    .addColumn('rev', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('record_blob_key', ['repo_id', 'cid', 'path'])
    .modifyEnd(sql`without rowid`)
    .execute()
  await db.schema
    .createIndex('record_blob_path')
    .on('record_blob')
    .columns(['repo_id', 'path'])
    .execute()
  await db.schema
    .createIndex('record_blob_rev')
    .on('record_blob')
    .columns(['repo_id', 'rev', 'cid'])
    .execute()
  await db.schema
    .createTable('blob')
    .addColumn('account_id', 'integer', (column) => column.notNull())
    .addColumn('cid', 'blob', (column) => column.notNull())
    .addColumn('mime_type', 'text', (column) => column.notNull())
    .addColumn('size', 'integer', (column) => column.notNull())
    .addColumn('uploaded_at_ms', 'integer', (column) => column.notNull())
    // Since when no record refers to it; null while one does.
    .addColumn('unreferenced_at_ms', 'integer')
    .addPrimaryKeyConstraint('blob_key', ['account_id', 'cid'])
    .modifyEnd(sql`without rowid`)
    .execute()
  await db.schema.createIndex('blob_cid').on('blob').column('cid').execute()
  // What an account has uploaded and not used: holds all that the sum needs.
  await db.schema
    .createIndex('blob_unused')
    .on('blob')
    .columns(['account_id', 'unreferenced_at_ms', 'size'])
    .where(sql.ref('unreferenced_at_ms'), 'is not', null)
    .execute()
  await db.schema
    .createIndex('blob_unreferenced')
    .on('blob')
    .column('unreferenced_at_ms')
    .where(sql.ref('unreferenced_at_ms'), 'is not', null)
    .execute()
}

/** By name, in order. */
export const HOST_MIGRATIONS: Record<string, Migration> = {
  '0001-repository-host': repositoryHost,
}
