/**
 * @module
 * State in SQL, on embedded SQLite.
 *
 * - `database.ts`: opens the file and sets it up
 * - `schemas.ts`: the databases there are; `migrations.ts`, `host-migrations.ts`,
 *   `consumer-migrations.ts`: their steps, run by `migrate.ts` with kysely
 * - `relay-store.ts`: hosts, accounts and heads of a relay; `account-rows.ts`: the accounts and
 *   how many of them each host has
 * - `consumer-state.ts`: what a consumer remembers: heads, records, marks, quarantine, cursors;
 *   `consumer-store.ts` keeps it
 * - `checkpointer.ts`: carries the write-ahead log into the file, from the thread that
 *   `checkpoint-worker.ts` is
 * - `identity-rows.ts`: the disk cache of identities
 * - `repo-store.ts`: accounts, records and outgoing events of a repository host; `block-rows.ts`,
 *   `blob-rows.ts`: its blocks and blobs
 * - `repo-snapshot.ts`: one state of a repository while it is written to
 * - `blob-files.ts`: the bytes of blobs, as files
 * - `guarded.ts`: the driver's errors as ours
 *
 * Writers own their transactions. Of a relay the event log, not this, is what must survive a power
 * failure; of a host this is.
 * Nothing here decides anything: it keeps what it is told.
 */
export * from './blob-files.ts'
export * from './blob-rows.ts'
export * from './block-rows.ts'
export type * from './consumer-state.ts'
export * from './checkpointer.ts'
export * from './consumer-store.ts'
export * from './database.ts'
export * from './identity-rows.ts'
export * from './relay-store.ts'
export * from './repo-snapshot.ts'
export * from './repo-store.ts'
export * from './schemas.ts'
