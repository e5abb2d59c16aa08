/** The events of the log that is killed: each tells in which life it was appended. */
import type { LogAppend } from '../../src/log/log-types.ts'
import { eventOf, frameOf } from '../../src/log/testing/log-fixtures.ts'

/** Small, so that every few batches begin a segment. */
export const SEGMENT_BYTES = 2_500
/** Batches of a life that nothing ends before. */
export const ROUNDS = 40
/** Seqs stay below this, so that no two lives have a frame in common. */
const LIFE = 1_000_000

/** The event that a life appends under a seq. */
export function eventOfLife(life: number, seq: number): LogAppend {
  const { frame, ...rest } = eventOf(seq)
  return { ...rest, frame: frameOf(life * LIFE + seq, frame.length) }
}
