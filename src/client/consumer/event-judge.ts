/** Whether a `#commit` or `#sync` is its account's: verification with the key at hand, or found. */
import { publicKeysEqual, type PublicKey } from '../../crypto/public-key.ts'
import type { SignatureVerifier } from '../../crypto/verifier.ts'
import type { Resolution } from '../../identity/identity.ts'
import { type Clock, sleep } from '../../lib/clock.ts'
import type { InvalidReason, UnverifiableReason } from '../../lib/reasons.ts'
import { verifyCommit, verifySync, type Verdict, type Verified } from '../../repo/verify.ts'
import type { MessageFrame } from '../../stream/frame-types.ts'
import type { ConsumerIdentities } from './consumer-types.ts'
import type { MaybePromise } from './maybe-promise.ts'

/** A frame that a repository's commit is in. */
export type RepoFrame = Extract<MessageFrame, { readonly type: '#commit' | '#sync' }>

export type Judgement =
  | { readonly kind: 'verified'; readonly verified: Verified }
  | { readonly kind: 'refused'; readonly reason: InvalidReason; readonly detail: string }
  | { readonly kind: 'unverifiable'; readonly reason: UnverifiableReason; readonly detail: string }

export interface EventJudgeOptions {
  readonly identities: ConsumerIdentities
  readonly verifier: SignatureVerifier
  readonly clock: Clock
  /** How long a key is waited for, ms. */
  readonly waitMs: number
  /** Ends waits. */
  readonly signal: AbortSignal
}

/** Shortest wait between two look-ups of one event, ms. */
const PAUSE_MS_MIN = 50

/** The account of a frame. */
export function didOf(frame: MessageFrame): string {
  return frame.type === '#commit' ? frame.body.repo : frame.body.did
}

/** Judges events one by one. Where the key is in memory the answer is there at once. */
export class EventJudge {
  readonly #options: EventJudgeOptions

  constructor(options: EventJudgeOptions) {
    this.#options = options
  }

  /** @param service On whose word an identity is doubted. */
  judge(frame: RepoFrame, service: string): MaybePromise<Judgement> {
    const key = this.#options.identities.peek(didOf(frame))?.signingKey ?? null
    if (key === null) return this.#withFoundKey(frame, service)
    const verdict = this.#verify(frame, key)
    return mayHaveNewKey(verdict) ? this.#withNewKey(frame, service, key) : judgementOf(verdict)
  }

  #verify(frame: RepoFrame, key: PublicKey): Verdict {
    const { verifier, clock } = this.#options
    const context = { key, verifier, nowMs: clock.nowMs() }
    return frame.type === '#commit'
      ? verifyCommit(frame.body, context)
      : verifySync(frame.body, context)
  }

  async #withFoundKey(frame: RepoFrame, service: string): Promise<Judgement> {
    const found = await this.#find(didOf(frame))
    if (!found.ok) return { kind: 'unverifiable', reason: found.reason, detail: found.detail }
    const { signingKey } = found.identity
    if (signingKey === null) return this.#withNewKey(frame, service, null)
    const verdict = this.#verify(frame, signingKey)
    return mayHaveNewKey(verdict)
      ? this.#withNewKey(frame, service, signingKey)
      : judgementOf(verdict)
  }

  /** Asks the directory for a while. */
  async #find(did: string): Promise<Resolution> {
    const { identities, clock, waitMs, signal } = this.#options
    const untilMs = clock.monotonicMs() + waitMs
    for (;;) {
      const found = await identities.resolve(did, { signal })
      if (found.ok || found.reason === 'identity-missing') return found
      const leftMs = untilMs - clock.monotonicMs()
      if (leftMs <= 0 || signal.aborted) return found
      await sleep(clock, Math.min(Math.max(found.retryAfterMs, PAUSE_MS_MIN), leftMs), signal)
    }
  }

  /** The signature does not fit the key, or there is none: the key may have been changed. */
  async #withNewKey(
    frame: RepoFrame,
    service: string,
    oldKey: PublicKey | null,
  ): Promise<Judgement> {
    const { identities, signal } = this.#options
    const did = didOf(frame)
    const found = await identities.refresh(did, { scope: service, signal })
    const key = found.ok ? found.identity.signingKey : null
    if (key !== null && (oldKey === null || !publicKeysEqual(key, oldKey))) {
      return judgementOf(this.#verify(frame, key))
    }
    if (oldKey === null) {
      return { kind: 'unverifiable', reason: 'identity-no-key', detail: `${did} has no usable key` }
    }
    return judgementOf(this.#verify(frame, oldKey))
  }
}

function mayHaveNewKey(verdict: Verdict): boolean {
  return !verdict.ok && verdict.reason === 'signature-invalid'
}

function judgementOf(verdict: Verdict): Judgement {
  if (verdict.ok) return { kind: 'verified', verified: verdict.value }
  return { kind: 'refused', reason: verdict.reason, detail: verdict.detail }
}
