/** Which checks may be relaxed, and what each is set to. */
import type { InvalidReason, Reason } from '../lib/reasons.ts'

/** What a failed check does: refuse the event, remark on it and pass it, or nothing. */
export type CheckMode = 'enforce' | 'warn' | 'off'

/**
 * The checks that an operator may relax, by the reason that they give. Those that are not here (the
 * form of bytes, hashes, signatures, identities) cannot be: without them nothing else is meant.
 */
export const ADJUSTABLE_CHECKS: readonly AdjustableCheck[] = [
  'rev-future',
  'commit-cid-mismatch',
  'op-path-invalid',
  'op-prev-missing',
  'op-record-missing',
  'op-record-too-large',
  'op-record-malformed',
  'prev-data-missing',
  'inversion-mismatch',
  'op-not-in-tree',
  'mst-block-missing',
]

export type AdjustableCheck = Extract<
  InvalidReason,
  | 'rev-future'
  | 'commit-cid-mismatch'
  | 'op-path-invalid'
  | 'op-prev-missing'
  | 'op-record-missing'
  | 'op-record-too-large'
  | 'op-record-malformed'
  | 'prev-data-missing'
  | 'inversion-mismatch'
  | 'op-not-in-tree'
  | 'mst-block-missing'
>

/** Modes of checks that differ from `enforce`, which is the default of all. */
export type CheckModes = Readonly<Partial<Record<AdjustableCheck, CheckMode>>>

/** A check that failed without the event being refused. */
export interface Warning {
  readonly reason: Reason
  readonly detail: string
}

/** Applies modes and collects warnings while one event is verified. */
export class CheckList {
  readonly #modes: CheckModes
  readonly warnings: Warning[] = []

  constructor(modes: CheckModes) {
    this.#modes = modes
  }

  /** Records that a check failed. True when the event must be refused for it. */
  refuses(reason: InvalidReason, detail: string): boolean {
    const mode = (this.#modes as Partial<Record<InvalidReason, CheckMode>>)[reason] ?? 'enforce'
    if (mode === 'warn') this.warnings.push({ reason, detail })
    return mode === 'enforce'
  }
}
