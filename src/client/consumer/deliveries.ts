/** Deliveries out of events and repositories. */
import { cidToString } from '../../data/cid.ts'
import { must } from '../../lib/assert.ts'
import { ok } from '../../lib/result.ts'
import type { Did } from '../../syntax/did.ts'
import type { Tid } from '../../syntax/tid.ts'
import { decodeRecord } from '../events/commit-view.ts'
import type { StoredCursor } from '../../store/consumer-state.ts'
import type {
  CommitDelivery,
  Delivery,
  DeliveryVerdict,
  RepoCompleteDelivery,
} from './consumer-types.ts'
import { eventOf } from '../events/decode-event.ts'
import type { CommitEvent, RecordOutcome, RecordValue, RepoOperation } from '../events/events.ts'
import type { Task } from './lanes.ts'
import type { VerifiedRepo } from '../calls/verified-client.ts'

/** Where the cursor may go once a delivery is finished; asked when it is wanted. */
export type CheckpointOf = (place: Task['place']) => StoredCursor | null

export interface EventDeliveryOptions {
  readonly verdict: DeliveryVerdict
  readonly cause: 'live' | 'replay'
  /** Which operations of a commit are given out. */
  readonly wantsPath: (path: string) => boolean
  readonly checkpointOf: CheckpointOf
}

/**
 * The delivery of one frame; null when none of a commit's operations is wanted, or when a retired
 * message is not what its lexicon said.
 */
export function eventDelivery(task: Task, options: EventDeliveryOptions): Delivery | null {
  const { place } = task
  const decoded = eventOf(task.frame, task.bytes)
  if (!decoded.ok) return null
  const { value: event } = decoded
  if (event.type === '#commit') return commitDelivery(task, event, options)
  const base = new Base(place, options.checkpointOf)
  const { cause, verdict } = options
  switch (event.type) {
    case '#sync':
      return give(base, { kind: 'sync', did: event.did, rev: event.rev, cause, verdict, event })
    case '#identity':
      return give(base, { kind: 'identity', did: event.did, cause, event })
    case '#account': {
      const { did, active, status } = event
      return give(base, { kind: 'account', did, active, status, cause, event })
    }
    case '#info':
      return give(base, { kind: 'info', event })
    case 'error':
      return null
    case '#handle':
    case '#migrate':
    case '#tombstone':
    case 'unknown':
      break
  }
  return give(base, { kind: 'other', event })
}

/**
 * What deliveries have in common. Getters stand in classes: one in an object literal makes a hidden
 * class of each object, which holds what it closes over until the next full garbage collection.
 */
class Base {
  readonly place: Task['place']
  readonly #checkpointOf: CheckpointOf

  constructor(place: Task['place'], checkpointOf: CheckpointOf) {
    this.place = place
    this.#checkpointOf = checkpointOf
  }

  get checkpoint(): StoredCursor | null {
    return this.#checkpointOf(this.place)
  }
}

/** Adds what is particular without asking for the checkpoint. */
function give<const T extends object>(base: Base, particular: T): Base & T {
  return Object.assign(base, particular)
}

function commitDelivery(
  task: Task,
  event: CommitEvent,
  options: EventDeliveryOptions,
): CommitDelivery | null {
  const { wantsPath } = options
  const { ops } = event
  const wanted = ops.filter(({ path }) => wantsPath(path))
  // A commit without operations says that there is a new rev; filters leave it out.
  if (wanted.length === 0 && ops.length > 0) return null
  return new EventCommit(task, event, wanted, options)
}

/** A commit of the stream. */
class EventCommit extends Base implements CommitDelivery {
  readonly kind = 'commit'
  readonly did: Did
  readonly rev: Tid
  readonly since: Tid | null
  readonly verdict: DeliveryVerdict
  readonly cause: 'live' | 'replay'
  readonly ops: readonly RepoOperation[]
  readonly event: CommitEvent

  constructor(
    { place }: Task,
    event: CommitEvent,
    ops: readonly RepoOperation[],
    { verdict, cause, checkpointOf }: EventDeliveryOptions,
  ) {
    super(place, checkpointOf)
    this.did = event.did
    this.rev = event.rev
    this.since = event.since
    this.verdict = verdict
    this.cause = cause
    this.ops = ops
    this.event = event
  }

  get commit(): string {
    return this.event.commit
  }
}

/** What is known of a fetched repository while it is delivered. */
export interface FetchedRepo extends Pick<VerifiedRepo, 'did' | 'rev'> {
  /** CID of the commit. */
  readonly commit: string
}

/** One part of what a repository turned out to be. */
export function partDelivery(
  repo: FetchedRepo,
  cause: 'repair' | 'backfill',
  ops: readonly RepoOperation[],
  checkpointOf: CheckpointOf,
): CommitDelivery {
  const { did, rev, commit } = repo
  return give(new Base(null, checkpointOf), {
    kind: 'commit',
    did,
    rev,
    since: null,
    commit,
    verdict: 'verified',
    cause,
    ops,
    event: null,
  })
}

/** The end of the parts. */
export function completeDelivery(
  repo: FetchedRepo,
  cause: 'repair' | 'backfill',
  changes: number,
  checkpointOf: CheckpointOf,
): RepoCompleteDelivery {
  const { did, rev, commit } = repo
  return give(new Base(null, checkpointOf), {
    kind: 'repo-complete',
    did,
    cause,
    rev,
    commit,
    changes,
  })
}

/** An operation that was found by comparing, rather than told. */
export class FoundOperation implements RepoOperation {
  readonly path: string
  /** 36 bytes, or null where there is none. */
  readonly before: Uint8Array | null
  readonly after: Uint8Array | null
  readonly recordBytes: Uint8Array | null
  #record: RecordOutcome<RecordValue> | null = null

  constructor(
    path: string,
    before: Uint8Array | null,
    after: { readonly cid: Uint8Array; readonly bytes: Uint8Array } | null,
  ) {
    this.path = path
    this.before = before
    this.after = after?.cid ?? null
    this.recordBytes = after?.bytes ?? null
  }

  get action(): 'create' | 'update' | 'delete' {
    if (this.after === null) return 'delete'
    return this.before === null ? 'create' : 'update'
  }

  get collection(): string {
    return this.path.slice(0, this.path.indexOf('/'))
  }

  get rkey(): string {
    return this.path.slice(this.path.indexOf('/') + 1)
  }

  get cid(): string | null {
    return this.after === null ? null : cidToString(this.after)
  }

  get prev(): string | null {
    return this.before === null ? null : cidToString(this.before)
  }

  get record(): RecordOutcome<RecordValue> | null {
    if (this.after === null) return null
    this.#record ??= decodeRecord(ok(must(this.recordBytes, 'record')))
    return this.#record
  }
}

/** The account of a delivery; null for those that are of none. */
export function accountOf(delivery: Delivery): Did | null {
  return delivery.kind === 'other' || delivery.kind === 'info' ? null : delivery.did
}
