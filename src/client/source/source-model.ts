/** The state of a {@link StreamSource} as its machine keeps it, and what of it is shown. */
import type { BackoffState, Instant } from '../../stream/subscriber-machine.ts'
import type {
  SourceClose,
  SourceFailure,
  SourceNotice,
  SourcePhase,
  SourcePolicies,
  SourceState,
} from './source-types.ts'

/** A connection that is open. Instants are monotonic. */
export interface OpenLink {
  readonly kind: 'open'
  readonly openedMs: number
  /** When the service was last heard: a frame or a pong. */
  readonly heardMs: number
  /** When the last frame came. */
  readonly frameMs: number
  /** Frames on this connection. */
  readonly frames: number
  /** Whether there is more to come than what is happening now. */
  readonly behind: boolean
  /** When a ping was sent to learn whether there is; null when none is under way. */
  readonly askedMs: number | null
  /** Whether the reader has held the stream back, so that it may have fallen behind. */
  readonly wasHeld: boolean
  /** Name in an error frame, and when it came: the service is to end the connection. */
  readonly error: { readonly name: string; readonly atMs: number } | null
}

export type Link =
  | { readonly kind: 'idle' | 'stopped' }
  /** `renews`: what a connection was that its transport makes anew without need. */
  | { readonly kind: 'connecting'; readonly renews: 'live' | 'replaying' | null }
  /** `wakeMs`: when a long wait is cut short, monotonic. */
  | { readonly kind: 'waiting'; readonly wakeMs: number }
  | OpenLink

export type SwitchCause = Extract<SourceNotice, { readonly kind: 'switched' }>['cause']

/** What is known of each service. */
export interface Rank {
  /** When it last failed for long or could not be looked at; null when it did neither. */
  readonly failedMs: number | null
  readonly refused: boolean
}

export const FRESH: Rank = { failedMs: null, refused: false }

/** The oldest event of the service in use, when it was looked at. */
export interface Floor {
  readonly timeMs: number
  readonly measuredMs: number
}

export type LookPurpose = 'floor' | 'tip' | 'health'

export interface SourceModel {
  readonly services: readonly string[]
  readonly policies: SourcePolicies
  /** The service in use. */
  readonly index: number
  /** When it was taken into use, monotonic. */
  readonly sinceMs: number
  readonly link: Link
  readonly attempt: number
  readonly nextAttemptAtMs: number | null
  /** Since when there has been no healthy connection; null while there is one. */
  readonly failingSinceMs: number | null
  readonly heldSinceMs: number | null
  /** The service that is being joined while the one in use goes on. */
  readonly moving: { readonly to: number; readonly cause: SwitchCause } | null
  readonly ranks: readonly Rank[]
  /** Looks at the preferred service: when the next is due, and how many went well in a row. */
  readonly back: {
    readonly dueMs: number
    readonly waitMs: number
    readonly good: number
    /** Whether it has been gone back to before. */
    readonly returned: boolean
  }
  /** A probe that is under way. */
  readonly looking: LookPurpose | null
  /** When the margin was measured last, and what is looked at next for it. */
  readonly marginLookMs: number
  readonly marginNext: 'floor' | 'tip'
  readonly floor: Floor | null
  readonly tipSeq: number | null
  readonly warned: boolean
  readonly seq: number | null
  readonly lagMs: number | null
  /** How far in event time the stream has been read, ms since the epoch. */
  readonly reachedMs: number | null
  readonly lastClose: SourceClose | null
  /** Whether the service in use has ended or refused a connection since it was taken into use. */
  readonly wasClosed: boolean
  readonly failure: SourceFailure | null
}

/** What was seen of the connection's events up to a tick. */
export interface Seen {
  /** Frames on this connection. */
  readonly frames: number
  /** Events that `lagMs` is over. */
  readonly events: number
  readonly seq: number | null
  readonly lagMs: number | null
  readonly reachedMs: number | null
}

export type SourceEvent =
  | { readonly kind: 'start' | 'connecting' | 'pong' | 'held' | 'released' | 'stop' }
  /** `asked`: what the connection was asked for. */
  | { readonly kind: 'opened'; readonly asked: 'live' | 'replay' }
  | { readonly kind: 'closed'; readonly close: SourceClose }
  | { readonly kind: 'backoff'; readonly backoff: BackoffState }
  | { readonly kind: 'error-frame'; readonly name: string }
  | { readonly kind: 'tick'; readonly seen: Seen }
  /** The oldest event of the service in use has become known by the way. */
  | { readonly kind: 'floor'; readonly timeMs: number }
  | {
      readonly kind: 'looked'
      readonly purpose: LookPurpose
      readonly service: number
      readonly healthy: boolean
      readonly seen: { readonly seq: number; readonly timeMs: number } | null
    }
  /** The search for a place on another service has ended; null when it could not be reached. */
  | { readonly kind: 'joined'; readonly place: { readonly cursor: number | null } | null }
  | { readonly kind: 'fail'; readonly failure: SourceFailure }

export type SourceEffect =
  /** Leave the connection there is, and subscribe to this service. */
  | { readonly kind: 'subscribe'; readonly service: number }
  | { readonly kind: 'wake' | 'ping' | 'reconnect' | 'leave' }
  | { readonly kind: 'look'; readonly purpose: LookPurpose; readonly service: number }
  /** Find out where to begin on this service; `joined` must follow. */
  | { readonly kind: 'join'; readonly service: number }
  | { readonly kind: 'notice'; readonly notice: SourceNotice }

export interface SourceTransition {
  readonly model: SourceModel
  readonly effects: readonly SourceEffect[]
}

/**
 * An open connection on which neither frame nor pong came for this long is stalled: two pings, and
 * more than a transport that cannot ping lets pass before it connects anew.
 */
export const STALLED_SILENT_MS = 65_000
/** A reader that holds the stream back for this long is stalled. */
export const STALLED_HELD_MS = 30_000

export function initialModel(
  services: readonly string[],
  policies: SourcePolicies,
  index: number,
): SourceModel {
  return {
    services,
    policies,
    index,
    sinceMs: 0,
    link: { kind: 'idle' },
    attempt: 0,
    nextAttemptAtMs: null,
    failingSinceMs: null,
    heldSinceMs: null,
    moving: null,
    ranks: services.map(() => FRESH),
    back: { dueMs: 0, waitMs: policies.returnAfterMs, good: 0, returned: false },
    looking: null,
    marginLookMs: -Infinity,
    marginNext: 'floor',
    floor: null,
    tipSeq: null,
    warned: false,
    seq: null,
    lagMs: null,
    reachedMs: null,
    lastClose: null,
    wasClosed: false,
    failure: null,
  }
}

/** What holds an open connection up; null when nothing does. */
export function stallOf(model: SourceModel, at: Instant): SourceState['stall'] {
  const { link, heldSinceMs } = model
  if (link.kind !== 'open') return null
  if (heldSinceMs !== null) {
    return at.monotonicMs - heldSinceMs >= STALLED_HELD_MS ? 'held' : null
  }
  return at.monotonicMs - link.heardMs >= STALLED_SILENT_MS ? 'silent' : null
}

/** Connected and at the newest event. */
export function isLive(model: SourceModel, at: Instant): boolean {
  const { link } = model
  return link.kind === 'open' && !link.behind && stallOf(model, at) === null
}

/**
 * Time until the service drops what has not been read. The floor is taken to move with the clock
 * since it was measured, which it does where events are dropped by age.
 */
export function marginOf(model: SourceModel, at: Instant): number | null {
  const { floor, reachedMs } = model
  if (floor === null) return null
  const position = isLive(model, at) ? at.nowMs : reachedMs
  if (position === null) return null
  return position - (floor.timeMs + (at.monotonicMs - floor.measuredMs))
}

function phaseOf(model: SourceModel, at: Instant): SourcePhase {
  const { link } = model
  switch (link.kind) {
    case 'stopped':
      return 'stopped'
    case 'open':
      if (stallOf(model, at) !== null) return 'stalled'
      return link.behind ? 'replaying' : 'live'
    case 'connecting':
      if (link.renews !== null) return link.renews
      break
    case 'idle':
    case 'waiting':
      break
  }
  return model.wasClosed ? 'reconnecting' : 'connecting'
}

/** What is shown of it at this moment. */
export function viewOf(model: SourceModel, at: Instant): SourceState {
  const behind = model.tipSeq !== null && model.seq !== null ? model.tipSeq - model.seq : null
  return {
    phase: phaseOf(model, at),
    service: model.services[model.index] ?? '',
    attempt: model.attempt,
    nextAttemptAtMs: model.nextAttemptAtMs,
    stall: stallOf(model, at),
    seq: model.seq,
    lagMs: model.lagMs,
    eventsBehind: isLive(model, at) ? 0 : behind === null ? null : Math.max(0, behind),
    marginMs: marginOf(model, at),
    lastClose: model.lastClose,
    failure: model.failure,
  }
}
