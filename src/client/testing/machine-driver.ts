/** Drives the machine of a stream source by hand. */
import type { SubscriberClose } from '../../stream/subscriber.ts'
import { step } from '../source/source-machine.ts'
import {
  initialModel,
  type Seen,
  type SourceEffect,
  type SourceEvent,
  type SourceModel,
  viewOf,
} from '../source/source-model.ts'
import {
  type CloseKind,
  SOURCE_POLICIES,
  type SourcePolicies,
  type SourceState,
} from '../source/source-types.ts'

/** Wall time at which every driver begins. */
export const NOW = 1_800_000_000_000
const NOTHING: Seen = { frames: 0, events: 0, seq: null, lagMs: null, reachedMs: null }
/** An end without a close frame. */
export const CLOSE: SubscriberClose = {
  code: 1006,
  reason: '',
  httpStatus: null,
  retryAfterMs: null,
  hadProgress: false,
  cause: null,
}

/** An effect as text. */
function show(effect: SourceEffect): string {
  if (effect.kind === 'subscribe' || effect.kind === 'join')
    return `${effect.kind} ${effect.service}`
  if (effect.kind === 'look') return `look ${effect.purpose} ${effect.service}`
  if (effect.kind === 'notice') return `notice ${effect.notice.kind}`
  return effect.kind
}

/** Drives the machine by hand; wall and monotonic time move together. */
export class Driver {
  model: SourceModel
  ms = 0
  seen: Seen = NOTHING

  constructor(services: number, policies: Partial<SourcePolicies> = {}) {
    const names = Array.from({ length: services }, (_, i) => `https://s${i}.example`)
    this.model = initialModel(names, { ...SOURCE_POLICIES, margin: 'passive', ...policies }, 0)
  }

  get view(): SourceState {
    return viewOf(this.model, { nowMs: NOW + this.ms, monotonicMs: this.ms })
  }

  send(event: SourceEvent): string[] {
    const at = { nowMs: NOW + this.ms, monotonicMs: this.ms }
    const { model, effects } = step(this.model, event, at)
    this.model = model
    return effects.map((effect) => show(effect))
  }

  tick(afterMs = 1_000): string[] {
    this.ms += afterMs
    return this.send({ kind: 'tick', seen: this.seen })
  }

  /** Ticks until something is to be done; fails after `withinMs`. */
  ticksUntil(effect: string, withinMs: number): number {
    const untilMs = this.ms + withinMs
    while (this.ms < untilMs) if (this.tick().includes(effect)) return this.ms
    throw new Error(`no ${effect} within ${withinMs} ms`)
  }

  open(asked: 'live' | 'replay' = 'live'): this {
    this.send({ kind: 'start' })
    this.send({ kind: 'connecting' })
    this.send({ kind: 'opened', asked })
    return this
  }

  close(kind: CloseKind, waitMs = 1_000, retryAfterMs: number | null = null): string[] {
    const close = { kind, detail: kind, close: { ...CLOSE, retryAfterMs }, atMs: NOW + this.ms }
    const effects = this.send({ kind: 'closed', close })
    const backoff = { attempt: this.model.attempt + 1, nextAttemptAtMs: NOW + this.ms + waitMs }
    return [...effects, ...this.send({ kind: 'backoff', backoff })]
  }

  /** Frames of this age, and times of that; enough of them that the median means something. */
  frames(lagMs: number): this {
    const { frames, seq } = this.seen
    this.seen = {
      frames: frames + 20,
      events: frames + 20,
      seq: (seq ?? 0) + 20,
      lagMs,
      reachedMs: NOW + this.ms - lagMs,
    }
    return this
  }
}
