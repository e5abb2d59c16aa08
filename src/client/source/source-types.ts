/** What a {@link StreamSource} is told and tells. No code but the defaults. */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { InvalidReason } from '../../lib/reasons.ts'
import type { InfoFrame, MessageFrame, UnknownFrame } from '../../stream/frame-types.ts'
import type { SubscriberClose } from '../../stream/subscriber.ts'
import type { Transport } from '../../stream/transport.ts'

/**
 * One place in one sequence. Seqs mean something only within their service and epoch: compare no
 * others, and store a new epoch's seq even when it is lower.
 */
export interface Place {
  /** Identity of the service: its origin, as {@link StreamSourceOptions.services} gives it. */
  readonly service: string
  /**
   * Counts how often this service has begun another sequence while this process watched; 0 is the
   * one that the stored cursor is taken to belong to.
   */
  readonly epoch: number
  readonly seq: number
}

/** Frames that a listener gets. Error frames arrive as notices. */
export type SourceFrame = MessageFrame | InfoFrame | UnknownFrame

/** Why a message is not given out as a frame. */
export type BadFrameReason = InvalidReason | 'seq-not-rising'

/**
 * Calls are synchronous and in order. The last one is `onState` with `stopped`, before `stop`
 * returns or when a policy ends the source.
 */
export interface SourceListener {
  /**
   * A frame in order of its service's sequence. Call `pause` here to get no more.
   *
   * @param bytes As received; see the transport for who owns them.
   * @param place Null for frames without a seq: `#info`, and unknown ones that have none.
   */
  onFrame(bytes: Uint8Array, parsed: SourceFrame, place: Place | null): void
  /**
   * A message that is passed over: undecodable, text, too large, or of a seq that does not rise.
   *
   * @param afterSeq Last seq seen on the connection before it; null when there was none.
   */
  onBadFrame?(reason: BadFrameReason, detail: string, afterSeq: number | null): void
  /** The state has changed. Numbers alone change it once a second at most. */
  onState?(state: SourceState): void
  onNotice?(notice: SourceNotice): void
}

/**
 * - `connecting`: the first attempt at a service, or finding out where to begin on it;
 * - `replaying`: connected, behind;
 * - `live`: connected, at the newest event, however rare events are;
 * - `stalled`: connected, and either the service answers no pings or the reader has been paused
 *   for long; `stall` says which;
 * - `reconnecting`: the connection was lost or refused; the next attempt waits or runs;
 * - `stopped`: for good; `failure` says whether by a policy.
 */
export type SourcePhase =
  | 'connecting'
  | 'replaying'
  | 'live'
  | 'stalled'
  | 'reconnecting'
  | 'stopped'

/** What the end of a connection or attempt means. */
export type CloseKind =
  /** The service ended it in peace (1000, 1001, 1012): restart, redeployment. */
  | 'ended'
  /** Network, proxy, silence. */
  | 'lost'
  /** It asks us to come later (1013, 429, 503). */
  | 'overloaded'
  /** It failed, or broke the WebSocket protocol. */
  | 'failed'
  /**
   * It will not have us as we are (HTTP 3xx, 400, 404; 1008, 4xxx before any message;
   * InvalidRequest): repeating rarely helps.
   */
  | 'refused'
  /** A message over the limit ended it. */
  | 'frame-too-large'
  /** The transport made it anew, as it has to where it cannot ping; nothing is wrong. */
  | 'renewed'

export interface SourceClose {
  readonly kind: CloseKind
  /** `ConsumerTooSlow`, `HTTP 404`, `closed 1006`, `silent`: short, for people. */
  readonly detail: string
  readonly close: SubscriberClose
  /** Wall time, ms since the epoch. */
  readonly atMs: number
}

/** Policies that end a source, and the end that its owner asks for. */
export type SourceFailure = 'future-cursor' | 'outdated-cursor' | 'refused'

/** A snapshot. */
export interface SourceState {
  readonly phase: SourcePhase
  /** The service in use, or tried. */
  readonly service: string
  /** Failed attempts at this service since it was last healthy. */
  readonly attempt: number
  /** Wall time of the next attempt while one is waited for. */
  readonly nextAttemptAtMs: number | null
  /** Why it is stalled; null in every other phase. */
  readonly stall: 'silent' | 'held' | null
  /** Seq of the last frame received from this service, in this process. */
  readonly seq: number | null
  /**
   * How old events are when they arrive, ms, by their `time`: the median of the last ones, so that
   * a few hosts with wrong clocks do not matter. Null before the first.
   */
  readonly lagMs: number | null
  /** Seqs between the newest event of the service and ours, where a probe has told. */
  readonly eventsBehind: number | null
  /**
   * How long until the service drops what we have not read, ms, as last measured and extrapolated;
   * null when not measured. Below zero when it may have happened.
   */
  readonly marginMs: number | null
  /** The last end of a connection or attempt, on any service. */
  readonly lastClose: SourceClose | null
  /** Only when stopped by a policy. */
  readonly failure: SourceFailure | null
}

/** What an operator may want to know. */
export type SourceNotice =
  /**
   * The cursor does not belong to the service's sequence: it says so (`future-cursor`), or its seqs
   * fall (`sequence-restarted`). By policy the source goes on in the next epoch or stops. Forget
   * the stored cursor of this service now: its sequence may grow beyond it and look the same. What
   * lies between the two sequences is not known.
   */
  | {
      readonly kind: 'future-cursor' | 'sequence-restarted'
      readonly service: string
      /** The epoch that begins. */
      readonly epoch: number
      readonly cursor: number | null
      readonly detail: string
    }
  /** Events with seqs after `afterSeq` and before `firstSeq` are gone from the service. */
  | {
      readonly kind: 'outdated-cursor'
      readonly service: string
      readonly afterSeq: number
      /** Null when the policy stops the source before it is known. */
      readonly firstSeq: number | null
    }
  /**
   * Events may be missing: a message was stepped over because no connection got past it, or the
   * service that was switched to holds nothing as old as what was read last.
   */
  | {
      readonly kind: 'gap'
      readonly service: string
      readonly cause: 'stepped-over' | 'switched-too-late'
      readonly afterSeq: number | null
      readonly detail: string
    }
  /** Another service is used from here on; events of the overlap come again under its seqs. */
  | {
      readonly kind: 'switched'
      readonly from: string
      readonly to: string
      readonly cause: 'failing' | 'refused' | 'preferred-healthy'
      /** Where it is joined: after this seq, 0 at its oldest event, null live. */
      readonly cursor: number | null
    }
  | { readonly kind: 'consumer-too-slow'; readonly service: string; readonly detail: string }
  /** What is not read within `marginMs` is lost. Said once for each time that it falls below. */
  | { readonly kind: 'margin-low'; readonly service: string; readonly marginMs: number }
  | {
      readonly kind: 'error-frame'
      readonly service: string
      readonly error: string
      readonly detail: string
    }

/** What to do where there is more than one right answer. */
export interface SourcePolicies {
  /**
   * Where to begin when no service has a stored cursor: at the next event, at the oldest that the
   * service holds, or after a seq of a named service.
   */
  readonly start: 'live' | 'oldest' | { readonly service: string; readonly seq: number }
  /** Our cursor is not of the service's sequence: go on live, from its oldest event, or stop. */
  readonly futureCursor: 'live' | 'oldest' | 'fail'
  /** The service no longer holds what follows our cursor. */
  readonly outdatedCursor: 'continue' | 'fail'
  /** Every service refuses us (see {@link CloseKind}). */
  readonly refused: 'retry' | 'fail'
  /** Another service is tried when the one in use has been failing for this long. */
  readonly switchAfterMs: number
  /** How far before what was read last a service without a usable cursor is joined. */
  readonly overlapMs: number
  /** Whether to go back to the first service. */
  readonly preferred: 'return' | 'never'
  /** Least time on another service before that, and between looks at the first one. */
  readonly returnAfterMs: number
  /** Longest wait between two attempts, unless the service asks for more. */
  readonly reconnectMaxMs: number
  /**
   * `probe`: the retention floor is measured by short second connections; `passive`: only from what
   * the service says by itself.
   */
  readonly margin: 'probe' | 'passive'
  /** Below this margin the source warns while it is behind. */
  readonly marginLowMs: number
  /** Least time between two measurements while behind. */
  readonly marginProbeMs: number
}

export const SOURCE_POLICIES: SourcePolicies = {
  start: 'live',
  futureCursor: 'oldest',
  outdatedCursor: 'continue',
  refused: 'retry',
  switchAfterMs: 60_000,
  overlapMs: 300_000,
  preferred: 'return',
  returnAfterMs: 300_000,
  reconnectMaxMs: 60_000,
  margin: 'probe',
  marginLowMs: 6 * 3_600_000,
  marginProbeMs: 600_000,
}

export interface StreamSourceOptions {
  /** Origins (`https://relay.example`, `wss://...`), the preferred one first; at least one. */
  readonly services: readonly string[]
  /**
   * The last seq of this service and epoch up to which everything is finished; null when there is
   * none. Asked at every attempt. For epoch 0 that is what was stored, for later ones only what was
   * finished in them.
   */
  readonly cursor: (service: string, epoch: number) => number | null
  /**
   * The service that the newest stored cursor belongs to: begun with, whatever its rank. Without it
   * the first service that has a cursor is.
   */
  readonly lastService?: string | null
  /**
   * Wall time of the newest event finished in an earlier life, where it was stored: other services
   * are joined by it until an event has arrived.
   */
  readonly reachedMs?: number | null
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly listener: SourceListener
  readonly policies?: Partial<SourcePolicies>
}

/** Counts since the start. */
export interface SourceStats {
  readonly frames: number
  readonly bytes: number
  readonly badFrames: Readonly<Partial<Record<BadFrameReason, number>>>
  readonly connections: number
  readonly switches: number
  readonly steppedOver: number
  readonly probes: number
}
