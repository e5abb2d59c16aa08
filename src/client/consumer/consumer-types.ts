/** What a consumer is told and what it gives out. No code but the defaults. */
import type { SignatureVerifier } from '../../crypto/verifier.ts'
import type { IdentityResolver } from '../../identity/identity-resolver.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { DiscontinuousReason, InvalidReason, UnverifiableReason } from '../../lib/reasons.ts'
import type { Transport } from '../../stream/transport.ts'
import type { Did } from '../../syntax/did.ts'
import type { Tid } from '../../syntax/tid.ts'
import type { CallErrorCode } from '../calls/call-error.ts'
import type { ConsumerLimits } from './consumer-limits.ts'
import type { ConsumerStore, MarkReason, StoredCursor } from '../../store/consumer-state.ts'
import type {
  AccountEvent,
  CommitEvent,
  IdentityEvent,
  InfoEvent,
  KnownStatus,
  OtherStatus,
  RepoOperation,
  RepoSyncEvent,
  RetiredEvent,
  UnknownEvent,
} from '../events/events.ts'
import type { Governor } from '../calls/governor.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Place, SourceNotice, SourcePolicies, SourceState } from '../source/source-types.ts'

// ---- What goes in

/** The types of messages that can be asked for. `other`: retired and unknown ones. */
export type WantedType = '#commit' | '#sync' | '#identity' | '#account' | '#info' | 'other'

/** What is wanted of a stream. What is left out holds for all. */
export interface ConsumerFilter {
  /** Only these accounts; `follow` and `unfollow` change them while the consumer runs. */
  readonly dids?: Iterable<string>
  /**
   * Only records of these; `app.bsky.*` stands for all that begin so. A commit that touches none
   * is verified and moves its repository's head, but is not delivered.
   */
  readonly collections?: readonly string[]
  /** Without `#commit` nothing is verified, repaired or backfilled. */
  readonly types?: readonly WantedType[]
}

/**
 * Which repositories are fetched whole: `none`: one is taken from its first commit seen on; its
 * earlier records come with its first repair, if ever. `seen`: one is fetched when first seen.
 * DIDs: these are fetched at the start, and in the order given; others as with `none`.
 */
export type Backfill = 'none' | 'seen' | Iterable<string> | AsyncIterable<string>

/** The look-ups of a consumer; an `IdentityResolver` is one. */
export type ConsumerIdentities = Pick<IdentityResolver, 'peek' | 'resolve' | 'refresh' | 'purge'>

/** Options of {@link subscribe} and {@link runConsumer} alike. */
export interface ConsumerOptions {
  /** Relay, host or mirror to read: `https://relay.example`. Give this or `services`. */
  readonly service?: string | URL
  /** The preferred one first; the others are used when it fails. */
  readonly services?: readonly (string | URL)[]
  /**
   * Where to begin when nothing is stored: at the next event (the default), at the oldest that the
   * service holds, after a seq of the first service, or after a place.
   */
  readonly cursor?: 'live' | 'oldest' | number | StoredCursor
  /** Where the cursor outlives the process; default `store`. */
  readonly cursorStore?: CursorStore
  /** Heads, marks, index and quarantine; default a new {@link MemoryStore}. */
  readonly store?: ConsumerStore
  /**
   * `full` (the default): signature, operations, tree and continuity of each commit; what does not
   * hold is refused. `none`: nothing is verified, and there are no repairs; a commit whose rev is
   * not after the newest seen of its repository is skipped, and one that does not follow it is told
   * as `repo-gap`. Those revs are kept in memory only, of the `cachedReposMax` repositories that
   * were last heard of.
   */
  readonly verify?: 'full' | 'none'
  readonly filter?: ConsumerFilter
  readonly backfill?: Backfill
  /**
   * Where repositories are fetched; default the host that each account's DID document names. What
   * comes is verified either way.
   */
  readonly fetchFrom?: string | URL
  /**
   * What an account's deletion brings: `event` (the default): its `#account` event, which stands
   * for the end of all its records; `records`: a delete of each record known, before the event.
   */
  readonly deletion?: 'event' | 'records'
  readonly policies?: Partial<Omit<SourcePolicies, 'start'>>
  readonly limits?: Partial<ConsumerLimits>
  /** Stops the consumer. */
  readonly signal?: AbortSignal
  readonly onState?: (state: ConsumerState) => void
  /** Called at once and in order; what it throws stops the consumer. */
  readonly onNotice?: (notice: ConsumerNotice) => void
  /** Default the runtime's WebSocket. */
  readonly transport?: Transport
  /** Default the public directory and did:web. */
  readonly identities?: ConsumerIdentities
  /** Default the best that the runtime has. */
  readonly verifier?: SignatureVerifier
  /** See `SyncClientOptions`: these three are for the fetching of repositories. */
  readonly fetch?: typeof fetch
  readonly governor?: Governor
  readonly allowPrivateNetwork?: boolean
  readonly clock?: Clock
  readonly random?: Random
}

export interface SubscribeOptions extends ConsumerOptions {
  /**
   * When a delivery counts as finished: `next` (the default): when the one after it is asked for;
   * `explicit`: when its `done` is called. With `explicit` at most `concurrency` deliveries are
   * open, and one of each account, so finish some before asking for many more.
   */
  readonly acknowledge?: 'next' | 'explicit'
  /** Deliveries that may be open at once; default 256. */
  readonly concurrency?: number
}

/** Handles one delivery. It is finished when this returns, or its promise resolves. */
export type Handler = (delivery: Delivery, context: HandlerContext) => MaybePromise<void>

export interface HandlerContext {
  /**
   * Aborts when the consumer stops, or the try has taken `handlerTimeoutMs`: finish soon or give
   * up; what is given up comes again.
   */
  readonly signal: AbortSignal
  /** From 1 on; more when the handler has failed on this delivery. */
  readonly attempt: number
  /** See {@link DeliveryBase.checkpoint}. */
  readonly checkpoint: StoredCursor | null
}

export interface RunConsumerOptions extends ConsumerOptions {
  readonly handler: Handler
  /**
   * How long one try of the handler may take, ms. Then its signal aborts and the try has failed,
   * like one that throws; what it still does or says is not waited for, so that the next try can
   * overlap with it. Default none: a handler that waits for its database through an outage is left
   * to wait, and one that never ends holds its account, in the end the stream (`state.isHeld`).
   */
  readonly handlerTimeoutMs?: number
  /** Handlers at work at once, of different accounts; default 16. */
  readonly concurrency?: number
}

/** Where a cursor outlives the process: a file, a row of the application's own database. */
export interface CursorStore {
  /** What was saved last, one a service, the newest first; or just that one. */
  load(): MaybePromise<StoredCursor | readonly StoredCursor[] | null>
  /** Replaces what is stored of its service. Never called with less than was saved before, but
   * when the service has begun another sequence. */
  save(cursor: StoredCursor): MaybePromise<void>
  /** The cursor of this service means nothing any more. */
  forget?(service: string): MaybePromise<void>
}

// ---- What comes out

/** One thing to handle. Those of one account come in order, one at a time. */
export type Delivery =
  | CommitDelivery
  | RepoCompleteDelivery
  | SyncDelivery
  | IdentityDelivery
  | AccountDelivery
  | OtherDelivery
  | InfoDelivery

interface DeliveryBase {
  /** Where in its stream the event stood; null for what comes from a repository, and `#info`. */
  readonly place: Place | null
  /**
   * The place up to which everything is finished once this delivery is: to be stored in the
   * application's own transaction with what it makes of it. Null before anything is finished.
   */
  readonly checkpoint: StoredCursor | null
}

interface AccountDeliveryBase extends DeliveryBase {
  readonly did: Did
  /** `live`: from the stream; `replay`: out of quarantine, later than other accounts' events. */
  readonly cause: 'live' | 'replay'
}

/** Whether signature, operations, tree and continuity have been checked. */
export type DeliveryVerdict = 'verified' | 'unverified'

/** A commit, all its wanted operations together, or a part of what a fetched repository holds. */
export interface CommitDelivery extends DeliveryBase {
  readonly kind: 'commit'
  readonly did: Did
  readonly rev: Tid
  /** The rev before; null in the first commit and for what comes from a repository. */
  readonly since: Tid | null
  /** CID of the commit. */
  readonly commit: string
  readonly verdict: DeliveryVerdict
  /**
   * `repair` and `backfill`: the difference between what was delivered and the fetched repository
   * as of `rev`, in parts; `repo-complete` ends them. If the fetch fails half-way, the next one
   * goes on from what was delivered.
   */
  readonly cause: 'live' | 'replay' | 'repair' | 'backfill'
  /** In the commit's order; in the order of paths for what comes from a repository. */
  readonly ops: readonly RepoOperation[]
  /** The event itself; null for what comes from a repository. */
  readonly event: CommitEvent | null
}

/** All that a fetched repository holds has been delivered: what was known of it is as of `rev`. */
export interface RepoCompleteDelivery extends DeliveryBase {
  readonly kind: 'repo-complete'
  readonly did: Did
  readonly cause: 'repair' | 'backfill'
  readonly rev: Tid
  readonly commit: string
  /** Operations delivered for it. */
  readonly changes: number
}

/** A `#sync`. When it is news, what changed follows as a repair. */
export interface SyncDelivery extends AccountDeliveryBase {
  readonly kind: 'sync'
  readonly rev: Tid
  readonly verdict: DeliveryVerdict
  readonly event: RepoSyncEvent
}

export interface IdentityDelivery extends AccountDeliveryBase {
  readonly kind: 'identity'
  readonly event: IdentityEvent
}

export interface AccountDelivery extends AccountDeliveryBase {
  readonly kind: 'account'
  readonly active: boolean
  readonly status: KnownStatus | OtherStatus | null
  readonly event: AccountEvent
}

/** A retired message, or one of a type that this version does not know. Not tied to an account. */
export interface OtherDelivery extends DeliveryBase {
  readonly kind: 'other'
  readonly event: RetiredEvent | UnknownEvent
}

/** A remark of the service, such as `OutdatedCursor`; the consumer has acted on it already. */
export interface InfoDelivery extends DeliveryBase {
  readonly kind: 'info'
  readonly event: InfoEvent
}

/** A delivery of {@link subscribe}. */
export type SubscriptionDelivery = Delivery & {
  /** It is finished: only then may the cursor pass it. Calling it again does nothing. */
  done(): void
}

// ---- What can be seen

export type ConsumerPhase = 'starting' | SourceState['phase']

/** A snapshot. */
export interface ConsumerState {
  readonly phase: ConsumerPhase
  /** Null while starting. */
  readonly source: SourceState | null
  /** Whether the source is held back because too much waits. */
  readonly isHeld: boolean
  /** Why it stopped, when it was not asked to. */
  readonly failure: Error | null
}

/** What an operator may want to know. */
export type ConsumerNotice =
  | SourceNotice
  /** An event was refused, and not delivered; the next one of its account heals what it broke. */
  | {
      readonly kind: 'refused'
      readonly did: string
      readonly reason: InvalidReason
      readonly detail: string
      readonly place: Place
    }
  /** A repository is not known to be what was delivered, until `repaired`. */
  | {
      readonly kind: 'desynchronized'
      readonly did: string
      readonly reason: MarkReason
      readonly detail: string
    }
  | {
      readonly kind: 'repaired'
      readonly did: string
      readonly rev: string
      readonly changes: number
    }
  | {
      readonly kind: 'repair-failed'
      readonly did: string
      /**
       * `rev-stale`: the host has an older state than was delivered, which stands, for a rev may
       * not go backwards; `host-behind`: once, when that has gone on for `behindTriesMax` tries:
       * it is tried rarely from now on, and at once when the account has a newer event.
       */
      readonly code:
        | CallErrorCode
        | UnverifiableReason
        | 'rev-stale'
        | 'host-behind'
        | 'handler-failed'
      readonly detail: string
      /** Wall time of the next try; null when an event or `replay` must bring it about. */
      readonly nextTryMs: number | null
    }
  /**
   * With `verify: 'none'`: commits of a repository between rev `known` and this one, which was
   * delivered all the same, were not seen. Nothing brings them.
   */
  | {
      readonly kind: 'repo-gap'
      readonly did: string
      /** The newest rev seen before. */
      readonly known: string
      /** The rev that the commit says it follows; null for the first of a repository. */
      readonly since: string | null
      readonly rev: string
      readonly place: Place
    }
  /** The handler failed too often: later events of the account wait behind this one. */
  | {
      readonly kind: 'quarantined'
      readonly did: string
      readonly error: string
      readonly tries: number
      readonly place: Place | null
    }

/** Counts since the start, and what waits now. */
export interface ConsumerStats {
  /** Frames that came in order, before any filter. */
  readonly received: number
  /** Deliveries that were finished. */
  readonly delivered: number
  /** Operations of these. */
  readonly operations: number
  readonly skipped: {
    /** By filter. */
    readonly filtered: number
    /** Seen already: by seq, or a rev that is not after the head. */
    readonly stale: number
    /** Dropped since the repository waits for a repair that will bring it. */
    readonly desynchronized: number
    /** Finished before the stored cursor of the application: not delivered again. */
    readonly finished: number
  }
  readonly refused: Readonly<Partial<Record<InvalidReason, number>>>
  readonly unverifiable: Readonly<Partial<Record<UnverifiableReason, number>>>
  readonly desynchronized: Readonly<Partial<Record<MarkReason | DiscontinuousReason, number>>>
  readonly repairs: {
    readonly running: number
    readonly waiting: number
    readonly done: number
    /** Of those done: by what was new since the head alone, and by the whole repository. */
    readonly update: number
    readonly whole: number
    /** Why what was new would not do, so that the whole repository was fetched after it. */
    readonly fellBack: Readonly<Record<string, number>>
    readonly failed: Readonly<Record<string, number>>
  }
  /** `repo-gap` notices. */
  readonly gaps: number
  readonly handlerFailures: number
  readonly quarantined: number
  /** Accounts with events that wait or are at work. */
  readonly lanes: number
  readonly waitingFrames: number
  readonly waitingBytes: number
  readonly saves: number
  /** The cursor of the service in use, as saved; null before the first. */
  readonly saved: StoredCursor | null
}

/** What can be done with messages that the handler could not take. */
export interface Quarantine {
  /** Of one account, or of all, by account and order. */
  list(filter?: {
    readonly did?: string
    readonly after?: number
    readonly limit?: number
  }): Promise<readonly QuarantinedMessage[]>
  /** Hands its messages to the handler again, in order; resolves with how many are left. */
  replay(did: string): Promise<number>
  /** Drops its messages: the account goes on without them. */
  discard(did: string): Promise<number>
}

/** A message that the handler failed on, or one that waits behind such a message. */
export interface QuarantinedMessage {
  readonly id: number
  readonly did: string
  /** Null when it is a repair, which is made anew. */
  readonly place: Place | null
  /** The frame; null when it is a repair. */
  readonly frame: Uint8Array | null
  readonly verdict: DeliveryVerdict
  /** The handler's last error; null for what only waits. */
  readonly error: string | null
  readonly tries: number
  /** Wall time at which it came here. */
  readonly sinceMs: number
}

/** What both kinds of consumer offer. */
export interface ConsumerControl extends AsyncDisposable {
  readonly state: ConsumerState
  readonly stats: ConsumerStats
  /** Ends it: what is at work is let finish for a moment, then all is saved. Safe to repeat. */
  stop(): Promise<void>
  /** Takes an account into the filter and fetches its repository. */
  follow(did: string): Promise<void>
  /** Drops an account from the filter, and all that is kept of it. */
  unfollow(did: string): Promise<void>
}

export interface Subscription extends ConsumerControl, AsyncIterable<SubscriptionDelivery> {}

export interface RunningConsumer extends ConsumerControl {
  readonly quarantine: Quarantine
  /** Resolves when it has stopped; rejects with what stopped it when it was not asked to. */
  readonly finished: Promise<void>
}
