/** Skein's `subscribe` on one service, verified, its state in memory. */

import type { Subscription } from '../../src/client/consumer/consumer-types.ts'
import { MemoryStore } from '../../src/client/consumer/memory-store.ts'
import { subscribe } from '../../src/client/consumer/subscribe.ts'
import type { IdentityResolver } from '../../src/identity/identity-resolver.ts'
import { openIdentities } from './caller.ts'
import type { Consumed, Consumption, Remark, RepoState } from './consumed.ts'
import { consumedOf, remarkOf } from './consumed.ts'

/** Often enough for steps to see how far it is, ms. */
const SAVE_INTERVAL_MS = 20
/** Longest pause before it connects again, ms; its default of a minute is for real networks. */
const RECONNECT_MS_MAX = 1_000

export class HostConsumer implements Consumption {
  readonly #subscription: Subscription
  readonly #store = new MemoryStore()
  readonly #identities: IdentityResolver
  readonly #consumed: Consumed[] = []
  readonly #remarks: Remark[] = []
  readonly #ended: Promise<void>
  #failure: string | null = null

  /**
   * Begins with the oldest event. `backfill: 'seen'` also fetches what was written elsewhere before
   * an account moved here.
   */
  constructor(origin: string, plcUrl: string, backfill: 'none' | 'seen') {
    this.#identities = openIdentities(plcUrl)
    this.#subscription = subscribe({
      service: origin,
      cursor: 'oldest',
      backfill,
      store: this.#store,
      identities: this.#identities,
      allowPrivateNetwork: true,
      policies: { reconnectMaxMs: RECONNECT_MS_MAX },
      limits: { saveMs: SAVE_INTERVAL_MS },
      onNotice: (notice) => {
        this.#remarks.push(remarkOf(notice))
      },
    })
    this.#ended = this.#follow()
  }

  lives(): readonly (readonly Consumed[])[] {
    return [this.#consumed]
  }

  remarks(): readonly Remark[] {
    return this.#remarks
  }

  get position(): number {
    return this.#subscription.stats.saved?.seq ?? 0
  }

  get failure(): string | null {
    return this.#failure
  }

  repo(did: string): Promise<RepoState> {
    const row = this.#store.repo(did)
    return Promise.resolve({ rev: row?.head?.rev ?? null, mark: row?.mark?.reason ?? null })
  }

  async stop(): Promise<void> {
    await this.#subscription.stop()
    await this.#ended
    await this.#identities.close()
  }

  async #follow(): Promise<void> {
    try {
      for await (const delivery of this.#subscription) this.#consumed.push(consumedOf(delivery))
    } catch (error) {
      this.#failure = String(error)
    }
  }
}
