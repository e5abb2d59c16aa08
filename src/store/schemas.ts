/** The databases there are: a relay's state, a repository host's, a consumer's. */
import type { Migration } from 'kysely/migration'

/** A schema: what its file must be brought to, and how. */
export interface Schema {
  /** How many steps there are; kept in the file as `user_version`. */
  readonly version: number
  /**
   * The steps by name, in order. Loaded when they are needed: the query builder would take as much
   * memory as all the rest.
   */
  readonly migrations: () => Promise<Record<string, Migration>>
}

export const RELAY_SCHEMA: Schema = {
  version: 3,
  migrations: async () => (await import('./migrations.ts')).MIGRATIONS,
}

export const HOST_SCHEMA: Schema = {
  version: 1,
  migrations: async () => (await import('./host-migrations.ts')).HOST_MIGRATIONS,
}

export const CONSUMER_SCHEMA: Schema = {
  version: 1,
  migrations: async () => (await import('./consumer-migrations.ts')).CONSUMER_MIGRATIONS,
}
