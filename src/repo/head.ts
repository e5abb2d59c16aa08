/**
 * A verified event against the head that is already known of its repository. (Sync specification,
 * "commit validation": rev, since and prevData.)
 */
import { cidEquals } from '../data/cid.ts'
import type { DiscontinuousReason, StaleReason } from '../lib/reasons.ts'
import type { Verified } from './verify.ts'

/** What of a verified event is held against the head. */
type VerifiedHead = Pick<Verified, 'rev' | 'commit' | 'since' | 'prevData'>

/** The newest commit known of a repository. */
export interface Head {
  readonly rev: string
  readonly commit: Uint8Array
  /** CID of the tree; null where only rev and commit are known. */
  readonly data: Uint8Array | null
}

export type HeadVerdict =
  /** It continues the head, or is the first. */
  | { readonly outcome: 'continues' }
  /** It is the head itself, said again: nothing changes. */
  | { readonly outcome: 'same' }
  | { readonly outcome: 'stale'; readonly reason: StaleReason; readonly detail: string }
  /** It is newer but does not continue the head: what lies between is unknown. */
  | {
      readonly outcome: 'discontinuous'
      readonly reason: DiscontinuousReason
      readonly detail: string
    }

/**
 * Judges a `#commit` against the head. A first commit (`since` null) of a repository that is known
 * is discontinuous: the repository has been made anew.
 */
export function commitAgainstHead(head: Head | null, verified: VerifiedHead): HeadVerdict {
  if (head === null) return { outcome: 'continues' }
  if (verified.rev <= head.rev) return stale(head, verified)
  if (verified.since !== head.rev) {
    const detail = `since ${verified.since ?? 'null'}, known rev ${head.rev}`
    return { outcome: 'discontinuous', reason: 'since-mismatch', detail }
  }
  const { prevData } = verified
  if (prevData === null || (head.data !== null && !cidEquals(prevData, head.data))) {
    const detail = `prevData is not the tree of rev ${head.rev}`
    return { outcome: 'discontinuous', reason: 'prev-data-mismatch', detail }
  }
  return { outcome: 'continues' }
}

/**
 * Judges a `#sync` against the head. Said again of the head itself it is `same`: hosts do so after
 * creating and activating an account.
 */
export function syncAgainstHead(head: Head | null, verified: VerifiedHead): HeadVerdict {
  if (head === null) return { outcome: 'continues' }
  if (verified.rev === head.rev && cidEquals(verified.commit, head.commit))
    return { outcome: 'same' }
  return verified.rev <= head.rev ? stale(head, verified) : { outcome: 'continues' }
}

function stale(head: Head, verified: VerifiedHead): HeadVerdict {
  const detail = `rev ${verified.rev}, known rev ${head.rev}`
  return { outcome: 'stale', reason: 'rev-stale', detail }
}
