import { DatabaseSync } from 'node:sqlite'

import type { CommitDelivery } from '../src/client/index.ts'

export interface AccountStatus {
  readonly did: string
  readonly active: boolean
  readonly status: string | null
}

/** The posts of a feed. What one commit does to them is one transaction. */
export class FeedDatabase {
  readonly #db: DatabaseSync

  constructor(file: string) {
    this.#db = new DatabaseSync(file)
    this.#db.exec(`
      pragma journal_mode = wal;
      create table if not exists post (did text, rkey text, cid text, text text,
        primary key (did, rkey)) without rowid;
      create table if not exists hidden (did text primary key) without rowid;
      create table if not exists lost (at text);
      create table if not exists running (at text);
    `)
  }

  /** Doing this twice does what doing it once does: deliveries may come again. */
  commit({ did, ops }: CommitDelivery): void {
    this.#inTransaction(() => {
      for (const { action, rkey, cid, record } of ops) {
        if (action === 'delete') this.#run('delete from post where did = ? and rkey = ?', did, rkey)
        // A record that does not decode is no post, whatever stood there before.
        const text = record?.valid === true ? record.value['text'] : null
        const shown = typeof text === 'string' ? text : null
        if (action !== 'delete') {
          this.#run('insert or replace into post values (?, ?, ?, ?)', did, rkey, cid, shown)
        }
      }
    })
  }

  /** An account is hidden while it is not active, and nothing of it is kept once it is deleted. */
  account({ did, active, status }: AccountStatus): void {
    if (active) this.#run('delete from hidden where did = ?', did)
    else if (status === 'deleted') this.remove(did)
    else this.#run('insert or ignore into hidden values (?)', did)
  }

  remove(did: string): void {
    this.#inTransaction(() => {
      this.#run('delete from post where did = ?', did)
      this.#run('delete from hidden where did = ?', did)
    })
  }

  /** Whether events were lost that have not been made up for. It outlives the process. */
  get isLost(): boolean {
    return this.#db.prepare('select 1 from lost').get() !== undefined
  }

  noteLoss(): void {
    if (!this.isLost) this.#run("insert into lost values (datetime('now'))")
  }

  forgetLoss(): void {
    this.#run('delete from lost')
  }

  /** Whether the last run did not get to its end. */
  get wasKilled(): boolean {
    return this.#db.prepare('select 1 from running').get() !== undefined
  }

  noteStart(): void {
    if (!this.wasKilled) this.#run("insert into running values (datetime('now'))")
  }

  noteEnd(): void {
    this.#run('delete from running')
  }

  /** Everybody who has posts here. */
  dids(): string[] {
    const rows = this.#db.prepare('select distinct did from post').all()
    return rows.map((row) => String(row['did']))
  }

  /** CIDs of the posts that are kept of an account, shown or hidden, by record key. */
  kept(did: string): Map<string, string> {
    const rows = this.#db.prepare('select rkey, cid from post where did = ?').all(did)
    return new Map(rows.map((row) => [String(row['rkey']), String(row['cid'])]))
  }

  /** CIDs of the posts that are shown of an account, by record key. */
  shown(did: string): Map<string, string> {
    const query = 'select rkey, cid from post where did = ?1 and ?1 not in (select did from hidden)'
    const rows = this.#db.prepare(query).all(did)
    return new Map(rows.map((row) => [String(row['rkey']), String(row['cid'])]))
  }

  close(): void {
    this.#db.close()
  }

  #run(sql: string, ...values: (string | null)[]): void {
    this.#db.prepare(sql).run(...values)
  }

  #inTransaction(work: () => void): void {
    this.#db.exec('begin immediate')
    try {
      work()
      this.#db.exec('commit')
    } catch (error) {
      this.#db.exec('rollback')
      throw error
    }
  }
}
