/**
 * What a source does by itself from time to time: take another service, go back to the first one,
 * measure how much is left until events are dropped. Pure; a part of ./source-machine.ts.
 */
import type { Instant } from '../../stream/subscriber-machine.ts'
import {
  isLive,
  marginOf,
  type SourceModel,
  type SourceTransition,
  stallOf,
} from './source-model.ts'

/** Looks at the preferred service that must go well, one after another. */
export const GOOD_LOOKS = 3
/** Least time between two of them. */
const LOOK_PAUSE_MS = 10_000
/** A connection must have lasted this long before the margin is measured. */
const MARGIN_AFTER_MS = 10_000
/** While live the margin is the service's retention, which hardly changes. */
const LIVE_MARGIN_PROBE_MS = 6 * 3_600_000
/** A margin that was low is told again after it had grown to this many times the bound. */
const MARGIN_RECOVERED = 1.25

function none(model: SourceModel): SourceTransition {
  return { model, effects: [] }
}

/**
 * Takes another service when the one in use has been failing for long, or refuses us. A connection
 * that has just been made may show that it is well.
 */
export function moveOn(model: SourceModel, at: Instant): SourceTransition {
  const { failingSinceMs, services, moving, policies, lastClose, link } = model
  if (services.length < 2 || moving !== null || failingSinceMs === null) return none(model)
  if (link.kind === 'open' && stallOf(model, at) !== 'silent') return none(model)
  const refused = model.wasClosed && link.kind !== 'open' && lastClose?.kind === 'refused'
  if (!refused && at.monotonicMs - failingSinceMs < policies.switchAfterMs) return none(model)
  const to = candidate(model, at)
  if (to === null) return none(model)
  return {
    model: { ...model, moving: { to, cause: refused ? 'refused' : 'failing' } },
    effects: [{ kind: 'join', service: to }],
  }
}

/**
 * The other service that nothing speaks against, or whose failure is longest ago; null when all
 * failed lately. The order of the list decides between equals.
 */
function candidate({ ranks, index, policies }: SourceModel, at: Instant): number | null {
  let best: number | null = null
  let bestMs = at.monotonicMs - policies.switchAfterMs
  for (const [i, rank] of ranks.entries()) {
    const failedMs = rank.failedMs ?? -Infinity
    if (i === index || failedMs > bestMs || (best !== null && failedMs === bestMs)) continue
    best = i
    bestMs = failedMs
  }
  return best
}

/** Goes back to the first service after it has been looked at and found well several times. */
export function moveBack(model: SourceModel, at: Instant): SourceTransition {
  const { index, policies, moving, back, looking } = model
  if (index === 0 || policies.preferred === 'never' || moving !== null) return none(model)
  if (back.good >= GOOD_LOOKS) {
    const moved: SourceModel = {
      ...model,
      moving: { to: 0, cause: 'preferred-healthy' },
      back: { ...back, good: 0, dueMs: at.monotonicMs + back.waitMs },
    }
    return { model: moved, effects: [{ kind: 'join', service: 0 }] }
  }
  if (at.monotonicMs < back.dueMs || looking !== null) return none(model)
  const dueMs = at.monotonicMs + Math.max(LOOK_PAUSE_MS, policies.returnAfterMs / GOOD_LOOKS)
  return {
    model: { ...model, looking: 'health', back: { ...back, dueMs } },
    effects: [{ kind: 'look', purpose: 'health', service: 0 }],
  }
}

/** Warns of a low margin, and measures it while that is worth a connection. */
export function measure(model: SourceModel, at: Instant): SourceTransition {
  const warned = warn(model, at)
  const { link, looking, policies, index } = warned.model
  if (policies.margin === 'passive' || link.kind !== 'open' || looking !== null) return warned
  const now = at.monotonicMs
  const live = isLive(warned.model, at)
  const purpose = live ? 'floor' : warned.model.marginNext
  const pauseMs = live ? LIVE_MARGIN_PROBE_MS : policies.marginProbeMs
  // Behind, the newest event is looked at right after the oldest.
  const dueMs = purpose === 'tip' ? now : warned.model.marginLookMs + pauseMs
  if (now - link.openedMs < MARGIN_AFTER_MS || now < dueMs) return warned
  const next: SourceModel = {
    ...warned.model,
    looking: purpose,
    marginLookMs: now,
    marginNext: purpose === 'floor' && !live ? 'tip' : 'floor',
  }
  return {
    model: next,
    effects: [...warned.effects, { kind: 'look', purpose, service: index }],
  }
}

function warn(model: SourceModel, at: Instant): SourceTransition {
  const marginMs = marginOf(model, at)
  if (marginMs === null) return none(model)
  const bound = model.policies.marginLowMs
  if (isLive(model, at) || marginMs >= bound * MARGIN_RECOVERED) {
    return none(model.warned ? { ...model, warned: false } : model)
  }
  if (model.warned || marginMs >= bound) return none(model)
  const service = model.services[model.index] ?? ''
  return {
    model: { ...model, warned: true },
    effects: [{ kind: 'notice', notice: { kind: 'margin-low', service, marginMs } }],
  }
}
