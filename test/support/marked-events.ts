/**
 * A stream of honest events that can be told apart: each carries a number in a field that no
 * lexicon knows, so that a reader can see which it has, which twice, and which not.
 */
import { must } from '../../src/lib/assert.ts'
import { type Random, seededRandom } from '../../src/lib/random.ts'
import type { FakeHost } from './fake-host.ts'
import { didOf, type ReceivedFrame } from './relay-client.ts'
import { randomWrites, type SignedRepo } from './signed-repo.ts'
import { accountBody, identityBody } from './world.ts'

/** Sends events of some accounts of one host. */
export class MarkedEvents {
  readonly #host: FakeHost
  readonly #repos: readonly SignedRepo[]
  readonly #random: Random
  /** How many have been sent: their marks are 1 to this. */
  count = 0

  constructor(host: FakeHost, repos: readonly SignedRepo[], seed: number) {
    this.#host = host
    this.#repos = repos
    this.#random = seededRandom(seed)
  }

  /** Sends `count` events of accounts and kinds chosen by chance. */
  send(count: number): void {
    for (let i = 0; i < count; i++) {
      this.sendOf(
        must(this.#repos[Math.floor(this.#random.next() * this.#repos.length)], 'account'),
      )
    }
  }

  /** Sends an event of this account. */
  sendOf(repo: SignedRepo): void {
    const mark = ++this.count
    const dice = this.#random.next()
    if (dice < 0.1) {
      this.#host.send('#identity', { ...identityBody(repo.did, `h${mark}.example.com`), mark })
    } else if (dice < 0.2) {
      this.#host.send('#account', { ...accountBody(repo.did, true, `n${mark}`), mark })
    } else if (dice < 0.3 && repo.head !== null) {
      this.#host.send('#sync', { ...repo.sync(), mark })
    } else {
      const writes = repo.head === null ? [] : randomWrites(repo, this.#random, 3)
      this.#host.send('#commit', { ...repo.apply(writes), mark })
    }
  }
}

export function markOf(frame: ReceivedFrame): number {
  return Number(frame.body['mark'])
}

/**
 * What is wrong with frames that should hold the marks 1 to `count` once each, in order by account.
 */
export function faultsOf(frames: readonly ReceivedFrame[], count: number): string[] {
  const faults: string[] = []
  const seen = new Map<number, number>()
  const lastOf = new Map<string, number>()
  let lastSeq = 0
  for (const frame of frames) {
    const mark = markOf(frame)
    if (frame.seq !== lastSeq + 1) faults.push(`seq ${frame.seq} after ${lastSeq}`)
    lastSeq = frame.seq
    const before = seen.get(mark)
    if (before !== undefined) faults.push(`mark ${mark} at seq ${before} and ${frame.seq}`)
    seen.set(mark, frame.seq)
    const last = lastOf.get(didOf(frame)) ?? 0
    if (mark < last) faults.push(`mark ${mark} after ${last} of one account`)
    lastOf.set(didOf(frame), mark)
  }
  for (let mark = 1; mark <= count; mark++) if (!seen.has(mark)) faults.push(`mark ${mark} is lost`)
  return faults
}
