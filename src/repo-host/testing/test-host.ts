/** A host under test: its clock is moved by hand, its events are read back out of its log. */
import Database from 'better-sqlite3'
import { PrivateKey } from '../../crypto/private-key.ts'
import type { Curve } from '../../crypto/curve.ts'
import { sha256 } from '../../crypto/sha256.ts'
import { join } from 'node:path'
import { encodeCar } from '../../data/car-stream.ts'
import { cidToString } from '../../data/cid.ts'
import { assert, must } from '../../lib/assert.ts'
import { concatBytes, utf8 } from '../../lib/bytes.ts'
import { type Clock, systemClock, type Timer } from '../../lib/clock.ts'
import type { LogRecord } from '../../log/log-types.ts'
import { parseFrame } from '../../stream/frame.ts'
import type { MessageFrame } from '../../stream/frame-types.ts'
import { payloadRange } from '../../stream/wire-frame.ts'
import type { HostResult } from '../outcomes.ts'
import type { RepoHostOptions } from '../host-options.ts'
import { RepoHost } from '../repo-host.ts'

/** Wall time that stands still until it is moved; monotonic time and timers are real. */
export class HandClock implements Clock {
  #nowMs: number

  constructor(nowMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return systemClock.monotonicMs()
  }

  after(delayMs: number, callback: () => void): Timer {
    return systemClock.after(delayMs, callback)
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }
}

/** A key that follows from a text. */
export function keyOf(seed: string, curve: Curve = 'k256'): PrivateKey {
  return PrivateKey.import(curve, sha256(utf8(seed)))
}

/** A did:plc that is easily told from others: `a` gives `did:plc:aaa...`. */
export function didOf(letter: string): string {
  return `did:plc:${letter.repeat(24)}`
}

/** What a call answered; fails when it refused. */
export function good<T>(
  result:
    | HostResult<T>
    | { readonly ok: false; readonly reason: string; readonly detail: string }
    | { readonly ok: true; readonly value: T },
): T {
  assert(result.ok, () => (result.ok ? '' : `refused: ${result.reason} ${result.detail}`))
  return result.value
}

/** Opens a host in memory, or on a directory. */
export function openTestHost(
  options: Partial<RepoHostOptions> & { readonly clock?: Clock } = {},
): Promise<RepoHost> {
  return RepoHost.open({ directory: null, clock: new HandClock(), clockId: 7, ...options })
}

/** The message in an entry of a log. */
export function messageOf({ frame }: LogRecord): MessageFrame {
  const range = must(payloadRange(frame, 0), 'whole wire frame')
  assert(range.end === frame.length, 'nothing after the frame')
  const parsed = parseFrame(frame.slice(range.start, range.end))
  assert(parsed.ok && parsed.value.kind === 'message', 'a message')
  return parsed.value
}

/** Every event of a host after a seq that has not been purged, in order. */
export async function eventsOf(host: RepoHost, afterSeq = 0): Promise<MessageFrame[]> {
  const events: MessageFrame[] = []
  for await (const record of host.log.entriesAfter(afterSeq)) {
    if (record.entry.purged) continue
    const message = messageOf(record)
    assert(message.seq === record.entry.seq, 'the frame has the seq of its entry')
    events.push(message)
  }
  return events
}

/** Events in short: `#account deactivated`, `#commit create org.example.note/a`. */
export function brief(events: readonly MessageFrame[]): string[] {
  return events.map((event) => {
    if (event.type === '#account') return `#account ${event.body.status ?? 'active'}`
    if (event.type === '#identity') return `#identity ${event.body.handle ?? '-'}`
    if (event.type === '#sync') return '#sync'
    return ['#commit', ...event.body.ops.map(({ action, path }) => `${action} ${path}`)].join(' ')
  })
}

/** The bytes of an export. */
export async function exportOf(
  host: RepoHost,
  did: string,
  since: string | null = null,
): Promise<Uint8Array> {
  const opened = host.repoCar(did, since)
  assert(opened !== null && opened !== 'busy', 'an export')
  const pieces: Uint8Array[] = []
  for await (const piece of opened.chunks) pieces.push(piece)
  return concatBytes(pieces)
}

/** Bytes as a stream of pieces of a size. */
export async function* piecesOf(bytes: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size)
    await Promise.resolve()
  }
}

/** A proof as a CAR. */
export function proofCar(host: RepoHost, did: string, path: string): Uint8Array {
  const { root, blocks } = must(host.recordProof(did, path), 'proof')
  return encodeCar([root], blocks)
}

/** One row of the table of blocks. */
export interface StoredBlock {
  readonly rev: string
  readonly refs: number
}

/** What the database in a directory holds, read by a connection of its own. */
export class StateReader implements Disposable {
  readonly #database: Database.Database

  constructor(directory: string) {
    this.#database = new Database(join(directory, 'host.sqlite'), { readonly: true })
  }

  /** The blocks of an account by the text of their CIDs. */
  blocks(did: string): Map<string, StoredBlock> {
    const rows = this.#database
      .prepare(
        `select cid, block.rev as rev, refs from block
         join account on account.repo_id = block.repo_id where did = ?`,
      )
      .all(did) as { cid: Uint8Array; rev: string; refs: number }[]
    return new Map(rows.map(({ cid, rev, refs }) => [cidToString(cid), { rev, refs }]))
  }

  /** How many rows a table has. */
  count(table: 'block' | 'record' | 'record_blob' | 'blob' | 'repo' | 'outbox'): number {
    const row = this.#database.prepare(`select count(*) as n from ${table}`).get() as { n: number }
    return row.n
  }

  /** Seq of the newest event that has happened. */
  lastSeq(): number {
    const sql = "select value from setting where name = 'last_seq'"
    const row = this.#database.prepare(sql).get() as { value: number } | undefined
    return row?.value ?? 0
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }
}
