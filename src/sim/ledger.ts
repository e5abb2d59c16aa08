/**
 * What was done wrong on purpose, and what must come of it. The ledger is written by whoever lies
 * and read by whoever checks; those who judge the lies never see it.
 */
import type { Reason } from '../lib/reasons.ts'

/** One lie. */
export interface LedgerEntry {
  readonly number: number
  /** What is wrong, for people: `signature-high-s: S over half the order`. */
  readonly lie: string
  /** Why it must be refused. */
  readonly reason: Reason
  /** Index of the host that told it, and the place in the host's sequence; 0 when it has none. */
  readonly host: number
  readonly hostSeq: number
  readonly did: string
  /** The honest event right after it that must survive, as the world names it. */
  sibling: string
  /** How often it went out on a connection. */
  sent: number
}

/** Entries that are kept; older ones stay in the counts. */
const ENTRIES_MAX = 10_000

/** All lies of a network. */
export class Ledger {
  readonly #entries: LedgerEntry[] = []
  readonly #told = new Map<Reason, number>()
  readonly #sent = new Map<Reason, number>()
  #count = 0

  tell(lie: Omit<LedgerEntry, 'number' | 'sibling' | 'sent'>): LedgerEntry {
    const entry: LedgerEntry = { ...lie, number: ++this.#count, sibling: '', sent: 0 }
    this.#entries.push(entry)
    if (this.#entries.length > ENTRIES_MAX) this.#entries.shift()
    this.#told.set(lie.reason, (this.#told.get(lie.reason) ?? 0) + 1)
    return entry
  }

  /** It went out on a connection. */
  noteSent(entry: LedgerEntry): void {
    entry.sent++
    this.#sent.set(entry.reason, (this.#sent.get(entry.reason) ?? 0) + 1)
  }

  get entries(): readonly LedgerEntry[] {
    return this.#entries
  }

  get count(): number {
    return this.#count
  }

  /** Lies told, by the reason that each must be refused for. */
  told(): ReadonlyMap<Reason, number> {
    return this.#told
  }

  /** How often lies went out on connections, by reason. */
  sent(): ReadonlyMap<Reason, number> {
    return this.#sent
  }
}
