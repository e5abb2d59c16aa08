/**
 * The life of one subscription to a host, as a pure function of (state, event) to (state, effects).
 *
 * ```
 *            start                opened
 *   idle ───────────▶ connecting ────────▶ open
 *     │                 ▲     │              │ closed, silent for 90 s
 *     │ start, restored │     │ closed,      ▼
 *     └──────────────▶ waiting ◀── timed out ┘          stop, from anywhere: stopped
 *                       due, wake
 * ```
 *
 * Two times run beside each other: `nowMs` is wall time and is used only for the moment of the next
 * attempt, which outlives the process; `monotonicMs` measures everything else. A connection that
 * its transport renews goes from open to connecting without a wait.
 */
import { BACKOFF_BASE_MS, BACKOFF_MAX_MS, backoffMs } from './backoff.ts'

/** Pause between pings. */
export const PING_INTERVAL_MS = 30_000
/** Neither a message nor a pong for this long, three pings, and the connection is dead. */
export const SILENCE_MS_MAX = 90_000
/** A connection must have lasted this long, and be heard after it, to clear the backoff. */
export const USEFUL_AFTER_MS = 30_000
/** From the start of an attempt to an open WebSocket: name, TCP, TLS and HTTP together. */
export const CONNECT_TIMEOUT_MS = 15_000

/** Where reconnecting stands; kept by the owner across restarts. Attempt 0 is a healthy host. */
export interface BackoffState {
  readonly attempt: number
  /** Wall time of the next attempt; null when none is being waited for. */
  readonly nextAttemptAtMs: number | null
}

export const NO_BACKOFF: BackoffState = { attempt: 0, nextAttemptAtMs: null }

/** Instants of one moment. */
export interface Instant {
  readonly nowMs: number
  readonly monotonicMs: number
}

export type SubscriberState =
  | { readonly phase: 'idle'; readonly attempt: number }
  | WaitingState
  | { readonly phase: 'connecting'; readonly attempt: number; readonly sinceMs: number }
  | OpenState
  | { readonly phase: 'stopped'; readonly attempt: number }

interface WaitingState {
  readonly phase: 'waiting'
  readonly attempt: number
  readonly dueMs: number
  /** Before this, waking does not connect. */
  readonly wakeableMs: number
}

interface OpenState {
  readonly phase: 'open'
  readonly attempt: number
  readonly openedMs: number
  readonly heardMs: number
  readonly pingedMs: number
  /** While the owner holds the reader back nothing can be heard, and silence proves nothing. */
  readonly paused: boolean
}

/** `heard` is a message or a pong. `closed` ends an attempt or a connection, whoever ended it. */
export type SubscriberEvent =
  | { readonly kind: 'start'; readonly restored: BackoffState }
  | { readonly kind: 'opened' | 'heard' | 'paused' | 'resumed' | 'tick' | 'wake' | 'stop' }
  | {
      readonly kind: 'closed'
      /** Uniform in [0, 1), for jitter. */
      readonly random: number
      /** What the host asked us to wait, or null. */
      readonly retryAfterMs: number | null
      /** The transport gave up a connection that nothing was wrong with. */
      readonly isRenewal: boolean
    }

export type SubscriberEffect =
  | { readonly kind: 'connect' | 'ping' | 'disconnect' }
  /** Give up the current attempt or connection now; `closed` must follow. */
  | { readonly kind: 'terminate'; readonly cause: 'connect-timeout' | 'silent' }
  /** Deliver `tick` after this delay, replacing any earlier wish. */
  | { readonly kind: 'timer'; readonly delayMs: number }
  /** Tell the owner, who keeps it. */
  | { readonly kind: 'backoff'; readonly backoff: BackoffState }

export interface Transition {
  readonly state: SubscriberState
  readonly effects: readonly SubscriberEffect[]
}

export const INITIAL_STATE: SubscriberState = { phase: 'idle', attempt: 0 }

/**
 * The next state and what must be done, in order. Events that make no sense in a state change
 * nothing.
 */
export function step(state: SubscriberState, event: SubscriberEvent, at: Instant): Transition {
  if (state.phase === 'stopped') return { state, effects: [] }
  switch (event.kind) {
    case 'start':
      return state.phase === 'idle' ? start(event.restored, at) : same(state)
    case 'opened':
      return state.phase === 'connecting' ? opened(state.attempt, at) : same(state)
    case 'heard':
      return state.phase === 'open' ? heard(state, at) : same(state)
    case 'paused':
    case 'resumed':
      return state.phase === 'open' ? hold(state, event.kind, at) : same(state)
    case 'tick':
      return tick(state, at)
    case 'wake':
      return state.phase === 'waiting' ? wake(state, at) : same(state)
    case 'closed':
      if (state.phase !== 'connecting' && state.phase !== 'open') return same(state)
      if (event.isRenewal) return connect(state.attempt, at)
      return wait(state.attempt + 1, event.random, event.retryAfterMs, at)
    case 'stop':
      break
  }
  const stopped: SubscriberState = { phase: 'stopped', attempt: state.attempt }
  return { state: stopped, effects: [{ kind: 'disconnect' }] }
}

function same(state: SubscriberState): Transition {
  return { state, effects: [] }
}

function connect(attempt: number, at: Instant): Transition {
  return {
    state: { phase: 'connecting', attempt, sinceMs: at.monotonicMs },
    effects: [{ kind: 'timer', delayMs: CONNECT_TIMEOUT_MS }, { kind: 'connect' }],
  }
}

/** Waits on the monotonic clock: a jump of the wall clock must not hold a host back for years. */
function start(restored: BackoffState, at: Instant): Transition {
  const { attempt, nextAttemptAtMs } = restored
  // A stored time beyond the longest backoff comes from a clock that was wrong.
  const delayMs = Math.min((nextAttemptAtMs ?? 0) - at.nowMs, BACKOFF_MAX_MS)
  if (delayMs <= 0) return connect(attempt, at)
  const now = at.monotonicMs
  return {
    state: { phase: 'waiting', attempt, dueMs: now + delayMs, wakeableMs: now },
    effects: [{ kind: 'timer', delayMs }],
  }
}

function wait(attempt: number, random: number, askedMs: number | null, at: Instant): Transition {
  const delayMs = Math.max(backoffMs(attempt, random), askedMs ?? 0)
  const backoff = { attempt, nextAttemptAtMs: at.nowMs + delayMs }
  const now = at.monotonicMs
  return {
    state: {
      phase: 'waiting',
      attempt,
      dueMs: now + delayMs,
      wakeableMs: now + BACKOFF_BASE_MS,
    },
    effects: [
      { kind: 'backoff', backoff },
      { kind: 'timer', delayMs },
    ],
  }
}

function opened(attempt: number, at: Instant): Transition {
  const now = at.monotonicMs
  return {
    state: { phase: 'open', attempt, openedMs: now, heardMs: now, pingedMs: now, paused: false },
    effects: [{ kind: 'timer', delayMs: PING_INTERVAL_MS }],
  }
}

function heard(state: OpenState, at: Instant): Transition {
  const next = { ...state, heardMs: at.monotonicMs }
  if (state.attempt === 0 || at.monotonicMs - state.openedMs < USEFUL_AFTER_MS) return same(next)
  return { state: { ...next, attempt: 0 }, effects: [{ kind: 'backoff', backoff: NO_BACKOFF }] }
}

function hold(state: OpenState, kind: 'paused' | 'resumed', at: Instant): Transition {
  return same({ ...state, paused: kind === 'paused', heardMs: at.monotonicMs })
}

/** Waking is open to strangers (requestCrawl), so one base delay always stays between attempts. */
function wake(state: WaitingState, at: Instant): Transition {
  const dueMs = Math.min(state.dueMs, state.wakeableMs)
  if (at.monotonicMs >= dueMs) return connect(state.attempt, at)
  return {
    state: { ...state, dueMs },
    effects: [{ kind: 'timer', delayMs: dueMs - at.monotonicMs }],
  }
}

function tick(state: SubscriberState, at: Instant): Transition {
  const now = at.monotonicMs
  if (state.phase === 'waiting') {
    if (now >= state.dueMs) return connect(state.attempt, at)
    return { state, effects: [{ kind: 'timer', delayMs: state.dueMs - now }] }
  }
  if (state.phase === 'connecting') {
    const leftMs = state.sinceMs + CONNECT_TIMEOUT_MS - now
    if (leftMs > 0) return { state, effects: [{ kind: 'timer', delayMs: leftMs }] }
    return { state, effects: [{ kind: 'terminate', cause: 'connect-timeout' }] }
  }
  if (state.phase !== 'open') return same(state)
  return tickOpen(state, now)
}

function tickOpen(state: OpenState, now: number): Transition {
  if (!state.paused && now - state.heardMs >= SILENCE_MS_MAX) {
    return { state, effects: [{ kind: 'terminate', cause: 'silent' }] }
  }
  const pingDue = now - state.pingedMs >= PING_INTERVAL_MS
  const pingedMs = pingDue ? now : state.pingedMs
  const silentAtMs = state.paused ? Infinity : state.heardMs + SILENCE_MS_MAX
  const delayMs = Math.min(pingedMs + PING_INTERVAL_MS, silentAtMs) - now
  const timer: SubscriberEffect = { kind: 'timer', delayMs }
  return {
    state: { ...state, pingedMs },
    effects: pingDue ? [{ kind: 'ping' }, timer] : [timer],
  }
}
