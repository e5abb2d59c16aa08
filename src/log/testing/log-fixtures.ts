/** Events, clocks and comparisons for the tests of this folder. */
import assert from 'node:assert/strict'
import type { Clock } from '../../lib/clock.ts'
import { EventLog } from '../event-log.ts'
import type { LogOptions } from '../log-limits.ts'
import type { EventKind, LogAppend, LogChunk } from '../log-types.ts'
import type { LogStorage } from '../storage.ts'

/** A clock that stands until it is set. */
export interface ManualClock extends Clock {
  set(ms: number): void
}

export function manualClock(startMs = 1_700_000_000_000): ManualClock {
  let now = startMs
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    after: () => {
      throw new Error('the log sets no timers')
    },
    set: (ms) => {
      now = ms
    },
  }
}

/** Bytes that are different for every seq and length, and never blank. */
export function frameOf(seq: number, length = 40): Uint8Array {
  const frame = new Uint8Array(length)
  let state = (seq * 2_654_435_761) >>> 0
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    frame[at] = (state >>> 24) | 1
  }
  return frame
}

export interface EventShape {
  readonly did?: string
  readonly kind?: EventKind
  readonly length?: number
  readonly timeMs?: number
}

export function eventOf(seq: number, shape: EventShape = {}): LogAppend {
  return {
    seq,
    kind: shape.kind ?? 'commit',
    did: shape.did ?? `did:plc:${seq % 7}`,
    frame: frameOf(seq, shape.length ?? 30 + (seq % 23)),
    timeMs: shape.timeMs ?? 1_700_000_000_000 + seq,
    hostId: seq % 5,
    hostEpoch: seq % 3,
    hostSeq: seq * 10,
  }
}

/** `count` events from the log's next seq on. */
export function batchOf(log: EventLog, count: number, shape: EventShape = {}): LogAppend[] {
  const first = log.nextSeq
  return Array.from({ length: count }, (_, at) => eventOf(first + at, shape))
}

/** Appends and publishes a batch. */
export async function put(log: EventLog, count: number, shape: EventShape = {}): Promise<void> {
  await log.append(batchOf(log, count, shape))
  log.publish(log.durableSeq)
}

export function openLog(storage: LogStorage, options: Partial<LogOptions> = {}): Promise<EventLog> {
  return EventLog.open('data', { clock: manualClock(), storage, ...options })
}

/** Every chunk after `afterSeq`, up to what is published. */
export async function readChunks(
  log: EventLog,
  afterSeq: number,
  bytesMax = 65_536,
): Promise<LogChunk[]> {
  const chunks: LogChunk[] = []
  for (let position = afterSeq; ;) {
    const chunk = await log.read(position, bytesMax)
    if (chunk === null) return chunks
    if (chunk.lastSeq <= position) throw new Error(`a read after ${position} did not advance`)
    chunks.push(chunk)
    position = chunk.lastSeq
  }
}

/** The frames after `afterSeq`, end to end. */
export async function readAll(log: EventLog, afterSeq = 0, bytesMax = 65_536): Promise<Buffer> {
  const chunks = await readChunks(log, afterSeq, bytesMax)
  return Buffer.concat(chunks.map((chunk) => chunk.bytes))
}

/** What {@link readAll} must give for events appended with these seqs. */
export function framesOf(events: readonly LogAppend[]): Buffer {
  return Buffer.concat(events.map((event) => event.frame))
}

/** Asserts that two stretches of bytes are equal, without the diff that takes minutes to make. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, message = ''): void {
  const difference = actual.findIndex((byte, at) => byte !== expected[at])
  const what = `${message} differs at ${difference}`
  assert.ok(Buffer.from(actual).equals(expected), what)
  assert.equal(actual.length, expected.length, message)
}
