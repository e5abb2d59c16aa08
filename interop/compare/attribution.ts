/** Finds, for each frame that the relay sent, the PDS event that it carries. */

import type { StreamEvent } from '../streams/frame.ts'
import type { LedgerEntry } from './ledger.ts'

export interface Delivery {
  /** What the relay sent. */
  readonly frame: StreamEvent
  /** `altered` when it is of the same event by its key fields, but of other bytes. */
  readonly bytes: 'same' | 'altered'
}

export interface Attribution {
  /** Frames of each entry, in order of arrival: one each, when all is well. */
  readonly deliveries: ReadonlyMap<LedgerEntry, readonly Delivery[]>
  /** The entry that a relay seq carries. */
  readonly entryBySeq: ReadonlyMap<number, LedgerEntry>
  /** Frames that carry no event of any PDS. */
  readonly strangers: readonly StreamEvent[]
}

/** Attributes the relay's `frames` to `entries`: by their bytes, then by what they claim to be. */
export function attribute(
  entries: readonly LedgerEntry[],
  frames: readonly StreamEvent[],
): Attribution {
  const byFingerprint = new Map(entries.map((entry) => [entry.event.fingerprint, entry]))
  const deliveries = new Map<LedgerEntry, Delivery[]>()
  const entryBySeq = new Map<number, LedgerEntry>()
  const give = (entry: LedgerEntry, delivery: Delivery): void => {
    const list = deliveries.get(entry)
    if (list === undefined) deliveries.set(entry, [delivery])
    else list.push(delivery)
    entryBySeq.set(delivery.frame.seq, entry)
  }

  const rest: StreamEvent[] = []
  for (const frame of frames) {
    const entry = byFingerprint.get(frame.fingerprint)
    if (entry === undefined) rest.push(frame)
    else give(entry, { frame, bytes: frame.canonical ? 'same' : 'altered' })
  }

  const byClaim = new Map<string, LedgerEntry>()
  for (const entry of entries) {
    if (!deliveries.has(entry)) byClaim.set(claimOf(entry.event), entry)
  }
  const strangers: StreamEvent[] = []
  for (const frame of rest) {
    const entry = byClaim.get(claimOf(frame))
    if (entry === undefined) strangers.push(frame)
    else give(entry, { frame, bytes: 'altered' })
  }
  return { deliveries, entryBySeq, strangers }
}

function claimOf(event: StreamEvent): string {
  return [event.type, event.did, event.rev ?? event.time].join(' ')
}
