import { assert } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { crashPoint } from '../lib/crash-point.ts'
import { SkeinError } from '../lib/errors.ts'
import { hashDid } from './did-hash.ts'
import { PURGES_PENDING_MAX, settingsOf } from './log-limits.ts'
import type { LogOptions, LogSettings } from './log-limits.ts'
import type { IndexEntry, LogAppend, LogChunk, LogRecord, LogStats } from './log-types.ts'
import { LogWriter } from './log-writer.ts'
import { nodeStorage } from './node-storage.ts'
import { readPurges } from './purge-journal.ts'
import { PurgeSweeper } from './purge-sweeper.ts'
import { recoverLog } from './recovery.ts'
import type { RecoveredLog } from './recovery.ts'
import { SegmentReader } from './segment-reader.ts'
import { dropOldSegments } from './retention.ts'
import { LOG_FOLDER, SegmentList, asSkeinError, lastSeqOf } from './segment.ts'
import type { LogLock, LogStorage } from './storage.ts'
import { Tail } from './tail.ts'
import { Visibility } from './visibility.ts'

/** What `open` has gathered; the log owns all of it from then on. */
interface LogParts {
  readonly storage: LogStorage
  readonly folder: string
  readonly clock: Clock
  readonly settings: LogSettings
  readonly hashDid: (did: string) => bigint
  readonly onPurgeError: (error: SkeinError) => void
  readonly lock: LogLock
  readonly recovered: RecoveredLog
  readonly purges: ReadonlyMap<bigint, number>
}

/**
 * The durable, ordered log of verified events: one writer, many readers, in one process. Seqs rise
 * by one without gaps; an event is readable once it is durable and published. The owner appends,
 * publishes, and calls `retain` from time to time; the log has no timers.
 *
 * ```ts
 * const log = await EventLog.open('data', { clock: systemClock })
 * await log.append([{ seq: log.nextSeq, kind: 'commit', did, frame, timeMs, ...origin }])
 * log.publish(log.durableSeq)
 * const chunk = await log.read(0, 65_536)
 * await log.close()
 * ```
 */
export class EventLog implements AsyncDisposable {
  readonly #parts: LogParts
  readonly #segments: SegmentList
  readonly #tail: Tail
  readonly #visibility = new Visibility()
  readonly #reader: SegmentReader
  readonly #writer: LogWriter
  readonly #sweeper: PurgeSweeper
  readonly #listeners = new Set<() => void>()
  #publishedSeq: number
  #hidesOverflowed = 0
  #retaining: Promise<void> | null = null
  #closing: Promise<void> | null = null

  private constructor(parts: LogParts) {
    const { storage, folder, clock, settings, recovered } = parts
    this.#parts = parts
    const segments = new SegmentList(recovered.segments)
    const tail = new Tail(settings.tailBytesMax)
    const visibility = this.#visibility
    const reader = new SegmentReader(storage, folder, visibility)
    this.#segments = segments
    this.#tail = tail
    this.#reader = reader
    this.#writer = new LogWriter({
      storage,
      folder,
      clock,
      settings,
      hashDid: parts.hashDid,
      segments,
      tail,
      files: recovered.files,
    })
    this.#sweeper = new PurgeSweeper({
      storage,
      folder,
      segments,
      tail,
      visibility,
      reader,
      onError: parts.onPurgeError,
    })
    this.#publishedSeq = this.durableSeq
    for (const [didHash, beforeSeq] of parts.purges) {
      visibility.purge(didHash, Math.min(beforeSeq, this.nextSeq))
    }
    this.#sweeper.kick()
  }

  /**
   * Takes the data directory's writer lock (creating the directory), recovers the log in its folder
   * `log`, or begins one there, and publishes all that is durable. An unfinished batch at the end
   * is cut at its last whole event. Purges that were pending go on.
   *
   * Errors: DATA_DIRECTORY_LOCKED, DATA_DIRECTORY_UNUSABLE; LOG_DAMAGED for damage that is not an
   * unfinished batch; STORE_TOO_NEW; LOG_READ_FAILED, LOG_WRITE_FAILED when the storage fails. The
   * lock is free again after any of them.
   */
  static async open(directory: string, options: LogOptions): Promise<EventLog> {
    const settings = settingsOf(options)
    const storage = options.storage ?? nodeStorage
    const folder = `${directory}/${LOG_FOLDER}`
    const lock = await storage.lock(directory)
    try {
      await ensureFolder(storage, folder)
      const nowMs = options.clock.nowMs()
      const purges = await readPurges(storage, folder)
      const recovered = await recoverLog({ storage, folder, firstSeq: settings.firstSeq, nowMs })
      return new EventLog({
        storage,
        folder,
        clock: options.clock,
        settings,
        hashDid: options.hashDid ?? hashDid,
        onPurgeError: options.onPurgeError ?? (() => undefined),
        lock,
        recovered,
        purges,
      })
    } catch (error) {
      lock.release()
      throw asSkeinError(error, 'LOG_READ_FAILED', 'open log', { folder })
    }
  }

  /** Seq of the oldest event retained; `nextSeq` when there is none. */
  get firstSeq(): number {
    return this.#segments.oldest.firstSeq
  }

  /** Seq of the newest durable event; `firstSeq - 1` when there is none. */
  get durableSeq(): number {
    return lastSeqOf(this.#segments.newest)
  }

  /** Seq up to which readers see. */
  get publishedSeq(): number {
    return this.#publishedSeq
  }

  /** Seq that the next append must begin with. Does not move before an append is durable. */
  get nextSeq(): number {
    return this.durableSeq + 1
  }

  /**
   * Appends a batch: one write and one sync of each file, then resolves. Events are durable when it
   * resolves and not readable before `publish`. One append at a time; seqs continue `nextSeq`; the
   * fields are whole numbers that fit the index (all asserted). An empty batch does nothing.
   *
   * Errors: LOG_WRITE_FAILED, after which every append is refused with the same code until the log
   * is opened again; then the events of the failed batch are there only as far as they are whole.
   * STOPPED after `close`.
   */
  async append(batch: readonly LogAppend[]): Promise<void> {
    this.#assertOpen()
    await this.#writer.append(batch)
    // A purge may have been waiting for these events.
    if (this.#visibility.purgingCount > 0) this.#sweeper.kick()
  }

  /**
   * Lets readers see up to `seq`, which is durable and not below `publishedSeq`; calls listeners.
   */
  publish(seq: number): void {
    assert(seq <= this.durableSeq, () => `publish seq ${seq} above durable ${this.durableSeq}`)
    assert(seq >= this.#publishedSeq, () => `publish seq ${seq} below ${this.#publishedSeq}`)
    if (seq === this.#publishedSeq) return
    this.#publishedSeq = seq
    for (const listener of new Set(this.#listeners)) listener()
  }

  /** Calls `listener`, which must not throw, after each publish; returns what ends that. */
  onPublish(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Events after `afterSeq`, as many whole frames as fit in `bytesMax` and are at hand together, at
   * least one; null when nothing after `afterSeq` is published (also when `afterSeq` is in the
   * future). Synchronous for the in-memory tail, where all readers share the same buffers; else a
   * promise. A chunk may be empty (all its events are purged or hidden): go on after its `lastSeq`.
   *
   * When retention has passed the reader, the chunk begins at the oldest event left and its
   * `firstSeq` is above `afterSeq + 1`. Frames are not checked against their CRC (see
   * entriesAfter); index entries are. Errors, all by rejection: LOG_DAMAGED, LOG_READ_FAILED,
   * STOPPED.
   */
  read(afterSeq: number, bytesMax: number): LogChunk | Promise<LogChunk> | null {
    assert(Number.isSafeInteger(afterSeq) && afterSeq >= 0, 'afterSeq is a seq or 0')
    if (afterSeq >= this.#publishedSeq) return null
    const seq = Math.max(afterSeq + 1, this.firstSeq)
    if (seq > this.#publishedSeq) return null
    if (seq >= this.#tail.firstSeq) {
      return this.#tail.read(seq, this.#publishedSeq, bytesMax, this.#visibility)
    }
    return this.#readFile(seq, bytesMax)
  }

  /**
   * Every durable event after `afterSeq`, oldest first, published or not, hidden or not, up to what
   * is durable when a step is taken; frames are checked. A purged event comes with an empty frame.
   * For recovery of state and for tools. Errors: LOG_DAMAGED, LOG_READ_FAILED, STOPPED.
   */
  async *entriesAfter(afterSeq: number): AsyncGenerator<LogRecord, void, undefined> {
    let seq = Math.max(afterSeq + 1, this.firstSeq)
    while (seq <= this.durableSeq) {
      const segment = this.#segments.find(seq)
      const records =
        segment === null ? 'gone' : await this.#reader.records(segment, seq, lastSeqOf(segment))
      if (records === 'gone') {
        seq = Math.max(seq, this.firstSeq)
        continue
      }
      yield* records
      seq += records.length
    }
  }

  /**
   * Index entries from the newest durable one to the oldest retained. Ends early and quietly where
   * retention has passed. Errors: LOG_DAMAGED, LOG_READ_FAILED, STOPPED.
   */
  async *indexBackwards(): AsyncGenerator<IndexEntry, void, undefined> {
    for (const segment of [...this.#segments.all()].reverse()) {
      let place = segment.count - 1
      while (place >= 0) {
        const slice = await this.#reader.slice(segment, place)
        if (slice === 'gone') return
        const { table, first } = slice
        for (; place >= first; place--) {
          const purged = this.#visibility.isPurged(table, place - first)
          yield { ...table.get(place - first), purged }
        }
      }
    }
  }

  /**
   * Keeps readers from the `#commit` and `#sync` events of an inactive account below `beforeSeq`.
   * Not remembered across a restart: the owner says it again for every account that is not active.
   * Beyond `hiddenDidsMax` the oldest hide becomes a purge, which is counted. Errors: see purge.
   */
  hide(did: string, beforeSeq: number): void {
    assert(Number.isSafeInteger(beforeSeq) && beforeSeq >= 0, 'beforeSeq is a seq')
    if (beforeSeq <= this.firstSeq) return
    const didHash = this.#parts.hashDid(did)
    const visibility = this.#visibility
    const full = visibility.hiddenCount >= this.#parts.settings.hiddenDidsMax
    if (full && !visibility.isHiding(didHash)) {
      const oldest = visibility.takeOldestHide()
      if (oldest !== null) this.#purge(oldest.didHash, Math.min(oldest.beforeSeq, this.nextSeq))
      this.#hidesOverflowed++
    }
    visibility.hide(didHash, beforeSeq)
  }

  /** Ends a hide. Events that were purged stay so. */
  unhide(did: string): void {
    this.#visibility.unhide(this.#parts.hashDid(did))
  }

  /**
   * Removes every event of `did` below `beforeSeq` for good, other than `#account`: hidden at once,
   * then flagged and blanked on disk by a background sweep that serves many DIDs and is resumed
   * after a crash. `purgesSettled` tells when; before the sweep's first write a crash forgets the
   * purge, so an owner that keeps account states hides or purges again at boot. Errors:
   * LOG_WRITE_FAILED when a million purges are pending; `onPurgeError` when the sweep fails.
   */
  purge(did: string, beforeSeq: number): void {
    assert(Number.isSafeInteger(beforeSeq) && beforeSeq >= 0, 'beforeSeq is a seq')
    this.#purge(this.#parts.hashDid(did), beforeSeq)
  }

  /**
   * Resolves when no sweep is running: all purges that could be carried out have been, or failed.
   */
  purgesSettled(): Promise<void> {
    return this.#sweeper.settled()
  }

  /**
   * Drops whole segments, oldest first and never the newest: those whose last event is older than
   * `retainMs`, and as many as it takes to be within `retainBytes`. Also forgets hides that concern
   * nothing retained, and resumes purges that failed. To be called from time to time; a call during
   * another joins it. Errors: LOG_WRITE_FAILED, STOPPED.
   */
  async retain(): Promise<void> {
    this.#assertOpen()
    this.#retaining ??= this.#dropOld().finally(() => {
      this.#retaining = null
    })
    await this.#retaining
  }

  /** Waits for what is in progress, closes the files, gives the lock back. A second call joins. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The state in numbers. Walks the list of segments: for metrics, not for each event. */
  get stats(): LogStats {
    const { oldest, newest } = this.#segments
    const last = newest.lastTimeMs ?? this.#segments.find(newest.firstSeq - 1)?.lastTimeMs
    return {
      segments: this.#segments.size,
      bytes: this.#segments.bytes,
      firstSeq: this.firstSeq,
      durableSeq: this.durableSeq,
      publishedSeq: this.#publishedSeq,
      firstTimeMs: oldest.firstTimeMs,
      lastTimeMs: last ?? null,
      lastFlushMs: this.#writer.lastFlushMs,
      tailBytes: this.#tail.bytes,
      hiddenDids: this.#visibility.hiddenCount,
      hidesOverflowed: this.#hidesOverflowed,
      purgesPending: this.#visibility.purgingCount,
      openSegments: this.#reader.openSegments,
      failed: this.#writer.failed,
    }
  }

  async #readFile(seq: number, bytesMax: number): Promise<LogChunk> {
    for (;;) {
      const from = Math.max(seq, this.firstSeq)
      const segment = this.#segments.find(from)
      assert(segment !== null, 'a segment holds every published seq from firstSeq on')
      const range = { seq: from, lastSeq: this.#publishedSeq, bytesMax }
      const chunk = await this.#reader.chunk(segment, range)
      // Each turn means that one more segment has been dropped.
      if (chunk !== 'gone') return chunk
    }
  }

  #purge(didHash: bigint, beforeSeq: number): void {
    if (beforeSeq <= this.firstSeq) return
    if (this.#visibility.purgingCount >= PURGES_PENDING_MAX) {
      throw new SkeinError('LOG_WRITE_FAILED', 'purge from log: too many purges are pending', {
        pending: this.#visibility.purgingCount,
      })
    }
    this.#visibility.purge(didHash, beforeSeq)
    if (this.#closing === null) this.#sweeper.kick()
  }

  async #dropOld(): Promise<void> {
    const { storage, folder, clock, settings } = this.#parts
    const { retainMs, retainBytes } = settings
    const bounds = { oldestMs: clock.nowMs() - retainMs, bytesMax: retainBytes }
    await dropOldSegments(storage, folder, this.#segments, bounds, (segment) =>
      this.#reader.forget(segment),
    )
    this.#visibility.forgetBelow(this.firstSeq)
    this.#sweeper.kick()
  }

  async #close(): Promise<void> {
    this.#listeners.clear()
    await this.#sweeper.stop()
    await this.#retaining?.catch(() => undefined)
    crashPoint('log.closing')
    try {
      await this.#reader.close()
      await this.#writer.close()
    } finally {
      this.#parts.lock.release()
    }
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new SkeinError('STOPPED', 'use log: it has been closed')
  }
}

async function ensureFolder(storage: LogStorage, folder: string): Promise<void> {
  try {
    await storage.ensureDirectory(folder)
  } catch (error) {
    const fields = { directory: folder }
    throw new SkeinError(
      'DATA_DIRECTORY_UNUSABLE',
      'open log: its folder cannot be created',
      fields,
      error,
    )
  }
}
