/** What an application holds that does what a consumer tells it, and nothing else. */

import type { Consumed } from './consumed.ts'

export class Replica {
  /** CIDs by path, by DID. */
  readonly #repos = new Map<string, Map<string, string>>()
  /** What contradicts what was told before, one sentence each. */
  readonly faults: string[] = []

  /** Takes all lives in; what a later life repeats must be what was told before. */
  constructor(lives: readonly (readonly Consumed[])[]) {
    const told = new Set<string>()
    for (const life of lives) {
      for (const delivery of life) this.#take(delivery, told)
    }
  }

  records(did: string): ReadonlyMap<string, string> {
    return this.#repos.get(did) ?? new Map()
  }

  #take(delivery: Consumed, told: Set<string>): void {
    const { kind, did, rev, cause, status, operations } = delivery
    if (did === null) return
    if (kind === 'account' && status === 'deleted') this.#repos.delete(did)
    if (kind !== 'commit') return
    const records = this.#repos.get(did) ?? new Map<string, string>()
    this.#repos.set(did, records)
    const key = `${did} ${rev} ${cause}`
    const isRepeated = cause === 'live' && told.has(key)
    told.add(key)
    for (const [action, path, cid] of operations) {
      const isThere = records.has(path)
      if (!isRepeated && (action === 'create') === isThere) {
        this.faults.push(`${key}: ${action} ${path}, which is ${isThere ? '' : 'not '}there`)
      }
      if (cid === null) records.delete(path)
      else records.set(path, cid)
    }
  }
}
