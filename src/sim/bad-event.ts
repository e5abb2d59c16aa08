/** What a bad event of ./bad-frames.ts, ./bad-cars.ts, ./bad-commits.ts and ./bad-trees.ts is. */
import type { Reason } from '../lib/reasons.ts'
import type { CommitBody } from '../stream/frame-types.ts'
import type { SignedRepo } from './signed-repo.ts'

/** What a case may use: an account whose honest next commit is `good`, not sent yet. */
export interface BadEventContext {
  readonly repo: SignedRepo
  readonly good: CommitBody
  /** The seq that the event will have. */
  readonly seq: number
  /** The clock of whoever judges the event, ms since the epoch. */
  readonly nowMs: number
}

/** A text is sent as a text message, bytes as they are, a commit in a good frame. */
export type BadEvent = string | Uint8Array | CommitBody

export interface BadEventCase {
  readonly name: string
  readonly reason: Reason
  readonly make: (context: BadEventContext) => BadEvent
}

/** Path of the record that the honest commit creates. */
export const GOOD_PATH = 'org.example.note/good'

/** The cases of one reason, by their names. */
export function cases(
  reason: Reason,
  made: Readonly<Record<string, BadEventCase['make']>>,
): BadEventCase[] {
  return Object.entries(made).map(([name, make]) => ({ reason, name, make }))
}
