/** Repositories that are fetched because what was delivered of them is not, or may not be, all. */
import type { Clock, Timer } from '../../lib/clock.ts'
import { createDeadline, type Deadline } from '../../lib/deadline.ts'
import type { Head } from '../../repo/head.ts'
import { cidFromString } from '../../data/cid.ts'
import { must } from '../../lib/assert.ts'
import type { Random } from '../../lib/random.ts'
import { count as addOne } from './consumer-counts.ts'
import { isCallError } from '../calls/call-error.ts'
import type { ConsumerNotice, Delivery } from './consumer-types.ts'
import type { ConsumerLimits } from './consumer-limits.ts'
import type { ConsumerStore, RepoRow } from '../../store/consumer-state.ts'
import { type CheckpointOf, completeDelivery, FoundOperation, partDelivery } from './deliveries.ts'
import type { Lane, Lanes, RepairRun } from './lanes.ts'
import type { MaybePromise } from './maybe-promise.ts'
import { differenceOf, indexedRecords, inParts } from './repo-difference.ts'
import {
  FetchBusy,
  FetchError,
  type FetchFailure,
  fetchErrorOf,
  HostLate,
  type RepoFetcher,
} from './repo-fetcher.ts'
import type { RepoMemory } from './repo-memory.ts'
import {
  afterFailure,
  afterRepair,
  afterTerminal,
  fallenBehind,
  marked,
  parked,
  pauseAfter,
  putOff,
} from './repo-states.ts'
import { fetchChanges, type RepoChanges, StaleRepo } from './repo-changes.ts'

/** How a delivery ended. */
export type Outcome =
  | { readonly kind: 'finished' }
  /** The handler would not have it. */
  | { readonly kind: 'failed'; readonly error: string; readonly tries: number }
  /** The consumer stops: it comes again. */
  | { readonly kind: 'stopped' }

export interface RepairsOptions {
  readonly memory: RepoMemory
  readonly store: ConsumerStore
  readonly lanes: Lanes
  readonly fetcher: RepoFetcher
  readonly limits: ConsumerLimits
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  readonly wantsDid: (did: string) => boolean
  readonly wantsPath: (path: string) => boolean
  /** Whether every record is wanted. */
  readonly wantsAllPaths: boolean
  readonly checkpointOf: CheckpointOf
  readonly onNotice: (notice: ConsumerNotice) => void
  /** Delivers in the turn of the lane. */
  readonly deliver: (lane: Lane, delivery: Delivery) => MaybePromise<Outcome>
  /** Writes everything that has changed. */
  readonly flush: () => MaybePromise<void>
  /** Keeps what the handler would not have. */
  readonly quarantine: (did: string, error: string, tries: number) => MaybePromise<void>
  /** The lane may go on. */
  readonly onSettled: (lane: Lane) => void
  readonly onFailure: (error: unknown) => void
}

export interface RepairCounts {
  running: number
  done: number
  /** Of these, by what was new alone, and by the whole repository. */
  update: number
  whole: number
  /** Why what was new would not do. */
  readonly fellBack: Record<string, number>
  readonly failed: Record<string, number>
}

export function newRepairCounts(): RepairCounts {
  return { running: 0, done: 0, update: 0, whole: 0, fellBack: {}, failed: {} }
}

/** The host says that it has no such repository: it may be moving, and is asked more rarely. */
const NOT_FOUND: ReadonlySet<string> = new Set(['RepoNotFound', 'HeadNotFound'])

/** Thrown when the handler would not have a part. */
class PartRefused extends Error {
  readonly tries: number
  constructor(message: string, tries: number) {
    super(message)
    this.tries = tries
  }
}

/** Thrown to give a fetch up without a word. */
class GivenUp extends Error {}

/** Fetches marked repositories, a bounded few at a time. */
export class Repairs {
  readonly #options: RepairsOptions
  readonly #waiting: Lane[] = []
  /** Those that wait for a host that has enough to do. */
  readonly #blocked = new Set<Lane>()
  readonly counts: RepairCounts = newRepairCounts()
  #poll: Timer | null = null
  readonly #running = new Set<Promise<void>>()
  #roomWaiters: (() => void)[] = []

  constructor(options: RepairsOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length + this.#blocked.size
  }

  start(): void {
    const { clock, signal, limits } = this.#options
    if (signal.aborted) return
    this.#poll = clock.after(
      limits.repairPollMs,
      () => void this.#pollStore().finally(() => this.start()),
    )
  }

  /** Resolves when no fetch is under way; the signal has to abort first. */
  async stop(): Promise<void> {
    this.#poll?.cancel()
    for (const wake of this.#roomWaiters) wake()
    for (const lane of [...this.#waiting.splice(0), ...this.#blocked]) this.#settle(lane)
    this.#blocked.clear()
    await Promise.all(this.#running)
  }

  /** Resolves when there is room for more requests. */
  async room(): Promise<void> {
    const { repairsWaitingMax } = this.#options.limits
    while (this.waiting >= repairsWaitingMax / 2 && !this.#options.signal.aborted) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve))
    }
  }

  /**
   * Has the repository of a lane fetched, whose mark is due. Without room it stays in the store
   * until it is its turn.
   *
   * @returns Whether it is on its way, so that it is worth waiting for.
   */
  request(lane: Lane): boolean {
    const { limits, signal } = this.#options
    if (signal.aborted) return false
    if (lane.repair !== null) return true
    const hasPlace = this.counts.running < limits.repairsMax
    if (!hasPlace && this.waiting >= limits.repairsWaitingMax) return false
    lane.repair = { seenRev: null, abort: new AbortController() }
    if (hasPlace) this.#begin(lane, lane.repair)
    else this.#waiting.push(lane)
    return true
  }

  async #pollStore(): Promise<void> {
    const { store, memory, limits, clock, wantsDid, signal, onFailure } = this.#options
    try {
      const isFull = this.waiting >= limits.repairsWaitingMax
      if (isFull || signal.aborted) return
      // Those that are on their way are due as well: beyond them there must be room for others.
      const most = limits.repairsWaitingMax + limits.repairsMax
      for (const { did } of await store.due(clock.nowMs(), most)) {
        const row = await memory.get(did)
        const dueMs = row.mark?.nextTryMs ?? null
        if (dueMs === null || dueMs > clock.nowMs()) continue
        if (row.quarantined === 0 && wantsDid(did)) this.#requestDue(did)
        // It would be found again and again; who wants it later asks for it.
        else memory.put(putOff(row, null))
      }
    } catch (error) {
      onFailure(error)
    }
  }

  #requestDue(did: string): void {
    const { lanes } = this.#options
    const lane = lanes.get(did)
    if (!this.request(lane)) lanes.tidy(lane)
  }

  #begin(lane: Lane, run: RepairRun): void {
    this.counts.running++
    const work = this.#repair(lane, run)
      .catch((error: unknown) => this.#options.onFailure(error))
      .finally(() => {
        this.counts.running--
        this.#running.delete(work)
        if (!this.#blocked.has(lane)) this.#settle(lane)
        this.#next()
      })
    this.#running.add(work)
  }

  #next(): void {
    const { limits, signal } = this.#options
    while (this.counts.running < limits.repairsMax && !signal.aborted) {
      const lane = this.#waiting.shift()
      if (lane === undefined) break
      if (lane.repair !== null) this.#begin(lane, lane.repair)
    }
    if (this.waiting < limits.repairsWaitingMax / 2) {
      for (const wake of this.#roomWaiters.splice(0)) wake()
    }
  }

  #settle(lane: Lane): void {
    lane.repair = null
    lane.hold?.release()
    this.#options.onSettled(lane)
  }

  async #repair(lane: Lane, run: RepairRun): Promise<void> {
    const { memory, flush, limits, clock, signal, wantsDid } = this.#options
    const { did } = lane
    const deadline = createDeadline(clock, limits.repairMs, [signal, run.abort.signal])
    try {
      const row = await memory.get(did)
      if (row.mark === null || row.quarantined > 0 || !wantsDid(did)) return
      // The index is read from the store, and events that are let go rely on the mark.
      await flush()
      const cause = row.mark.reason === 'backfill' ? 'backfill' : 'repair'
      const { found, changes } = await this.#fetch(lane, row, cause, deadline)
      const { repo, way } = found
      await this.#deliverOrGiveUp(
        lane,
        completeDelivery(repo, cause, changes, this.#options.checkpointOf),
      )
      await this.#finish(lane, run, repo, changes)
      this.counts[way]++
    } catch (error) {
      if (error instanceof GivenUp || signal.aborted || run.abort.signal.aborted) return
      if (error instanceof FetchBusy && error.waitMs === null) {
        this.#block(lane, error)
        return
      }
      await this.#fail(lane, error, deadline.hasExpired())
    } finally {
      deadline.clear()
    }
  }

  /** The lane's turn comes when a fetch of its host has ended. */
  #block(lane: Lane, busy: FetchBusy): void {
    this.#blocked.add(lane)
    busy.whenFree(() => {
      if (!this.#blocked.delete(lane)) return
      this.#waiting.push(lane)
      this.#next()
    })
  }

  /** Delivers the difference. */
  async #fetch(
    lane: Lane,
    row: RepoRow,
    cause: 'repair' | 'backfill',
    deadline: Deadline,
  ): Promise<{ readonly found: RepoChanges; readonly changes: number }> {
    const { fetcher, store, limits, clock, wantsPath, wantsAllPaths, checkpointOf } = this.#options
    const { did } = lane
    const { signal } = deadline
    const fetch = await fetcher.open(did, signal)
    let found: RepoChanges | null = null
    let ended: unknown = new GivenUp()
    try {
      const onFallBack = (reason: string): void => addOne(this.counts.fellBack, reason)
      const how = { store, limits, clock, wantsPath, wantsAllPaths, signal, onFallBack }
      found = await fetchChanges(fetch, row, how)
      let changes = 0
      const bounds = { opsMax: limits.partOpsMax, bytesMax: limits.partBytesMax }
      for await (const part of inParts(found.operations, bounds)) {
        await this.#deliverOrGiveUp(lane, partDelivery(found.repo, cause, part, checkpointOf))
        this.#remember(did, part)
        changes += part.length
      }
      ended = null
      return { found, changes }
    } catch (error) {
      ended = error
      throw fetchErrorOf(error)
    } finally {
      found?.cancel()
      const isLate = deadline.hasExpired() && isCallError(ended, 'Aborted')
      fetch.close(isLate ? new HostLate() : ended)
    }
  }

  #remember(did: string, part: readonly FoundOperation[]): void {
    for (const { path, after } of part) this.#options.memory.setRecord(did, path, after)
  }

  async #deliverOrGiveUp(lane: Lane, delivery: Delivery): Promise<void> {
    const { deliver, signal } = this.#options
    const outcome = await deliver(lane, delivery)
    if (outcome.kind === 'failed') throw new PartRefused(outcome.error, outcome.tries)
    if (
      outcome.kind === 'stopped' ||
      signal.aborted ||
      lane.repair?.abort.signal.aborted === true
    ) {
      throw new GivenUp()
    }
  }

  async #finish(
    lane: Lane,
    run: RepairRun,
    repo: RepoChanges['repo'],
    changes: number,
  ): Promise<void> {
    const { memory, clock, limits, onNotice, random } = this.#options
    const { did } = lane
    const head = headOf(repo)
    const missed = run.seenRev !== null && run.seenRev > head.rev ? run.seenRev : null
    await memory.update(did, (row) => {
      const repaired = afterRepair(row, head)
      if (missed === null) return repaired
      // What was let go while the host sent an older state is still to be had.
      const pauseMs = pauseAfter(
        row.mark?.tries ?? 0,
        { firstMs: limits.repairPauseMs, mostMs: limits.repairPauseMsMax },
        random.next(),
      )
      const again = marked(repaired, 'since-mismatch', `rev ${missed} was let go`, clock.nowMs())
      return putOff(again, clock.nowMs() + pauseMs)
    })
    this.counts.done++
    onNotice({ kind: 'repaired', did, rev: head.rev, changes })
  }

  async #fail(lane: Lane, error: unknown, isLate: boolean): Promise<void> {
    const { memory, clock, limits, random, quarantine, onNotice } = this.#options
    const { did } = lane
    const nowMs = clock.nowMs()
    if (error instanceof FetchBusy) {
      const waitMs = error.waitMs ?? limits.repairPollMs
      await memory.update(did, (row) => putOff(row, nowMs + waitMs))
      return
    }
    if (error instanceof PartRefused) {
      const { message, tries } = error
      addOne(this.counts.failed, 'handler-failed')
      await memory.update(did, (row) => parked(row, 'handler-failed', message, nowMs))
      await quarantine(did, message, tries)
      onNotice({
        kind: 'repair-failed',
        did,
        code: 'handler-failed',
        detail: message,
        nextTryMs: null,
      })
      return
    }
    const failure = failureOf(error, isLate)
    addOne(this.counts.failed, failure.code)
    let nextTryMs: number | null = null
    let isNewlyBehind = false
    await memory.update(did, (row) => {
      if (failure.inactive !== null) return afterTerminal(row, failure.inactive)
      const { repairPauseMs: firstMs, repairPauseMsMax: mostMs, behindTriesMax } = limits
      const tries = row.mark?.tries ?? 0
      if (failure.code === 'rev-stale' && tries + 1 >= behindTriesMax) {
        isNewlyBehind = row.mark?.reason !== 'host-behind'
        nextTryMs = nowMs + mostMs
        return fallenBehind(row, nextTryMs)
      }
      const pauseMs = NOT_FOUND.has(failure.code)
        ? pauseAfter(tries + 3, { firstMs, mostMs }, random.next())
        : pauseAfter(tries, { firstMs, mostMs }, random.next())
      nextTryMs = nowMs + Math.max(pauseMs, Math.min(failure.retryAfterMs ?? 0, mostMs))
      return afterFailure(row, nextTryMs)
    })
    const { detail } = failure
    const code = isNewlyBehind ? 'host-behind' : failure.code
    onNotice({ kind: 'repair-failed', did, code, detail, nextTryMs })
  }
}

type Failure = Omit<FetchFailure, 'code'> & { readonly code: FetchFailure['code'] | 'rev-stale' }

/** Errors that are not of a fetch are ours, and pass through. */
function failureOf(error: unknown, isLate: boolean): Failure {
  const none = { retryAfterMs: null, inactive: null }
  if (error instanceof StaleRepo) return { code: 'rev-stale', detail: error.message, ...none }
  if (error instanceof FetchError) {
    const { failure } = error
    if (!isLate) return failure
    return { ...none, code: 'Timeout', detail: 'the repository took too long' }
  }
  throw error
}

function headOf({ rev, commit, data }: RepoChanges['repo']): Head {
  return {
    rev,
    commit: must(cidFromString(commit), 'CID'),
    data: must(cidFromString(data), 'CID'),
  }
}

/** Deletes for everything that the index holds of a repository, in parts. */
export function deletesOf(
  options: Pick<RepairsOptions, 'store' | 'wantsPath' | 'limits'>,
  did: string,
): AsyncGenerator<readonly FoundOperation[]> {
  const { store, wantsPath, limits } = options
  const nothing = { async *[Symbol.asyncIterator](): AsyncGenerator<never> {} }
  return inParts(differenceOf(indexedRecords(store, did, wantsPath), nothing), {
    opsMax: limits.partOpsMax,
    bytesMax: limits.partBytesMax,
  })
}
