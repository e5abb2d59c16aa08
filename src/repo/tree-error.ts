import { cidToString } from '../data/cid.ts'
import { SkeinError } from '../lib/errors.ts'
import type { InvalidReason } from '../lib/reasons.ts'

/** The reasons that have to do with the tree. */
export type TreeReason = Extract<InvalidReason, `mst-${string}`>

/**
 * A tree that breaks a rule (TREE_INVALID), or lacks a block that an operation needs
 * (TREE_INCOMPLETE, with `missing`). Verification turns it into a verdict.
 */
export class TreeError extends SkeinError {
  readonly reason: TreeReason
  /** What is wrong, without the fields. */
  readonly detail: string
  /** The 36 bytes of the CID of the block that is not there, when that is the reason. */
  readonly missing: Uint8Array | null

  constructor(reason: TreeReason, detail: string, missing: Uint8Array | null = null) {
    super(missing === null ? 'TREE_INVALID' : 'TREE_INCOMPLETE', `tree: ${detail}`, { reason })
    this.reason = reason
    this.detail = detail
    this.missing = missing
  }
}

/** The error for a block that the tree names and its source does not hold. */
export function missingBlock(cid: Uint8Array): TreeError {
  return new TreeError('mst-block-missing', `block ${cidToString(cid)} is missing`, cid)
}
