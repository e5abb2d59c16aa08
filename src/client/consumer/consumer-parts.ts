/** Puts the parts of a consumer together; ./consumer.ts drives them. */
import { networkRuntime } from '#network'

import { loadVerifier, type SignatureVerifier } from '../../crypto/verifier.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Random, systemRandom } from '../../lib/random.ts'
import type { ConsumerStore } from '../../store/consumer-state.ts'
import { createTransport } from '../../stream/runtime-transport.ts'
import type { ConsumerCounts } from './consumer-counts.ts'
import type { WantedEvents } from './consumer-filter.ts'
import type { ConsumerLimits } from './consumer-limits.ts'
import { chooseStart } from './consumer-start.ts'
import type {
  ConsumerIdentities,
  ConsumerNotice,
  ConsumerOptions,
  Delivery,
} from './consumer-types.ts'
import { EventJudge } from './event-judge.ts'
import { EventSteps } from './event-steps.ts'
import type { Lane, Lanes } from './lanes.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { QuarantineKeeper } from './quarantine-keeper.ts'
import { type Outcome, Repairs } from './repairs.ts'
import { RepoFetcher } from './repo-fetcher.ts'
import { RepoMemory } from './repo-memory.ts'
import { Saver, type SaverOptions } from './saver.ts'
import { parseService } from '../calls/service.ts'
import type { Place, SourceListener } from '../source/source-types.ts'
import { StreamProgress } from './stream-progress.ts'
import { StreamSource } from '../source/stream-source.ts'

/** What runs once stores and keys are there. */
export interface Parts {
  readonly memory: RepoMemory
  readonly progress: StreamProgress
  readonly saver: Saver
  readonly repairs: Repairs
  readonly kept: QuarantineKeeper
  readonly steps: EventSteps
  readonly source: StreamSource
  /** Ends what was made here and belongs to nobody else. */
  readonly close: () => Promise<void>
}

/** What the parts are made of, and whom they tell. */
export interface PartsSetup {
  readonly options: ConsumerOptions
  readonly origins: readonly string[]
  readonly limits: ConsumerLimits
  readonly clock: Clock
  readonly store: ConsumerStore
  readonly wanted: WantedEvents
  readonly lanes: Lanes
  readonly counts: ConsumerCounts
  readonly signal: AbortSignal
  readonly listener: SourceListener
  readonly onNotice: (notice: ConsumerNotice) => void
  readonly deliver: (lane: Lane, delivery: Delivery) => MaybePromise<Outcome>
  readonly onSaved: () => void
  readonly onSettled: (lane: Lane) => void
  readonly onFailure: (error: unknown) => void
}

/** Opens everything but the stream, which begins when the source is started. */
export async function openParts(setup: PartsSetup): Promise<Parts> {
  const { options, limits, clock, store, wanted, lanes, signal, deliver, onNotice, onFailure } =
    setup
  const random = options.random ?? systemRandom
  const start = await chooseStart(options, setup.origins, store)
  const verifier = options.verifier ?? (await loadVerifier())
  const { identities, close } = identitiesOf(options, clock)
  const progress = new StreamProgress(start.cursors)
  const memory = new RepoMemory(store, limits.cachedReposMax)
  const saver = new Saver(saverOptions(setup, memory, progress), start.cursors[0] ?? null)
  const checkpointOf = (place: Place | null) => progress.checkpoint(place)
  const shared = { memory, store, limits, clock, signal, checkpointOf, deliver, onNotice }
  const repairs: Repairs = new Repairs({
    ...shared,
    lanes,
    fetcher: fetcherOf(setup, { identities, verifier, random }),
    random,
    wantsDid: (did) => wanted.did(did),
    wantsPath: (path) => wanted.path(path),
    wantsAllPaths: wanted.collections === null,
    flush: () => saver.flush(),
    quarantine: (did, error, tries) => kept.keepRepair(did, error, tries),
    onSettled: (lane) => {
      saver.touch()
      setup.onSettled(lane)
    },
    onFailure,
  })
  const verify = options.verify ?? 'full'
  const tracks = verify === 'full' && wanted.commits
  const kept = new QuarantineKeeper({ ...shared, saver, tracks, counts: setup.counts })
  const waitMs = limits.identityWaitMs
  const steps: EventSteps = new EventSteps({
    ...shared,
    progress,
    saver,
    repairs,
    identities,
    wanted,
    counts: setup.counts,
    judge: new EventJudge({ identities, verifier, clock, waitMs, signal }),
    verify,
    kept,
    backfillsSeen: options.backfill === 'seen' ? 'yes' : 'no',
    deletion: options.deletion ?? 'event',
    deliveredUpTo: start.deliveredUpTo,
  })
  const source = new StreamSource({
    services: setup.origins,
    cursor: (service, epoch) => progress.cursor(service, epoch),
    lastService: start.cursors[0]?.service ?? null,
    reachedMs: start.cursors[0]?.timeMs ?? null,
    transport: options.transport ?? createTransport(clock),
    clock,
    random,
    policies: { ...options.policies, start: start.policy },
    listener: setup.listener,
  })
  return { memory, progress, saver, repairs, kept, steps, source, close }
}

function saverOptions(
  { options, limits, clock, store, onSaved, onFailure }: PartsSetup,
  memory: RepoMemory,
  progress: StreamProgress,
): SaverOptions {
  const { cursorStore = null } = options
  const { saveEvents, saveMs } = limits
  const what = { memory, progress, store, cursorStore }
  return { ...what, clock, saveEvents, saveMs, onSaved, onFailure }
}

function identitiesOf(
  options: ConsumerOptions,
  clock: Clock,
): { readonly identities: ConsumerIdentities; readonly close: () => Promise<void> } {
  const { identities, allowPrivateNetwork = false } = options
  if (identities !== undefined) return { identities, close: () => Promise.resolve() }
  const own = networkRuntime.createIdentities({ allowPrivateNetwork, clock })
  return { identities: own, close: () => own.close() }
}

function fetcherOf(
  { options, limits, clock, wanted }: PartsSetup,
  parts: {
    readonly identities: ConsumerIdentities
    readonly verifier: SignatureVerifier
    readonly random: Random
  },
): RepoFetcher {
  const { fetchFrom, fetch, governor, allowPrivateNetwork } = options
  return new RepoFetcher({
    identities: parts.identities,
    service: fetchFrom === undefined ? null : parseService(fetchFrom).origin,
    client: {
      ...parts,
      clock,
      ...(fetch === undefined ? {} : { fetch }),
      ...(governor === undefined ? {} : { governor }),
      ...(allowPrivateNetwork === undefined ? {} : { allowPrivateNetwork }),
    },
    collections: wanted.collections,
    perHostMax: limits.repairsPerHostMax,
    pauseMs: limits.repairPauseMs,
    pauseMsMax: limits.repairPauseMsMax,
    random: () => parts.random.next(),
  })
}
