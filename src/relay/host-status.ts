/** A host's status, derived from facts each time it is asked for: there is no state to go stale. */
import type { HostStatus } from './relay-view.ts'

/** What is known of a host's connection at a moment. */
export interface HostFacts {
  readonly banned: boolean
  /** The WebSocket is open. */
  readonly connected: boolean
  /** Failed attempts since the host was last healthy. */
  readonly attempt: number
  /** Milliseconds since its last event; null when there was none. */
  readonly silentMs: number | null
  /** It is held back for sending too much, or its accounts are over the limit. */
  readonly limited: boolean
}

/** A connected host that has said nothing for this long is idle, ms. */
export const IDLE_AFTER_MS: number = 12 * 3_600_000
/** Failed attempts, one after another, that make a host offline: about a minute of trying. */
export const OFFLINE_AFTER_ATTEMPTS = 6

/** The status as `com.atproto.sync.defs#hostStatus` names it. */
export function hostStatus(facts: HostFacts): HostStatus {
  if (facts.banned) return 'banned'
  if (!facts.connected && facts.attempt >= OFFLINE_AFTER_ATTEMPTS) return 'offline'
  if (facts.limited) return 'throttled'
  return facts.silentMs === null || facts.silentMs > IDLE_AFTER_MS ? 'idle' : 'active'
}
