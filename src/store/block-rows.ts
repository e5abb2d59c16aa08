/**
 * Blocks by repository and CID, with the rev that each came in with. Changes are gathered over a
 * whole transaction and written in key order: what a batch creates and removes again is never
 * written, and sorted writes cost a fraction of scattered ones.
 */
import type { Statement } from 'better-sqlite3'
import { compareBytes, plainBytes } from '../lib/bytes.ts'
import { assert } from '../lib/assert.ts'
import type { Connection } from './database.ts'
import { guarded } from './guarded.ts'

/** Key of a CID in a map: each byte as one character. A fraction of what its text form takes. */
export function cidKey(cid: Uint8Array): string {
  return Buffer.from(cid.buffer, cid.byteOffset, cid.length).toString('latin1')
}

/** What a transaction does to one block. */
interface BlockChange {
  readonly cid: Uint8Array
  /** The content; null when it is only known by its CID, being removed. */
  block: Uint8Array | null
  /** Uses that came, less those that went. */
  delta: number
  /** Rev of the newest use. */
  rev: string
  /** Whether a use went before one came: the block may have been away in between. */
  returned: boolean
}

/** Blocks of all repositories of a host, through one connection. */
export class BlockRows {
  readonly #read: Statement
  readonly #exists: Statement
  readonly #add: Statement
  readonly #dropLast: Statement
  readonly #drop: Statement
  readonly #touch: Statement
  readonly #stage: Statement
  readonly #step: Statement
  readonly #sweep: Statement
  /** Changes not written yet, by repository. */
  readonly #pending = new Map<number, Map<string, BlockChange>>()

  constructor(connection: Connection) {
    this.#read = connection
      .prepare('select content from block where repo_id = ? and cid = ?')
      .pluck()
    this.#exists = connection.prepare('select 1 from block where repo_id = ? and cid = ?').pluck()
    this.#add = connection.prepare(
      `insert into block (repo_id, cid, rev, refs, content) values (?, ?, ?, ?, ?)
       on conflict (repo_id, cid) do update set
         refs = refs + excluded.refs,
         rev = case when ? = 1 or refs = 0 then excluded.rev else rev end`,
    )
    this.#dropLast = connection.prepare(
      'delete from block where repo_id = ? and cid = ? and refs = ?',
    )
    this.#drop = connection.prepare(
      'update block set refs = refs - ? where repo_id = ? and cid = ?',
    )
    this.#touch = connection.prepare('update block set rev = ? where repo_id = ? and cid = ?')
    this.#stage = connection.prepare(
      `insert or ignore into block (repo_id, cid, rev, refs, content) values (?, ?, '', 0, ?)`,
    )
    this.#step = connection
      .prepare('select cid from block where repo_id = ? and cid > ? order by cid limit 1 offset ?')
      .pluck()
    this.#sweep = connection.prepare(
      'delete from block where repo_id = ? and cid > ? and cid <= ? and refs = 0',
    )
  }

  /** The block as the transaction leaves it so far, or null. The bytes are the caller's. */
  get(repoId: number, cid: Uint8Array): Uint8Array | null {
    const change = this.#pending.get(repoId)?.get(cidKey(cid))
    if (change !== undefined && change.block !== null) return change.block
    const found = guarded('read block', () => this.#read.get(repoId, cid))
    return found instanceof Uint8Array ? plainBytes(found) : null
  }

  /** Whether a committed block is there. */
  has(repoId: number, cid: Uint8Array): boolean {
    return guarded('look for block', () => this.#exists.get(repoId, cid)) !== undefined
  }

  /** One more use of a block, with a commit of `rev`. Keeps `block`. */
  add(repoId: number, cid: Uint8Array, block: Uint8Array, rev: string): void {
    const change = this.#change(repoId, cid, rev)
    if (change.delta < 0) change.returned = true
    change.block = block
    change.delta++
    change.rev = rev
  }

  /** One use less. A block without uses is not part of the repository any more. */
  remove(repoId: number, cid: Uint8Array, rev: string): void {
    this.#change(repoId, cid, rev).delta--
  }

  #change(repoId: number, cid: Uint8Array, rev: string): BlockChange {
    let changes = this.#pending.get(repoId)
    if (changes === undefined) {
      changes = new Map()
      this.#pending.set(repoId, changes)
    }
    const key = cidKey(cid)
    let change = changes.get(key)
    if (change === undefined) {
      change = { cid, block: null, delta: 0, rev, returned: false }
      changes.set(key, change)
    }
    return change
  }

  /** Writes what has been gathered. To be called at the end of the transaction. */
  flush(): void {
    for (const repoId of [...this.#pending.keys()].sort((a, b) => a - b)) {
      const changes = [...(this.#pending.get(repoId)?.values() ?? [])]
      changes.sort((a, b) => compareBytes(a.cid, b.cid))
      guarded('write blocks', () => {
        for (const change of changes) this.#write(repoId, change)
      })
    }
    this.#pending.clear()
  }

  /** Forgets what has been gathered: the transaction is being rolled back. */
  discard(): void {
    this.#pending.clear()
  }

  #write(repoId: number, { cid, block, delta, rev, returned }: BlockChange): void {
    if (delta > 0) {
      assert(block !== null, 'a block that comes has content')
      this.#add.run(repoId, cid, rev, delta, block, returned ? 1 : 0)
      return
    }
    if (delta < 0) {
      if (this.#dropLast.run(repoId, cid, -delta).changes === 1) return
      const { changes } = this.#drop.run(-delta, repoId, cid)
      assert(changes === 1, 'a block that goes is there')
    }
    if (returned) this.#touch.run(rev, repoId, cid)
  }

  // ---- Imports: blocks come first, which of them are used is found later.

  /** Writes blocks without uses, in key order; ones that are there stay. Within a transaction. */
  stage(
    repoId: number,
    blocks: readonly { readonly cid: Uint8Array; readonly block: Uint8Array }[],
  ): void {
    const sorted = [...blocks].sort((a, b) => compareBytes(a.cid, b.cid))
    guarded('stage blocks', () => {
      for (const { cid, block } of sorted) this.#stage.run(repoId, cid, block)
    })
  }

  /**
   * Removes the blocks without uses among the next `count` over the CID `after`.
   *
   * @param after An empty array to begin with.
   * @returns Where to go on, or null at the end.
   */
  sweepUnused(repoId: number, after: Uint8Array, count: number): Uint8Array | null {
    return guarded('sweep blocks', () => {
      const last = this.#step.get(repoId, after, count - 1)
      const next = last instanceof Uint8Array ? plainBytes(last) : null
      this.#sweep.run(repoId, after, next ?? AFTER_ALL_CIDS)
      return next
    })
  }
}

/** Sorts after every CID: those begin with 1. */
const AFTER_ALL_CIDS = Uint8Array.of(2)
