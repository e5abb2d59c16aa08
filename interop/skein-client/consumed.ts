/** What a consumer of Skein's has delivered, written down so that it outlives its process. */

import type { ConsumerNotice, Delivery } from '../../src/client/consumer/consumer-types.ts'

export type ConsumedOperation = readonly [action: string, path: string, cid: string | null]

/** One delivery. What it has not is null. */
export interface Consumed {
  readonly kind: Delivery['kind']
  readonly did: string | null
  readonly seq: number | null
  readonly rev: string | null
  /** CID of the commit. */
  readonly commit: string | null
  readonly cause: string | null
  readonly verdict: string | null
  /** Of an `#account`: `active`, or why it is not. */
  readonly status: string | null
  readonly operations: readonly ConsumedOperation[]
}

export function consumedOf(delivery: Delivery): Consumed {
  const { kind, place } = delivery
  return {
    kind,
    did: 'did' in delivery ? delivery.did : null,
    seq: place?.seq ?? null,
    rev: 'rev' in delivery ? delivery.rev : null,
    commit: 'commit' in delivery ? delivery.commit : null,
    cause: 'cause' in delivery ? delivery.cause : null,
    verdict: 'verdict' in delivery ? delivery.verdict : null,
    status: kind === 'account' ? statusOf(delivery.active, delivery.status) : null,
    operations:
      kind === 'commit' ? delivery.ops.map(({ action, path, cid }) => [action, path, cid]) : [],
  }
}

function statusOf(active: boolean, status: string | null): string {
  return active ? 'active' : (status ?? 'inactive')
}

/** What a consumer has remarked. */
export interface Remark {
  readonly kind: ConsumerNotice['kind']
  readonly did: string | null
  readonly seq: number | null
  readonly text: string
}

export function remarkOf(notice: ConsumerNotice): Remark {
  const place = 'place' in notice ? notice.place : null
  return {
    kind: notice.kind,
    did: 'did' in notice ? notice.did : null,
    seq: place?.seq ?? null,
    text: JSON.stringify(notice),
  }
}

/** A consumer of one service, as the checks see it. */
export interface Consumption {
  /** Everything it delivered, in order; a list for each of its lives. */
  readonly lives: () => readonly (readonly Consumed[])[]
  readonly remarks: () => readonly Remark[]
  /** The saved cursor: everything up to it is finished. */
  readonly position: number
  /** What ended it; null while it runs. */
  readonly failure: string | null
  /** What its store holds of a repository, once it has stopped. */
  repo(did: string): Promise<RepoState>
  stop(): Promise<void>
}

export interface RepoState {
  /** Of the newest commit that was delivered; null for an account that is not known. */
  readonly rev: string | null
  /** Why it must be fetched; null when it need not be. */
  readonly mark: string | null
}
