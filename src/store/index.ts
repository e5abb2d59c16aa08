/**
 * @module
 * State in SQL, on embedded SQLite.
 *
 * - `database.ts`: opens the file and sets it up
 * - `migrations.ts`, `migrate.ts`: the schema, step by step, by kysely
 * - `relay-store.ts`: hosts, accounts and heads of a relay
 * - `identity-rows.ts`: the disk cache of identities
 *
 * Writers own their transactions; the event log, not this, is what must survive a power failure.
 * Nothing here decides anything: it keeps what it is told.
 */
export * from './database.ts'
export * from './identity-rows.ts'
export * from './relay-store.ts'
