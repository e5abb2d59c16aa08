/**
 * What is done with each event of a lane: verified, held against what is known of its repository,
 * delivered, and what follows from it remembered. The rules of repositories are in
 * ./repo-states.ts; here is what they cause.
 */
import { cidEquals, cidToString } from '../../data/cid.ts'
import type { Clock } from '../../lib/clock.ts'
import { commitAgainstHead, syncAgainstHead } from '../../repo/head.ts'
import { EMPTY_TREE_CID } from '../../repo/tree-node.ts'
import type { Verified } from '../../repo/verify.ts'
import type { MessageFrame } from '../../stream/frame-types.ts'
import { type ConsumerCounts, count } from './consumer-counts.ts'
import type { ConsumerLimits } from './consumer-limits.ts'
import type { ConsumerStore, MarkReason, RepoRow } from '../../store/consumer-state.ts'
import type {
  ConsumerIdentities,
  ConsumerNotice,
  Delivery,
  DeliveryVerdict,
} from './consumer-types.ts'
import type { WantedEvents } from './consumer-filter.ts'
import { type CheckpointOf, eventDelivery, partDelivery } from './deliveries.ts'
import type { EventJudge, Judgement, RepoFrame } from './event-judge.ts'
import type { Lane, Task } from './lanes.ts'
import { andThen, isPromise, type MaybePromise } from './maybe-promise.ts'
import type { KeptEvent, QuarantineKeeper } from './quarantine-keeper.ts'
import { deletesOf, type Outcome, type Repairs } from './repairs.ts'
import type { RepoMemory } from './repo-memory.ts'
import {
  afterAccount,
  afterCommit,
  isDeleted,
  marked,
  parked,
  roused,
  toldOfNews,
} from './repo-states.ts'
import type { Saver } from './saver.ts'
import { SeenRevs } from './seen-revs.ts'
import type { SourceFrame } from '../source/source-types.ts'
import type { StreamProgress } from './stream-progress.ts'
import type { Did } from '../../syntax/did.ts'
import type { Tid } from '../../syntax/tid.ts'

export interface EventStepsOptions {
  readonly memory: RepoMemory
  readonly store: ConsumerStore
  readonly progress: StreamProgress
  readonly saver: Saver
  readonly judge: EventJudge
  readonly repairs: Repairs
  readonly kept: QuarantineKeeper
  readonly identities: ConsumerIdentities
  readonly wanted: WantedEvents
  readonly limits: ConsumerLimits
  readonly counts: ConsumerCounts
  readonly clock: Clock
  /** When it aborts, events are left as they are: they come again. */
  readonly signal: AbortSignal
  readonly verify: 'full' | 'none'
  /** Whether repositories that are first seen are fetched whole. */
  readonly backfillsSeen: 'yes' | 'no'
  readonly deletion: 'event' | 'records'
  /** Seqs up to which the application has finished, where state is behind it, by service. */
  readonly deliveredUpTo: ReadonlyMap<string, number>
  readonly checkpointOf: CheckpointOf
  readonly deliver: (lane: Lane, delivery: Delivery) => MaybePromise<Outcome>
  readonly onNotice: (notice: ConsumerNotice) => void
}

/** What is remembered when an event is finished: the handler had it, or it waits in quarantine. */
type Finish = (how: 'handled' | 'quarantined') => MaybePromise<void>

/** Time over which `unknownMarksMax` counts, ms: an outage of a directory may last that long. */
const UNKNOWN_MARKS_MS = 3_600_000

export class EventSteps {
  readonly #options: EventStepsOptions
  /** Whether repositories are kept track of. */
  readonly #tracks: boolean
  #unknownMarks = 0
  #unknownSinceMs = 0
  /** Null when repositories are kept track of, or no commits are wanted. */
  readonly #seen: SeenRevs | null

  constructor(options: EventStepsOptions) {
    this.#options = options
    const { verify, wanted, limits } = options
    this.#tracks = verify === 'full' && wanted.commits
    const sees = verify === 'none' && wanted.commits
    this.#seen = sees ? new SeenRevs(limits.cachedReposMax) : null
  }

  /** Whether an event has to pass through here even if it is not delivered. */
  concerns(frame: SourceFrame, did: string | null): boolean {
    const { wanted } = this.#options
    if (did !== null && !wanted.did(did)) return false
    return (this.#tracks && frame.kind === 'message') || wanted.frame(frame)
  }

  /** Does one event. When this returns or resolves, it is finished, or will be by the saver. */
  step(lane: Lane, task: Task): MaybePromise<void> {
    const { frame } = task
    if (this.#options.signal.aborted) return undefined
    if (lane.hold !== null) return lane.hold.released.then(() => this.step(lane, task))
    if (frame.kind !== 'message') return this.#give(lane, task, 'unverified', () => undefined)
    if (!this.#options.wanted.did(lane.did)) return this.#skip(task, 'filtered')
    if (frame.type === '#identity') return this.#identity(lane, task)
    if (frame.type === '#account') return this.#account(lane, task, frame)
    if (!this.#tracks) return this.#unverified(lane, task, frame)
    return andThen(this.#options.memory.get(lane.did), (row) => this.#known(lane, task, frame, row))
  }

  // ---- Commits and syncs

  /** Nothing is verified, but what comes twice and what is missing shows all the same. */
  #unverified(lane: Lane, task: Task, frame: MessageFrame): MaybePromise<void> {
    const { counts, clock, onNotice } = this.#options
    const seen = this.#seen
    if (seen === null || (frame.type !== '#commit' && frame.type !== '#sync')) {
      return this.#give(lane, task, 'unverified', () => undefined)
    }
    const { did } = lane
    const { rev } = frame.body
    const sighting = seen.look(did, frame)
    if (sighting.kind === 'seen') return this.#skip(task, 'stale')
    if (sighting.kind === 'gap') {
      const { known, since } = sighting
      const { place } = task
      counts.gaps++
      if (place !== null) onNotice({ kind: 'repo-gap', did, known, since, rev, place })
    }
    return this.#give(lane, task, 'unverified', () => seen.note(did, rev, clock.nowMs()))
  }

  #known(lane: Lane, task: Task, frame: RepoFrame, row: RepoRow): MaybePromise<void> {
    if (this.#isPassed(lane, task, frame, row)) return undefined
    const judgement = this.#options.judge.judge(frame, task.place?.service ?? '')
    if (!isPromise(judgement)) return this.#judged(lane, task, frame, row, judgement)
    return judgement.then((later) =>
      // Much may have happened in the meantime.
      andThen(this.#options.memory.get(lane.did), (now) =>
        this.#options.signal.aborted || this.#isPassed(lane, task, frame, now)
          ? undefined
          : this.#judged(lane, task, frame, now, later),
      ),
    )
  }

  /** Finishes what needs no verification for it: what is old, and what a fetch will bring. */
  #isPassed(lane: Lane, task: Task, frame: RepoFrame, row: RepoRow): boolean {
    const { head } = row
    const { rev } = frame.body
    if (head !== null && (rev < head.rev || (rev === head.rev && frame.type === '#commit'))) {
      this.#skip(task, 'stale')
      return true
    }
    if (row.mark === null) return false
    this.#letGo(lane, task, frame, row)
    return true
  }

  #letGo(lane: Lane, task: Task, frame: RepoFrame, row: RepoRow): void {
    const { memory, counts, clock, saver, repairs } = this.#options
    const { rev } = frame.body
    counts.skipped.desynchronized++
    if (lane.repair !== null) {
      const { seenRev } = lane.repair
      if (seenRev === null || rev > seenRev) lane.repair.seenRev = rev
    } else if (row.quarantined === 0) {
      const now = toldOfNews(row, clock.nowMs())
      if (now !== row) {
        memory.put(now)
        repairs.request(lane)
      }
    }
    if (task.place !== null) saver.finishAfter(task.place)
  }

  #judged(
    lane: Lane,
    task: Task,
    frame: RepoFrame,
    row: RepoRow,
    judgement: Judgement,
  ): MaybePromise<void> {
    const { counts, onNotice } = this.#options
    switch (judgement.kind) {
      case 'refused': {
        const { reason, detail } = judgement
        count(counts.refused, reason)
        const { did } = lane
        if (task.place !== null)
          onNotice({ kind: 'refused', did, reason, detail, place: task.place })
        return this.#done(task)
      }
      case 'unverifiable':
        return this.#unverifiable(lane, task, row, judgement)
      case 'verified':
        return frame.type === '#commit'
          ? this.#commit(lane, task, row, judgement.verified)
          : this.#sync(lane, task, row, judgement.verified)
    }
  }

  #unverifiable(
    lane: Lane,
    task: Task,
    row: RepoRow,
    { reason, detail }: Extract<Judgement, { readonly kind: 'unverifiable' }>,
  ): MaybePromise<void> {
    const { counts } = this.#options
    count(counts.unverifiable, reason)
    if (row.head === null) {
      // Nothing was delivered of it, so that nothing is out of step; and it may not exist.
      const isFinal = reason !== 'identity-unresolved'
      if (isFinal || !this.#mayMarkUnknown()) return this.#done(task)
    }
    return this.#desynchronize(lane, task, row, reason, detail)
  }

  /** Counts one more account that is marked though nothing is known of it, unless they are many. */
  #mayMarkUnknown(): boolean {
    const { clock, limits } = this.#options
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#unknownSinceMs > UNKNOWN_MARKS_MS) {
      this.#unknownSinceMs = nowMs
      this.#unknownMarks = 0
    }
    return this.#unknownMarks++ < limits.unknownMarksMax
  }

  #commit(lane: Lane, task: Task, row: RepoRow, verified: Verified): MaybePromise<void> {
    const verdict = commitAgainstHead(row.head, verified)
    if (verdict.outcome === 'discontinuous') {
      return this.#desynchronize(lane, task, row, verdict.reason, verdict.detail)
    }
    if (verdict.outcome !== 'continues') return this.#skip(task, 'stale')
    const { prevData } = verified
    const isFirst = prevData === null || cidEquals(prevData, EMPTY_TREE_CID)
    if (this.#options.backfillsSeen === 'yes' && !row.complete && !isFirst) {
      return this.#desynchronize(lane, task, row, 'backfill', 'first seen')
    }
    const { memory, wanted } = this.#options
    return this.#give(lane, task, 'verified', (how) => {
      if (!wanted.did(lane.did)) return undefined
      if (how === 'handled') {
        for (const { path, after } of verified.changes) {
          if (wanted.path(path)) memory.setRecord(lane.did, path, after?.slice() ?? null)
        }
      }
      // Not the verdict itself, which holds on to the frame.
      const { rev, commit, data } = verified
      const head = { rev, commit, data }
      return memory.update(lane.did, (now) => afterCommit(now, head, isFirst ? 'whole' : 'part'))
    })
  }

  #sync(lane: Lane, task: Task, row: RepoRow, verified: Verified): MaybePromise<void> {
    const verdict = syncAgainstHead(row.head, verified)
    if (verdict.outcome === 'stale') return this.#skip(task, 'stale')
    const { memory, backfillsSeen, wanted } = this.#options
    const { rev, commit, data } = verified
    const head = { rev, commit, data }
    const isEmpty = cidEquals(data, EMPTY_TREE_CID)
    const isSame =
      row.head !== null && row.head.data !== null && cidEquals(row.head.data, verified.data)
    const isNew = row.head === null && (isEmpty || backfillsSeen === 'no')
    return this.#give(lane, task, 'verified', () => {
      if (verdict.outcome === 'same' || !wanted.did(lane.did)) return undefined
      if (isSame || isNew) {
        return memory.update(lane.did, (now) => afterCommit(now, head, isEmpty ? 'whole' : 'part'))
      }
      return andThen(memory.get(lane.did), (now) =>
        this.#mark(lane, now, now.head === null ? 'backfill' : 'sync', `rev ${rev}`),
      )
    })
  }

  /** Marks the repository, and lets the event wait for its fetch. */
  #desynchronize(
    lane: Lane,
    task: Task,
    row: RepoRow,
    reason: MarkReason,
    detail: string,
  ): MaybePromise<void> {
    this.#mark(lane, row, reason, detail)
    return this.step(lane, task)
  }

  /** The repository is fetched as soon as there is room for it. */
  #mark(lane: Lane, row: RepoRow, reason: MarkReason, detail: string): void {
    const { memory, counts, clock, repairs, limits, onNotice } = this.#options
    count(counts.desynchronized, reason)
    onNotice({ kind: 'desynchronized', did: lane.did, reason, detail })
    const nowMs = clock.nowMs()
    if (row.quarantined > 0) {
      memory.put(parked(row, reason, detail, nowMs))
      return
    }
    memory.put(marked(row, reason, detail, nowMs))
    if (!repairs.request(lane)) return
    const hold = lane.holdBack()
    const timer = clock.after(limits.heldMs, hold.release)
    void hold.released.then(() => timer.cancel())
  }

  // ---- Accounts

  #identity(lane: Lane, task: Task): MaybePromise<void> {
    const { identities, memory, clock, repairs } = this.#options
    identities.purge(lane.did)
    return this.#give(lane, task, 'unverified', () => {
      if (!this.#tracks) return undefined
      return andThen(memory.get(lane.did), (row) => {
        const now = roused(row, clock.nowMs())
        if (now === row || row.quarantined > 0) return
        memory.put(now)
        repairs.request(lane)
      })
    })
  }

  #account(
    lane: Lane,
    task: Task,
    frame: Extract<MessageFrame, { readonly type: '#account' }>,
  ): MaybePromise<void> {
    const { memory, clock, repairs, deletion, kept } = this.#options
    const { active, status = null } = frame.body
    const isEnd = !active && isDeleted(status)
    const before =
      this.#tracks && isEnd && deletion === 'records' ? this.#deleteRecords(lane) : undefined
    return andThen(before, () =>
      this.#give(lane, task, 'unverified', () => {
        if (!this.#tracks) return undefined
        return andThen(memory.get(lane.did), (row) => {
          if (row.head === null && row.mark === null && active) return
          const now = afterAccount(row, { active, status }, clock.nowMs())
          if (isEnd) {
            lane.repair?.abort.abort()
            kept.count -= row.quarantined
            memory.forget(lane.did)
          }
          memory.put(now)
          if (now.mark !== null && now.mark !== row.mark) repairs.request(lane)
        })
      }),
    )
  }

  /** Delivers a delete of every record that was delivered. */
  async #deleteRecords(lane: Lane): Promise<void> {
    const { memory, saver, wanted, checkpointOf, deliver, store, limits } = this.#options
    const { head, quarantined } = await memory.get(lane.did)
    if (head === null || quarantined > 0) return
    await saver.flush()
    const did = lane.did as Did
    const repo = { did, rev: head.rev as Tid, commit: cidToString(head.commit) } as const
    const wantsPath = (path: string): boolean => wanted.path(path)
    for await (const part of deletesOf({ store, limits, wantsPath }, did)) {
      const delivery = partDelivery(repo, 'repair', part, checkpointOf)
      const outcome = await deliver(lane, delivery)
      if (outcome.kind !== 'finished') return
      for (const { path } of part) memory.setRecord(did, path, null)
    }
  }

  // ---- Delivery

  /** Delivers an event that is wanted, and remembers what follows from it. */
  #give(lane: Lane, task: Task, verdict: DeliveryVerdict, finish: Finish): MaybePromise<void> {
    const { wanted, checkpointOf, deliveredUpTo } = this.#options
    const { place } = task
    const isOld =
      place !== null && place.epoch === 0 && place.seq <= (deliveredUpTo.get(place.service) ?? 0)
    const delivery =
      isOld || !wanted.frame(task.frame)
        ? null
        : eventDelivery(task, {
            verdict,
            cause: 'live',
            wantsPath: (path) => wanted.path(path),
            checkpointOf,
          })
    if (delivery === null) {
      this.#options.counts.skipped[isOld ? 'finished' : 'filtered']++
      return this.#finish(task, finish, 'handled')
    }
    return andThen(this.#options.memory.get(lane.did), (row) => {
      if (row.quarantined > 0) {
        return this.#keep(task, row, verdict, null, finish)
      }
      return andThen(this.#options.deliver(lane, delivery), (outcome) => {
        if (outcome.kind === 'finished') return this.#finish(task, finish, 'handled')
        if (outcome.kind === 'stopped') return undefined
        return andThen(this.#options.memory.get(lane.did), (now) =>
          this.#keep(task, now, verdict, outcome, finish),
        )
      })
    })
  }

  #finish(task: Task, finish: Finish, how: 'handled'): MaybePromise<void> {
    return andThen(finish(how), () => this.#done(task))
  }

  #done(task: Task): void {
    if (task.place !== null) this.#options.progress.done(task.place)
    this.#options.saver.touch()
  }

  #skip(task: Task, why: keyof ConsumerCounts['skipped']): void {
    this.#options.counts.skipped[why]++
    this.#done(task)
  }

  /** Keeps an event that the handler would not have, or one that comes after such an event. */
  #keep(
    task: Task,
    row: RepoRow,
    verdict: DeliveryVerdict,
    failure: KeptEvent['failure'],
    finish: Finish,
  ): MaybePromise<void> {
    const done = (): void => this.#done(task)
    const { kept } = this.#options
    return kept.keep({ task, row, verdict, failure, done, finish: () => finish('quarantined') })
  }

  /** Forgets all of an account that is no longer wanted. */
  forget(did: string): MaybePromise<void> {
    const { memory, saver, kept } = this.#options
    return andThen(memory.get(did), ({ quarantined }) => {
      kept.count -= quarantined
      memory.forget(did)
      saver.touch()
    })
  }
}
