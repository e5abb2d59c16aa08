/**
 * Verified consumption of one stream, ours and that of `@atproto/sync`: from the socket to a
 * handler that looks at every record. Both have the keys of all accounts at hand.
 */
import { Firehose } from '@atproto/sync'

import type { ConsumerIdentities } from '../src/client/consumer/consumer-types.ts'
import { runConsumer } from '../src/client/consumer/run-consumer.ts'
import { loadVerifier } from '../src/crypto/verifier.ts'
import { createIdentityResolver } from '../src/identity/create-identity-resolver.ts'
import type { Resolution } from '../src/identity/identity.ts'
import { assert, must } from '../src/lib/assert.ts'
import type { Cost } from './bench.ts'
import type { ReplayHosts } from './consumer-hosts.ts'

/** Commits at the beginning of a round that are not counted, and those that are. */
export interface RoundSize {
  readonly warmUp: number
  readonly commits: number
}

/** Reads the stream from its beginning; gives the cost of one commit. */
export type ConsumeRound = (size: RoundSize) => Promise<Cost>

/** Counts commits, and takes the time of those after the first ones. */
class RoundMeter {
  readonly #size: RoundSize
  readonly #done = Promise.withResolvers<Cost>()
  #seen = 0
  #startMs = 0
  #startCpu: NodeJS.CpuUsage | undefined
  operations = 0

  constructor(size: RoundSize) {
    this.#size = size
  }

  get done(): Promise<Cost> {
    return this.#done.promise
  }

  commit(operations: number): void {
    this.operations += operations
    const { warmUp, commits } = this.#size
    this.#seen++
    if (this.#seen === warmUp) {
      this.#startMs = performance.now()
      this.#startCpu = process.cpuUsage()
    }
    if (this.#seen !== warmUp + commits) return
    const { user, system } = process.cpuUsage(this.#startCpu)
    const wallUs = (performance.now() - this.#startMs) * 1_000
    this.#done.resolve({ cpuUs: (user + system) / commits, wallUs: wallUs / commits })
  }

  fail(error: unknown): void {
    this.#done.reject(error instanceof Error ? error : new Error(String(error)))
  }
}

/**
 * Identities as the directory tells them, looked up once and kept: an `#identity` would have them
 * looked up again, and the rival is spared that.
 */
async function loadIdentities({ keys, plcUrl }: ReplayHosts): Promise<ConsumerIdentities> {
  const resolver = createIdentityResolver({
    userAgent: 'skein-bench',
    plcDirectories: [plcUrl],
    plcPerSecond: 10_000,
  })
  const found = new Map<string, Resolution>()
  for (const did of Object.keys(keys)) found.set(did, await resolver.resolve(did))
  await resolver.close()
  const answer = (did: string): Promise<Resolution> => Promise.resolve(must(found.get(did), 'DID'))
  return {
    peek(did) {
      const resolution = found.get(did)
      return resolution?.ok === true ? resolution.identity : undefined
    },
    resolve: answer,
    refresh: answer,
    purge: () => undefined,
  }
}

/** Our side. */
export async function loadSkeinConsumer(hosts: ReplayHosts): Promise<ConsumeRound> {
  const verifier = await loadVerifier()
  const identities = await loadIdentities(hosts)
  return async (size) => {
    const meter = new RoundMeter(size)
    await using consumer = runConsumer({
      service: hosts.endpoint,
      cursor: 'oldest',
      policies: { margin: 'passive' },
      verify: 'full',
      identities,
      verifier,
      handler: (delivery) => {
        if (delivery.kind !== 'commit') return
        let records = 0
        for (const { action, record } of delivery.ops) {
          if (action === 'delete' || record?.valid === true) records++
        }
        meter.commit(records)
      },
    })
    consumer.finished.catch((error: unknown) => meter.fail(error))
    const cost = await meter.done
    const { refused, desynchronized, unverifiable, operations } = consumer.stats
    const bad = [refused, desynchronized, unverifiable].flatMap((counts) => Object.keys(counts))
    assert(bad.length === 0, () => `every commit is good: ${bad.join()}`)
    assert(operations <= meter.operations, 'every record can be read')
    return cost
  }
}

type IdResolver = ConstructorParameters<typeof Firehose>[0]['idResolver']

/** The rival in its authenticated mode, an event at a time. Keys are answered from memory. */
export function loadRivalConsumer(hosts: ReplayHosts): ConsumeRound {
  const keys = new Map(Object.entries(hosts.keys))
  const idResolver = {
    did: { resolveAtprotoKey: (did: string) => Promise.resolve(keys.get(did)) },
  } as unknown as IdResolver
  return async (size) => {
    const meter = new RoundMeter(size)
    let seq = 0
    let operations = 0
    const firehose = new Firehose({
      idResolver,
      service: hosts.endpoint.replace(/^http/, 'ws'),
      getCursor: () => 0,
      excludeIdentity: true,
      handleEvent: (event) => {
        if (event.event !== 'create' && event.event !== 'update' && event.event !== 'delete') return
        // It gives out operations: a commit is over when one of another begins.
        if (event.seq !== seq && seq !== 0) {
          meter.commit(operations)
          operations = 0
        }
        seq = event.seq
        if (event.event === 'delete' || typeof event.record === 'object') operations++
      },
      onError: (error) => meter.fail(error),
    })
    const running = firehose.start()
    const cost = await meter.done
    await firehose.destroy()
    await running
    return cost
  }
}
