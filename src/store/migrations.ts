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

/**
 * What a start must know of the accounts is kept with their hosts, so that no start has to count
 * them. The index by host served that count alone, and every update of an account had to write it.
 */
const hostCounts: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const name of ['accounts', 'active_accounts', 'served_accounts']) {
      await db.schema
        .alterTable('host')
        .addColumn(name, 'integer', (column) => column.notNull().defaultTo(0))
        .execute()
    }
    // One pass over the accounts, whatever the number of hosts.
    await sql`
      update host set accounts = counted.n, active_accounts = counted.active,
        served_accounts = counted.served
      from (
        select host_id, count(*) as n, sum(active = 1) as active,
          sum(active = 1 and takendown = 0) as served
        from account group by host_id
      ) as counted
      where host.id = counted.host_id`.execute(db)
    await db.schema.dropIndex('account_host').execute()
    await db.schema.createIndex('host_created_at').on('host').column('created_at_ms').execute()
  },
}

/** By name, in order. */
export const MIGRATIONS: Record<string, Migration> = {
  '0001-relay-state': relayState,
  '0002-identity-cache': identityCache,
  '0003-host-counts': hostCounts,
}
