/**
 * The life of a {@link StreamSource} as a pure function of (state, event) to (state, effects).
 *
 * ```
 *   idle ── start ──▶ connecting ── opened ──▶ open (behind: replaying, else live)
 *                       ▲    │ closed           │ closed
 *                       │    ▼                  ▼
 *                       └─ waiting ◀────────────┘        stop, fail, from anywhere: stopped
 * ```
 *
 * A {@link Subscriber} of src/stream makes the connections and keeps the intervals between them;
 * here is decided how long a wait may last, when the stream counts as live, when another service is
 * taken and when the first one again, and what is measured. A tick comes once a second.
 *
 * Liveness is told by pings, never by traffic. That a replay has come to its end is told by the age
 * of events, or, where hardly any come, by a pong after which there were none.
 */
import type { BackoffState, Instant } from '../../stream/subscriber-machine.ts'
import { measure, moveBack, moveOn } from './source-choices.ts'
import {
  FRESH,
  type OpenLink,
  type Rank,
  type Seen,
  type SourceEffect,
  type SourceEvent,
  type SourceModel,
  type SourceTransition,
  STALLED_SILENT_MS,
  type SwitchCause,
  stallOf,
} from './source-model.ts'
import type { CloseKind, SourceClose, SourceNotice } from './source-types.ts'

/** Pause between ticks. */
export const TICK_MS = 1_000
/** Events that are younger than this are live. */
export const LIVE_LAG_MS = 10_000
/** A reader that has held the stream back is behind when events are older than this. */
export const BEHIND_LAG_MS = 60_000
/** Events whose ages are to agree before a replay counts as over. */
export const LIVE_EVENTS_MIN = 5
/** A replay without a frame for this long may be over: a ping asks. */
export const QUIET_MS = 2_000
/** A connection that is heard after this long is healthy. */
export const HEALTHY_AFTER_MS = 30_000
/** After an error frame the service has this long to end the connection. */
export const ERROR_GRACE_MS = 5_000
/** Longest wait before a service that refuses us is asked again, where there is no other. */
export const REFUSED_WAIT_MS = 600_000

/** The next state and what must be done, in order. What makes no sense in a state is ignored. */
export function step(model: SourceModel, event: SourceEvent, at: Instant): SourceTransition {
  if (model.link.kind === 'stopped') return only(model)
  switch (event.kind) {
    case 'start':
      return model.link.kind === 'idle' ? subscribe(model, model.index, at) : only(model)
    case 'connecting':
      return only(connecting(model))
    case 'opened':
      return only({ ...model, link: opened(model, event.asked, at), lagMs: null })
    case 'pong':
      return only(pong(model, at))
    case 'held':
    case 'released':
      return only(hold(model, event.kind, at))
    case 'closed':
      return closed(model, event.close, at)
    case 'backoff':
      return only(backoff(model, event.backoff, at))
    case 'error-frame':
      return only(onLink(model, () => ({ error: { name: event.name, atMs: at.monotonicMs } })))
    case 'tick':
      return tick(model, event.seen, at)
    case 'floor':
      return only(withFloor(model, event.timeMs, at))
    case 'looked':
      return looked(model, event, at)
    case 'joined':
      return joined(model, event.place, at)
    case 'fail':
      return stopped({ ...model, failure: event.failure })
    case 'stop':
      break
  }
  return stopped(model)
}

function only(model: SourceModel): SourceTransition {
  return { model, effects: [] }
}

function stopped(model: SourceModel): SourceTransition {
  const next: SourceModel = {
    ...model,
    link: { kind: 'stopped' },
    nextAttemptAtMs: null,
    moving: null,
    looking: null,
  }
  return { model: next, effects: [{ kind: 'leave' }] }
}

function onLink(
  model: SourceModel,
  change: (link: OpenLink) => Partial<Omit<OpenLink, 'kind'>>,
): SourceModel {
  const { link } = model
  return link.kind === 'open' ? { ...model, link: { ...link, ...change(link) } } : model
}

/** Takes a service into use. What was measured on another one is forgotten. */
function subscribe(model: SourceModel, service: number, at: Instant): SourceTransition {
  const now = at.monotonicMs
  const next: SourceModel = {
    ...model,
    index: service,
    sinceMs: now,
    link: { kind: 'connecting', renews: null },
    attempt: 0,
    nextAttemptAtMs: null,
    // Until it is healthy it is failing, so that one that never answers is given up too.
    failingSinceMs: now,
    moving: null,
    back: { ...model.back, dueMs: now + model.back.waitMs, good: 0 },
    floor: null,
    tipSeq: null,
    marginLookMs: -Infinity,
    marginNext: 'floor',
    seq: null,
    lagMs: null,
    wasClosed: false,
  }
  return { model: next, effects: [{ kind: 'subscribe', service }] }
}

function connecting(model: SourceModel): SourceModel {
  const { link } = model
  const next = link.kind === 'connecting' ? link : { kind: 'connecting' as const, renews: null }
  return { ...model, link: next, nextAttemptAtMs: null }
}

function opened(model: SourceModel, asked: 'live' | 'replay', at: Instant): OpenLink {
  const now = at.monotonicMs
  const isQuietRenewal = model.link.kind === 'connecting' && model.link.renews === 'live'
  return {
    kind: 'open',
    openedMs: now,
    heardMs: now,
    frameMs: now,
    frames: 0,
    behind: asked === 'replay' && !isQuietRenewal,
    askedMs: null,
    wasHeld: model.heldSinceMs !== null,
    error: null,
  }
}

function pong(model: SourceModel, at: Instant): SourceModel {
  const { link } = model
  if (link.kind !== 'open') return model
  const heardMs = at.monotonicMs
  // A frame since the question, and the reader's hold, would have cleared it.
  if (link.askedMs === null) return { ...model, link: { ...link, heardMs } }
  return { ...model, lagMs: 0, link: { ...link, heardMs, behind: false, askedMs: null } }
}

function hold(model: SourceModel, kind: 'held' | 'released', at: Instant): SourceModel {
  const heardMs = at.monotonicMs
  if (kind === 'held') {
    if (model.heldSinceMs !== null) return model
    const held = { ...model, heldSinceMs: heardMs }
    return onLink(held, () => ({ wasHeld: true, askedMs: null }))
  }
  return onLink({ ...model, heldSinceMs: null }, () => ({ heardMs, frameMs: heardMs }))
}

function closed(model: SourceModel, close: SourceClose, at: Instant): SourceTransition {
  const { link } = model
  if (link.kind === 'idle') return only(model)
  if (close.kind === 'renewed') return only(renewed(model, close))
  const refused = close.kind === 'refused'
  const next: SourceModel = {
    ...model,
    link: { kind: 'waiting', wakeMs: Infinity },
    lastClose: close,
    wasClosed: true,
    failingSinceMs: model.failingSinceMs ?? at.monotonicMs,
    ranks: withRank(model.ranks, model.index, (rank) => ({ ...rank, refused })),
  }
  if (refused && model.policies.refused === 'fail' && next.ranks.every((rank) => rank.refused)) {
    return stopped({ ...next, failure: 'refused' })
  }
  return only(next)
}

/** A minute without a message, where there are no pongs, is the end of a replay. */
function renewed(model: SourceModel, { close }: SourceClose): SourceModel {
  const renews = close.renewal === 'unheard' ? 'live' : 'replaying'
  return { ...model, link: { kind: 'connecting', renews }, failingSinceMs: null }
}

function withRank(
  ranks: readonly Rank[],
  index: number,
  change: (rank: Rank) => Rank,
): readonly Rank[] {
  return ranks.map((rank, i) => (i === index ? change(rank) : rank))
}

/** The Subscriber waits for up to an hour, which suits a relay with thousands of hosts. */
function backoff(model: SourceModel, state: BackoffState, at: Instant): SourceModel {
  const next = { ...model, attempt: state.attempt, nextAttemptAtMs: state.nextAttemptAtMs }
  if (model.link.kind !== 'waiting' || state.nextAttemptAtMs === null) return next
  const askedMs = model.lastClose?.close.retryAfterMs ?? 0
  const mostMs = Math.max(waitMax(model, model.lastClose?.kind ?? 'lost'), askedMs)
  const waitMs = Math.min(state.nextAttemptAtMs - at.nowMs, mostMs)
  return {
    ...next,
    nextAttemptAtMs: at.nowMs + waitMs,
    link: { kind: 'waiting', wakeMs: at.monotonicMs + waitMs },
  }
}

function waitMax({ policies }: SourceModel, kind: CloseKind): number {
  return kind === 'refused'
    ? Math.max(REFUSED_WAIT_MS, policies.reconnectMaxMs)
    : policies.reconnectMaxMs
}

function tick(model: SourceModel, seen: Seen, at: Instant): SourceTransition {
  const effects: SourceEffect[] = []
  let next: SourceModel = {
    ...model,
    seq: seen.seq,
    reachedMs: seen.reachedMs ?? model.reachedMs,
  }
  if (next.link.kind === 'open') next = tickOpen(next, next.link, seen, at, effects)
  else if (next.link.kind === 'waiting' && at.monotonicMs >= next.link.wakeMs) {
    next = { ...next, link: { kind: 'waiting', wakeMs: Infinity } }
    effects.push({ kind: 'wake' })
  }
  for (const choose of [moveOn, moveBack, measure]) {
    const chosen = choose(next, at)
    next = chosen.model
    effects.push(...chosen.effects)
  }
  return { model: next, effects }
}

function tickOpen(
  model: SourceModel,
  before: OpenLink,
  seen: Seen,
  at: Instant,
  effects: SourceEffect[],
): SourceModel {
  const now = at.monotonicMs
  let link = before
  let { lagMs } = model
  if (seen.frames !== link.frames) {
    link = { ...link, frames: seen.frames, heardMs: now, frameMs: now, askedMs: null }
    lagMs = seen.lagMs
  }
  const held = model.heldSinceMs !== null
  if (link.behind) {
    if (isRecent(seen)) link = { ...link, behind: false, wasHeld: held }
    else if (!held && link.askedMs === null && now - link.frameMs >= QUIET_MS) {
      link = { ...link, askedMs: now }
      effects.push({ kind: 'ping' })
    }
  } else if (link.wasHeld && !held) {
    const behind = (lagMs ?? 0) > BEHIND_LAG_MS
    if (behind || isRecent(seen)) link = { ...link, behind, wasHeld: false }
  }
  if (link.error !== null && now - link.error.atMs >= ERROR_GRACE_MS) {
    link = { ...link, error: null }
    effects.push({ kind: 'reconnect' })
  }
  return weighHealth({ ...model, lagMs, link }, link, at)
}

function isRecent(seen: Seen): boolean {
  return seen.events >= LIVE_EVENTS_MIN && seen.lagMs !== null && seen.lagMs <= LIVE_LAG_MS
}

function weighHealth(model: SourceModel, link: OpenLink, at: Instant): SourceModel {
  if (stallOf(model, at) === 'silent') {
    return { ...model, failingSinceMs: model.failingSinceMs ?? at.monotonicMs - STALLED_SILENT_MS }
  }
  if (link.heardMs - link.openedMs < HEALTHY_AFTER_MS || link.error !== null) return model
  if (model.failingSinceMs === null) return model
  return {
    ...model,
    failingSinceMs: null,
    ranks: withRank(model.ranks, model.index, () => FRESH),
  }
}

function withFloor(model: SourceModel, timeMs: number, at: Instant): SourceModel {
  return { ...model, floor: { timeMs, measuredMs: at.monotonicMs } }
}

type Looked = Extract<SourceEvent, { readonly kind: 'looked' }>

function looked(model: SourceModel, event: Looked, at: Instant): SourceTransition {
  const next: SourceModel = { ...model, looking: null }
  if (event.purpose === 'health') {
    const { back } = model
    return only({ ...next, back: { ...back, good: event.healthy ? back.good + 1 : 0 } })
  }
  // The source may have moved on while the probe was under way.
  if (event.service !== model.index || event.seen === null) return only(next)
  if (event.purpose === 'tip') return only({ ...next, tipSeq: event.seen.seq })
  return only(withFloor(next, event.seen.timeMs, at))
}

function joined(
  model: SourceModel,
  place: { readonly cursor: number | null } | null,
  at: Instant,
): SourceTransition {
  const { moving, services } = model
  if (moving === null) return only(model)
  const failedMs = at.monotonicMs
  if (place === null) {
    const ranks = withRank(model.ranks, moving.to, (rank) => ({ ...rank, failedMs }))
    const back = { ...model.back, good: 0 }
    return only({ ...model, moving: null, ranks, back })
  }
  const leftBadly = moving.cause !== 'preferred-healthy'
  const ranks = leftBadly
    ? withRank(model.ranks, model.index, (rank) => ({ ...rank, failedMs }))
    : model.ranks
  const taken = subscribe(
    { ...model, ranks, back: nextBack(model, moving.cause, at) },
    moving.to,
    at,
  )
  const notice: SourceNotice = {
    kind: 'switched',
    from: services[model.index] ?? '',
    to: services[moving.to] ?? '',
    cause: moving.cause,
    cursor: place.cursor,
  }
  return { model: taken.model, effects: [{ kind: 'notice', notice }, ...taken.effects] }
}

/** A preferred service that was left again soon after the return is looked at less often. */
function nextBack(model: SourceModel, cause: SwitchCause, at: Instant): SourceModel['back'] {
  const { back, policies } = model
  if (cause === 'preferred-healthy') return { ...back, returned: true }
  if (model.index !== 0) return back
  const wasShort = back.returned && at.monotonicMs - model.sinceMs < RETURN_LASTED_MS
  const waitMs = wasShort ? Math.min(back.waitMs * 2, RETURN_WAIT_MS_MAX) : policies.returnAfterMs
  return { ...back, waitMs: Math.max(waitMs, policies.returnAfterMs) }
}

/** A preferred service that has served for this long since the return was worth it. */
const RETURN_LASTED_MS = 3_600_000
/** Longest time on another service before the preferred one is looked at. */
const RETURN_WAIT_MS_MAX = 6 * 3_600_000
