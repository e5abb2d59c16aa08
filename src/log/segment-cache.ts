import { must } from '../lib/assert.ts'
import { SkeinError } from '../lib/errors.ts'
import { FILE_READS_MAX, OPEN_SEGMENTS_MAX } from './log-limits.ts'
import { closeQuietly, openSegment } from './segment.ts'
import type { Segment, SegmentFiles } from './segment.ts'
import type { LogStorage } from './storage.ts'

interface Slot {
  readonly files: Promise<SegmentFiles>
  users: number
  /** To be closed when the last user leaves. */
  forgotten: boolean
}

/**
 * Segments open for reading: at most OPEN_SEGMENTS_MAX, the least recently used closed first, with
 * at most FILE_READS_MAX uses at a time and the rest waiting in order of arrival (one at most per
 * reader). A segment's files stay open while they are in use, also when it has been dropped.
 */
export class SegmentCache {
  readonly #storage: LogStorage
  readonly #folder: string
  /** In order of last use, oldest first. */
  readonly #slots = new Map<number, Slot>()
  readonly #waiting: (() => void)[] = []
  #permits = FILE_READS_MAX
  #closed = false

  constructor(storage: LogStorage, folder: string) {
    this.#storage = storage
    this.#folder = folder
  }

  /** Segments open now. */
  get size(): number {
    return this.#slots.size
  }

  /**
   * Runs `work` with the segment's files. Errors: STOPPED after close, else what opening throws.
   */
  async use<T>(segment: Segment, work: (files: SegmentFiles) => Promise<T>): Promise<T> {
    await this.#enter()
    try {
      if (this.#closed) throw new SkeinError('STOPPED', 'read log: it has been closed')
      return await this.#useSlot(segment.number, work)
    } finally {
      this.#leave()
    }
  }

  /** Closes a dropped segment as soon as nobody reads it. */
  forget(segment: Segment): void {
    const slot = this.#slots.get(segment.number)
    if (slot !== undefined) this.#evict(segment.number, slot)
  }

  /** Lets the reads in progress end, refuses those in line, closes everything. */
  async close(): Promise<void> {
    this.#closed = true
    for (let taken = 0; taken < FILE_READS_MAX; taken++) await this.#enter()
    const slots = [...this.#slots.values()]
    this.#slots.clear()
    await Promise.all(slots.map(closeSlot))
    for (let taken = 0; taken < FILE_READS_MAX; taken++) this.#leave()
  }

  async #useSlot<T>(number: number, work: (files: SegmentFiles) => Promise<T>): Promise<T> {
    const slot = this.#slots.get(number) ?? this.#openSlot(number)
    this.#slots.delete(number)
    this.#slots.set(number, slot)
    slot.users++
    try {
      return await work(await slot.files)
    } finally {
      slot.users--
      if (slot.users === 0 && slot.forgotten) await closeSlot(slot)
      this.#trim()
    }
  }

  #openSlot(number: number): Slot {
    const files = openSegment(this.#storage, this.#folder, number, 'read')
    const slot: Slot = { files, users: 0, forgotten: false }
    files.catch(() => {
      if (this.#slots.get(number) === slot) this.#slots.delete(number)
    })
    return slot
  }

  #trim(): void {
    for (const [number, slot] of this.#slots) {
      if (this.#slots.size <= OPEN_SEGMENTS_MAX) return
      if (slot.users === 0) this.#evict(number, slot)
    }
  }

  #evict(number: number, slot: Slot): void {
    this.#slots.delete(number)
    slot.forgotten = true
    if (slot.users === 0) void closeSlot(slot)
  }

  #enter(): Promise<void> | undefined {
    if (this.#permits > 0) {
      this.#permits--
      return undefined
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Hands the permit to the first in line. */
  #leave(): void {
    if (this.#waiting.length > 0) must(this.#waiting.shift(), 'first in line')()
    else this.#permits++
  }
}

async function closeSlot(slot: Slot): Promise<void> {
  const files = await slot.files.catch(() => null)
  if (files !== null) await closeQuietly(files.frames, files.index)
}
