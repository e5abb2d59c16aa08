/** Which blobs each account has, and which records refer to them; the bytes: ./blob-files.ts. */
import type { Statement } from 'better-sqlite3'
import { plainBytes } from '../lib/bytes.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

/** A blob of an account. */
export interface BlobRow {
  /** 36 bytes. */
  readonly cid: Uint8Array
  readonly mimeType: string
  /** Bytes. */
  readonly size: number
  readonly uploadedAtMs: number
  /** Since when no record refers to it; null while one does. */
  readonly unreferencedAtMs: number | null
}

/** A blob by its owner. */
export interface OwnedBlob {
  readonly accountId: number
  readonly cid: Uint8Array
}

/** The blobs of an account that no record refers to, together. */
export interface UnreferencedBlobs {
  readonly count: number
  readonly bytes: number
}

/** Where a page of a listing of blobs begins. */
export interface BlobPage {
  /** CIDs over this; an empty array asks for the first page. */
  readonly after: Uint8Array
  /** Only those that a record newer than this rev refers to; an empty text for all. */
  readonly sinceRev: string
  readonly limit: number
}

/**
 * Up to so many references newer than a rev are looked through one by one. With more, a page is
 * soon full when blobs are gone through in order.
 */
const NEW_REFERENCES_MAX = 5_000

type Row = Readonly<Record<string, unknown>>

const cidOfRow = (value: unknown): Uint8Array =>
  value instanceof Uint8Array ? plainBytes(value) : new Uint8Array(0)

/** Blobs and references. Calls throw STORE_FAILED when the database fails. */
export class BlobRows {
  readonly #connection: Connection
  readonly #blob: Statement
  readonly #put: Statement
  readonly #setUnreferenced: Statement
  readonly #refer: Statement
  readonly #referencesOfPath: Statement
  readonly #forgetPath: Statement
  readonly #isReferred: Statement
  readonly #unreferenced: Statement
  readonly #isOwned: Statement
  readonly #countNew: Statement

  constructor(connection: Connection) {
    this.#connection = connection
    this.#blob = connection.prepare(
      `select mime_type, size, uploaded_at_ms, unreferenced_at_ms from blob
       where account_id = ? and cid = ?`,
    )
    this.#put = connection.prepare(
      `insert into blob (account_id, cid, mime_type, size, uploaded_at_ms, unreferenced_at_ms)
       values (?, ?, ?, ?, ?, ?)
       on conflict (account_id, cid) do update set
         mime_type = excluded.mime_type, uploaded_at_ms = excluded.uploaded_at_ms,
         unreferenced_at_ms = excluded.unreferenced_at_ms`,
    )
    this.#setUnreferenced = connection.prepare(
      'update blob set unreferenced_at_ms = ? where account_id = ? and cid = ?',
    )
    this.#refer = connection.prepare(
      'insert or replace into record_blob (repo_id, cid, path, rev) values (?, ?, ?, ?)',
    )
    this.#referencesOfPath = connection
      .prepare('select cid from record_blob where repo_id = ? and path = ?')
      .pluck()
    this.#forgetPath = connection.prepare('delete from record_blob where repo_id = ? and path = ?')
    this.#isReferred = connection
      .prepare('select 1 from record_blob where repo_id = ? and cid = ? limit 1')
      .pluck()
    this.#unreferenced = connection.prepare(
      `select count(*) as count, coalesce(sum(size), 0) as bytes from blob
       where account_id = ? and unreferenced_at_ms >= 0`,
    )
    this.#countNew = connection
      .prepare(
        `select count(*) from (
           select 1 from record_blob where repo_id = ? and rev > ? limit ${NEW_REFERENCES_MAX})`,
      )
      .pluck()
    this.#isOwned = connection.prepare('select 1 from blob where cid = ? limit 1').pluck()
  }

  blob(accountId: number, cid: Uint8Array): BlobRow | null {
    const row = guarded('read blob', () => this.#blob.get(accountId, cid)) as Row | undefined
    if (row === undefined) return null
    return {
      cid,
      mimeType: row['mime_type'] as string,
      size: row['size'] as number,
      uploadedAtMs: row['uploaded_at_ms'] as number,
      unreferencedAtMs: row['unreferenced_at_ms'] as number | null,
    }
  }

  /** What an account has uploaded and no record of it refers to. */
  unreferenced(accountId: number): UnreferencedBlobs {
    return guarded('sum up blobs', () => this.#unreferenced.get(accountId)) as UnreferencedBlobs
  }

  /** Whether any account has a blob with this CID. */
  isOwned(cid: Uint8Array): boolean {
    return guarded('look for blob', () => this.#isOwned.get(cid)) !== undefined
  }

  /** Adds a blob. One that is there is taken as uploaded again, with the type said last. */
  put(accountId: number, blob: BlobRow): void {
    const { cid, mimeType, size, uploadedAtMs, unreferencedAtMs } = blob
    guarded('save blob', () =>
      this.#put.run(accountId, cid, mimeType, size, uploadedAtMs, unreferencedAtMs),
    )
  }

  isReferred(repoId: number, cid: Uint8Array): boolean {
    return guarded('look for references', () => this.#isReferred.get(repoId, cid)) !== undefined
  }

  /** Notes that the record at `path` refers to a blob, which need not be there yet. */
  refer(
    owner: { readonly accountId: number; readonly repoId: number },
    reference: Reference,
  ): void {
    guarded('save reference', () => {
      this.#refer.run(owner.repoId, reference.cid, reference.path, reference.rev)
      this.#setUnreferenced.run(null, owner.accountId, reference.cid)
    })
  }

  /** The same for a repository that is being imported: see `recount`. */
  note(repoId: number, { cid, path, rev }: Reference): void {
    guarded('save reference', () => this.#refer.run(repoId, cid, path, rev))
  }

  /** Forgets what the record at `path` refers to; blobs that nothing else refers to wait for GC. */
  forgetPath(
    owner: { readonly accountId: number; readonly repoId: number },
    path: string,
    nowMs: number,
  ): void {
    guarded('forget references', () => {
      const cids = this.#referencesOfPath.all(owner.repoId, path)
      if (cids.length === 0) return
      this.#forgetPath.run(owner.repoId, path)
      for (const cid of cids) {
        if (this.#isReferred.get(owner.repoId, cid) !== undefined) continue
        this.#setUnreferenced.run(nowMs, owner.accountId, cid)
      }
    })
  }

  /** Sets anew which blobs of an account are referred to, after all its repository has changed. */
  recount(accountId: number, repoId: number | null, nowMs: number): void {
    guarded('recount references', () =>
      this.#connection
        .prepare(
          `update blob set unreferenced_at_ms = case
             when exists (select 1 from record_blob r where r.repo_id = ? and r.cid = blob.cid)
               then null
             else coalesce(unreferenced_at_ms, ?) end
           where account_id = ?`,
        )
        .run(repoId, nowMs, accountId),
    )
  }

  /** Has every blob of an account go at the next collection, whatever its grace. */
  discardAll(accountId: number): void {
    guarded('discard blobs', () =>
      this.#connection
        .prepare('update blob set unreferenced_at_ms = 0 where account_id = ?')
        .run(accountId),
    )
  }

  /**
   * CIDs of stored blobs that records refer to, in order. A plus sign before a column keeps its
   * condition from choosing the index: the other one is the one to use.
   */
  page(accountId: number, repoId: number, page: BlobPage): Uint8Array[] {
    const { after, sinceRev, limit } = page
    const isFewNew =
      sinceRev !== '' &&
      guarded('count references', () => this.#countNew.get(repoId, sinceRev)) !== NEW_REFERENCES_MAX
    if (isFewNew) return this.#newPage(accountId, repoId, page)
    const rows = guarded('list blobs', () =>
      this.#connection
        .prepare(
          `select cid from blob b where account_id = ? and cid > ? and exists
             (select 1 from record_blob r where r.repo_id = ? and r.cid = b.cid and +r.rev > ?)
           order by cid limit ?`,
        )
        .pluck()
        .all(accountId, after, repoId, sinceRev, limit),
    )
    return rows.map(cidOfRow)
  }

  #newPage(accountId: number, repoId: number, { after, sinceRev, limit }: BlobPage): Uint8Array[] {
    const rows = guarded('list blobs', () =>
      this.#connection
        .prepare(
          `select distinct cid from record_blob r
           where repo_id = ? and rev > ? and +cid > ? and exists
             (select 1 from blob b where b.account_id = ? and b.cid = r.cid)
           order by cid limit ?`,
        )
        .pluck()
        .all(repoId, sinceRev, after, accountId, limit),
    )
    return rows.map(cidOfRow)
  }

  /** CIDs that records refer to and that are not stored, in order: what a migration still needs. */
  missing(accountId: number, repoId: number, after: Uint8Array, limit: number): Uint8Array[] {
    const rows = guarded('list missing blobs', () =>
      this.#connection
        .prepare(
          `select distinct cid from record_blob r where repo_id = ? and cid > ? and not exists
             (select 1 from blob b where b.account_id = ? and b.cid = r.cid)
           order by cid limit ?`,
        )
        .pluck()
        .all(repoId, after, accountId, limit),
    )
    return rows.map(cidOfRow)
  }

  /** Blobs that nothing has referred to since `beforeMs` or longer. */
  expired(beforeMs: number, limit: number): OwnedBlob[] {
    const rows = guarded('list expired blobs', () =>
      this.#connection
        .prepare('select account_id, cid from blob where unreferenced_at_ms <= ? limit ?')
        .all(beforeMs, limit),
    ) as Row[]
    return rows.map((row) => ({
      accountId: row['account_id'] as number,
      cid: cidOfRow(row['cid']),
    }))
  }

  /**
   * Forgets a blob.
   *
   * @returns Whether no account has a blob with these bytes any more.
   */
  remove({ accountId, cid }: OwnedBlob): boolean {
    return guarded('remove blob', () => {
      this.#connection
        .prepare('delete from blob where account_id = ? and cid = ?')
        .run(accountId, cid)
      return this.#isOwned.get(cid) === undefined
    })
  }
}

/** That the record at `path`, written with `rev`, refers to a blob. */
export interface Reference {
  readonly cid: Uint8Array
  readonly path: string
  readonly rev: string
}
