/** The disk cache of identities. Its shape is what identity/ asks of a store. */
import type { Statement } from 'better-sqlite3'
import type { Curve } from '../crypto/curve.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

/** One resolved identity. */
export interface IdentityRow {
  readonly did: string
  /** Curve and 33 compressed bytes. */
  readonly key: { readonly curve: Curve; readonly bytes: Uint8Array } | null
  readonly pdsEndpoint: string | null
  readonly handle: string | null
  readonly fetchedAtMs: number
}

type Row = Readonly<Record<string, unknown>>

/** Rows of the `identity` table, by DID. Each call throws STORE_FAILED when the database fails. */
export class IdentityRows {
  readonly #get: Statement
  readonly #put: Statement
  readonly #delete: Statement

  constructor(connection: Connection) {
    this.#get = connection.prepare(
      'select did, curve, key, endpoint, handle, fetched_at_ms from identity where did = ?',
    )
    this.#put = connection.prepare(
      `insert or replace into identity (did, curve, key, endpoint, handle, fetched_at_ms)
       values (?, ?, ?, ?, ?, ?)`,
    )
    this.#delete = connection.prepare('delete from identity where did = ?')
  }

  get(did: string): IdentityRow | undefined {
    const row = guarded('read identity', () => this.#get.get(did)) as Row | undefined
    if (row === undefined) return undefined
    const bytes = row['key']
    const curve = row['curve']
    const known = bytes instanceof Uint8Array && (curve === 'k256' || curve === 'p256')
    return {
      did,
      key: known ? { curve, bytes: new Uint8Array(bytes) } : null,
      pdsEndpoint: row['endpoint'] as string | null,
      handle: row['handle'] as string | null,
      fetchedAtMs: row['fetched_at_ms'] as number,
    }
  }

  put(row: IdentityRow): void {
    const { did, key, pdsEndpoint, handle, fetchedAtMs } = row
    const { curve = null, bytes = null } = key ?? {}
    guarded('save identity', () =>
      this.#put.run(did, curve, bytes, pdsEndpoint, handle, fetchedAtMs),
    )
  }

  delete(did: string): void {
    guarded('forget identity', () => this.#delete.run(did))
  }
}
