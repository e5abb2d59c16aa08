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

/** A column after another: by name costs half as much again. */
type Values = readonly unknown[]

/** Rows of the `identity` table, by DID. Each call throws STORE_FAILED when the database fails. */
export class IdentityRows {
  readonly #get: Statement
  readonly #put: Statement
  readonly #delete: Statement

  constructor(connection: Connection) {
    this.#get = connection
      .prepare('select curve, key, endpoint, handle, fetched_at_ms from identity where did = ?')
      .raw(true)
    this.#put = connection.prepare(
      `insert or replace into identity (did, curve, key, endpoint, handle, fetched_at_ms)
       values (?, ?, ?, ?, ?, ?)`,
    )
    this.#delete = connection.prepare('delete from identity where did = ?')
  }

  get(did: string): IdentityRow | undefined {
    const values = guarded('read identity', () => this.#get.get(did)) as Values | undefined
    if (values === undefined) return undefined
    const [curve, bytes, endpoint, handle, fetchedAtMs] = values
    const known = bytes instanceof Uint8Array && (curve === 'k256' || curve === 'p256')
    return {
      did,
      key: known ? { curve, bytes: new Uint8Array(bytes) } : null,
      pdsEndpoint: endpoint as string | null,
      handle: handle as string | null,
      fetchedAtMs: fetchedAtMs as number,
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
