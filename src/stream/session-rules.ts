/**
 * The rules for one subscriber, pure: what its position asks for, whether it keeps up, whether it
 * is alive, and how much it may say. ./session.ts feeds them and does as they say.
 *
 * A subscriber is nothing but a position in the log that pulls. There is no queue of events for it,
 * so "too slow" cannot mean a full queue: it is judged by the bytes that its side takes, over time.
 */

/**
 * Most bytes of one read of the log and one socket write. Past about ten frames a write costs the
 * same.
 */
export const CHUNK_BYTES_MAX: number = 256 * 1024
/**
 * No read while more than this waits in the socket: a subscriber holds at most this and one chunk.
 */
export const PENDING_BYTES_HIGH: number = 256 * 1024

/** Bounds on a subscriber's behaviour. All times are milliseconds. */
export interface SessionLimits {
  /** Bytes wait and the kernel has taken none for this long: the reader stands still. */
  readonly stallTimeoutMs: number
  /** Bytes have waited at every look for this long; then the rate below is asked for. */
  readonly slowWindowMs: number
  /**
   * Least bytes a second over that window. A reader under it needs 17 hours for a gigabyte, which
   * is less than what even a small network sends in that time.
   */
  readonly slowBytesPerSecondMin: number
  /** Pause before an idle connection is pinged. */
  readonly pingIntervalMs: number
  /** Nothing heard and no data taken for this long: the peer is gone. */
  readonly silenceMsMax: number
  /** How long a closing connection may linger before it is destroyed. */
  readonly closeGraceMs: number
  /** Most client messages, pings and pongs within {@link INBOUND_WINDOW_MS}, and their bytes. */
  readonly inboundCountMax: number
  readonly inboundBytesMax: number
}

export const SESSION_LIMITS: SessionLimits = {
  stallTimeoutMs: 30_000,
  slowWindowMs: 60_000,
  slowBytesPerSecondMin: 16 * 1024,
  pingIntervalMs: 30_000,
  silenceMsMax: 90_000,
  closeGraceMs: 5_000,
  // Known clients ping every ten seconds at most and say nothing else.
  inboundCountMax: 120,
  inboundBytesMax: 64 * 1024,
}

/** Where a subscriber is: it has been given everything up to `afterSeq`. */
export interface Position {
  readonly afterSeq: number
  /** True when the last read found nothing more: it then waits for a publication. */
  readonly atTip: boolean
}

/**
 * What comes next: read the log, wait for the socket to drain, or give up because retention has
 * dropped what is next. One that stood at the tip cannot have been overtaken, whatever gap in seq
 * follows.
 */
export function nextMove(
  position: Position,
  firstSeq: number,
  pendingBytes: number,
): 'read' | 'wait' | 'overtaken' {
  if (!position.atTip && position.afterSeq + 1 < firstSeq) return 'overtaken'
  return pendingBytes < PENDING_BYTES_HIGH ? 'read' : 'wait'
}

/** What is known of a subscriber's pace. Times are monotonic. */
export interface Pace {
  readonly acceptedBytes: number
  /** Bytes of the write in progress that have been counted before it finished. */
  readonly partialBytes: number
  readonly queueBytes: number
  /** All bytes that are known to have left the process. */
  readonly movedBytes: number
  readonly movedMs: number
  readonly backlogSinceMs: number | null
  readonly backlogMovedBytes: number
  readonly heardMs: number
  readonly pingedMs: number
}

export function newPace(nowMs: number): Pace {
  return {
    acceptedBytes: 0,
    partialBytes: 0,
    queueBytes: 0,
    movedBytes: 0,
    movedMs: nowMs,
    backlogSinceMs: null,
    backlogMovedBytes: 0,
    heardMs: nowMs,
    pingedMs: nowMs,
  }
}

/** One look at a subscriber's socket. */
export interface PaceSample {
  readonly nowMs: number
  /** Bytes written to the socket so far. */
  readonly submittedBytes: number
  /** Bytes of whole writes that the kernel has not taken yet; shrinks a write at a time. */
  readonly pendingBytes: number
  /** Bytes of the write in progress not taken yet, when the runtime tells; else 0. */
  readonly queueBytes: number
}

export type PaceVerdict = 'fine' | 'ping' | 'stalled' | 'trickling' | 'silent'

/** Takes a sample, at least every few seconds. */
export function observe(
  before: Pace,
  sample: PaceSample,
  limits: SessionLimits,
): { readonly pace: Pace; readonly verdict: PaceVerdict } {
  const moved = measure(before, sample)
  if (sample.pendingBytes > 0) return judgeBacklog(moved, sample.nowMs, limits)
  const pace = { ...moved, backlogSinceMs: null }
  const { nowMs } = sample
  if (nowMs - Math.max(pace.heardMs, pace.movedMs) >= limits.silenceMsMax) {
    return { pace, verdict: 'silent' }
  }
  if (nowMs - Math.max(pace.pingedMs, pace.movedMs) < limits.pingIntervalMs) {
    return { pace, verdict: 'fine' }
  }
  return { pace: { ...pace, pingedMs: nowMs }, verdict: 'ping' }
}

/**
 * Counts what has moved since the sample before. Whole writes are counted when they finish, and,
 * where the runtime shows it, the one in progress as it goes, so that one large frame over a slow
 * line is seen to move.
 */
function measure(before: Pace, sample: PaceSample): Pace {
  const { queueBytes, nowMs } = sample
  const taken = Math.max(before.acceptedBytes, sample.submittedBytes - sample.pendingBytes)
  if (taken > before.acceptedBytes) {
    const fresh = Math.max(0, taken - before.acceptedBytes - before.partialBytes)
    return {
      ...before,
      acceptedBytes: taken,
      partialBytes: 0,
      queueBytes,
      movedBytes: before.movedBytes + fresh,
      movedMs: nowMs,
    }
  }
  const partial = before.queueBytes - queueBytes
  if (partial <= 0) return { ...before, queueBytes }
  return {
    ...before,
    partialBytes: before.partialBytes + partial,
    queueBytes,
    movedBytes: before.movedBytes + partial,
    movedMs: nowMs,
  }
}

function judgeBacklog(
  pace: Pace,
  nowMs: number,
  limits: SessionLimits,
): { readonly pace: Pace; readonly verdict: PaceVerdict } {
  const window = { backlogSinceMs: nowMs, backlogMovedBytes: pace.movedBytes }
  if (pace.backlogSinceMs === null) {
    return { pace: { ...pace, ...window, movedMs: nowMs }, verdict: 'fine' }
  }
  if (nowMs - pace.movedMs >= limits.stallTimeoutMs) return { pace, verdict: 'stalled' }
  const elapsedMs = nowMs - pace.backlogSinceMs
  if (elapsedMs < limits.slowWindowMs) return { pace, verdict: 'fine' }
  const bytesPerSecond = ((pace.movedBytes - pace.backlogMovedBytes) / elapsedMs) * 1_000
  if (bytesPerSecond < limits.slowBytesPerSecondMin) return { pace, verdict: 'trickling' }
  return { pace: { ...pace, ...window }, verdict: 'fine' }
}

/** The window over which a subscriber's own messages are counted. */
export const INBOUND_WINDOW_MS = 60_000

/** What a subscriber has said in the current window. */
export interface Inbound {
  readonly sinceMs: number
  readonly count: number
  readonly bytes: number
}

/** Counts one client message. `excessive` when it breaks a bound. */
export function countInbound(
  before: Inbound,
  bytes: number,
  nowMs: number,
  limits: SessionLimits,
): { readonly inbound: Inbound; readonly excessive: boolean } {
  const fresh = nowMs - before.sinceMs >= INBOUND_WINDOW_MS
  const inbound = fresh
    ? { sinceMs: nowMs, count: 1, bytes }
    : { sinceMs: before.sinceMs, count: before.count + 1, bytes: before.bytes + bytes }
  const excessive = inbound.count > limits.inboundCountMax || inbound.bytes > limits.inboundBytesMax
  return { inbound, excessive }
}
