/**
 * What is true: which accounts there are, where, in what state, with which records, and which
 * honest events were sent. Written by whoever acts, from what was meant rather than from what came
 * out; it knows nothing of relays, trees and verification.
 */
import { sha256 } from '../crypto/sha256.ts'
import { must } from '../lib/assert.ts'
import { toHex } from '../lib/bytes.ts'
import type { MessageType } from '../stream/frame-types.ts'
import { frameOf } from './messages.ts'

/** `active`, or why an account is not. */
export type AccountStatus = 'active' | 'deactivated' | 'suspended' | 'takendown' | 'deleted'

/** The newest commit, in text. */
export interface WorldHead {
  readonly rev: string
  readonly commit: string
}

/** What is true of an account now. */
export interface WorldAccount {
  readonly did: string
  /** Index of its host. */
  readonly host: number
  readonly handle: string
  readonly status: AccountStatus
  /** Null before the first commit. */
  readonly head: WorldHead | null
}

/** What a record says of a blob. */
export interface WorldBlob {
  /** Text of the CID. */
  readonly text: string
  readonly mimeType: string
  /** Bytes. */
  readonly size: number
}

/** An honest event that was sent. */
export interface WorldEvent {
  readonly did: string
  readonly type: MessageType
  /** Names the event among all of its account: see {@link eventId}. */
  readonly id: string
  /** Hash of the frame with seq 0: see {@link fingerprintOf}. */
  readonly fingerprint: string
  readonly host: number
  readonly hostSeq: number
}

/** A record that was written: its CID, and the blobs that it refers to. */
interface WrittenRecord {
  readonly cid: string
  readonly blobs: readonly WorldBlob[]
}

interface Account {
  account: WorldAccount
  readonly base: ReadonlyMap<string, string>
  readonly baseBlobs: ReadonlyMap<string, readonly WorldBlob[]>
  /** Records written since, null for those deleted. */
  readonly changes: Map<string, WrittenRecord | null>
  readonly events: WorldEvent[]
}

/** What names an event among all of one account, whatever seq it is given on the way. */
export function eventId(
  type: string,
  body: { readonly rev?: string; readonly time?: string },
): string {
  return `${type} ${body.rev ?? ''} ${body.time ?? ''}`
}

/** Hash of a frame's content but for its seq. */
export function fingerprintOf(type: string, body: object): string {
  return toHex(sha256(frameOf({ op: 1, t: type }, { ...body, seq: 0 })))
}

/** The truth, and the history of how it came about. */
export class World {
  readonly #accounts = new Map<string, Account>()
  readonly #history: 'kept' | 'none'
  #events = 0

  /** @param history `kept`: every event is remembered, for as long as the world lasts. */
  constructor(history: 'kept' | 'none') {
    this.#history = history
  }

  get dids(): Iterable<string> {
    return this.#accounts.keys()
  }

  /** Honest events sent so far. */
  get eventCount(): number {
    return this.#events
  }

  account(did: string): WorldAccount | null {
    return this.#accounts.get(did)?.account ?? null
  }

  /** What the repository holds: text of CIDs by path. A copy. */
  records(did: string): Map<string, string> {
    const { base, changes } = this.#get(did)
    const records = new Map(base)
    for (const [path, written] of changes) {
      if (written === null) records.delete(path)
      else records.set(path, written.cid)
    }
    return records
  }

  /**
   * The blobs that the records of the repository refer to, by the text of their CID. One is gone
   * when the last record is that refers to it. A copy.
   */
  blobs(did: string): Map<string, Omit<WorldBlob, 'text'>> {
    const { baseBlobs, changes } = this.#get(did)
    const blobs = new Map<string, Omit<WorldBlob, 'text'>>()
    const add = (referred: readonly WorldBlob[]): void => {
      for (const { text, mimeType, size } of referred) blobs.set(text, { mimeType, size })
    }
    for (const [path, referred] of baseBlobs) if (!changes.has(path)) add(referred)
    for (const written of changes.values()) if (written !== null) add(written.blobs)
    return blobs
  }

  /** Text of the CID of a record; null when there is none. */
  record(did: string, path: string): string | null {
    const { base, changes } = this.#get(did)
    const changed = changes.get(path)
    return changed === undefined ? (base.get(path) ?? null) : (changed?.cid ?? null)
  }

  /** Honest events of an account in order; empty when no history is kept. */
  events(did: string): readonly WorldEvent[] {
    return this.#get(did).events
  }

  // ---- For whoever acts

  /**
   * Neither map is copied, nor changed.
   *
   * @param base Records that the account begins with.
   * @param baseBlobs Blobs by the path of the record that refers to them.
   */
  add(
    account: WorldAccount,
    base: ReadonlyMap<string, string>,
    baseBlobs: ReadonlyMap<string, readonly WorldBlob[]> = new Map(),
  ): void {
    const entry = { account, base, baseBlobs, changes: new Map(), events: [] }
    this.#accounts.set(account.did, entry)
  }

  change(did: string, change: Partial<Omit<WorldAccount, 'did'>>): void {
    const entry = this.#get(did)
    entry.account = { ...entry.account, ...change }
  }

  /** A record was written, or deleted: then there is no CID. */
  write(did: string, path: string, cid: string | null, blobs: readonly WorldBlob[] = []): void {
    const { base, changes } = this.#get(did)
    if (cid !== null) changes.set(path, { cid, blobs })
    else if (base.has(path)) changes.set(path, null)
    else changes.delete(path)
  }

  /** An honest event was sent. Returns its id. */
  sent(did: string, type: MessageType, body: object, host: number, hostSeq: number): string {
    const id = eventId(type, body)
    this.#events++
    if (this.#history === 'kept') {
      const fingerprint = fingerprintOf(type, body)
      this.#get(did).events.push({ did, type, id, fingerprint, host, hostSeq })
    }
    return id
  }

  #get(did: string): Account {
    return must(this.#accounts.get(did), 'account of the world')
  }
}
