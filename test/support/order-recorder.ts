/**
 * Watches in which order a relay writes, syncs, saves and publishes, which no kill can show: what a
 * killed process wrote is there whether or not it was synced. It reads index entries by itself, so
 * that it does not take the log's word for what is durable.
 *
 * The rules: frames and entries of a batch are synced before state says that it has taken them in;
 * state is committed before the batch is published; a segment appears when its files are durable;
 * frames are blanked when their flags are; a journal is renewed whole; what a crash has left is
 * synced before it is read.
 */
import { nodeStorage } from '../../src/log/node-storage.ts'
import type { LogFile, LogStorage } from '../../src/log/storage.ts'
import type { RelayStorage } from '../../src/server/start-relay.ts'

/** An index file: a header, then entries, of this many bytes each. */
const ENTRY_BYTES = 64
/** Violations that are kept: more say nothing new. */
const KEPT_MAX = 20

/** A file as it is on the disk, under whatever name and however often it is open. */
interface DiskFile {
  /** Its name now: one that is open may be renamed. */
  path: string
  /** Writes that have ended, and how many of them the newest finished sync has covered. */
  writes: number
  synced: number
  /** The newest of the writes that changed what was durable. */
  changed: number
  /** Furthest byte written, and furthest that a sync has covered. */
  writtenEnd: number
  syncedEnd: number
  /** Whether its name was given since the last sync of the folder. */
  isNewName: boolean
  /** Opened to be written, and how often it has been synced since. */
  opened: 'create' | 'write' | 'read'
  syncs: number
}

/** Where the frame of a seq ends, and where its entry does. */
interface Place {
  readonly frames: DiskFile
  readonly framesEnd: number
  readonly index: DiskFile
  readonly indexEnd: number
}

/** One recorder watches one relay from its start on. */
export class OrderRecorder {
  /** What the relay is to keep its log on. */
  readonly storage: LogStorage
  /** What was not in order; empty when everything was. */
  readonly violations: string[] = []
  readonly #disk: LogStorage
  readonly #files = new Map<string, DiskFile>()
  readonly #places = new Map<number, Place>()
  #durableSeq = 0
  #stateSeq = 0
  #published = 0
  #saves = 0
  #onViolation: (text: string) => void = () => undefined

  constructor(disk: LogStorage = nodeStorage) {
    this.#disk = disk
    this.storage = {
      lock: (directory) => disk.lock(directory),
      ensureDirectory: (path) => disk.ensureDirectory(path),
      list: (path) => disk.list(path),
      open: (path, mode) => this.#open(path, mode),
      rename: (from, to) => this.#rename(from, to),
      remove: (path) => this.#remove(path),
      syncDirectory: (path) => this.#syncDirectory(path),
    }
  }

  /** Calls `listener`, in place of any before, when something is not in order. */
  onViolation(listener: (text: string) => void): void {
    this.#onViolation = listener
  }

  /** Publications and commits of state that have been looked at: none proves nothing. */
  get looked(): { readonly published: number; readonly saves: number } {
    return { published: this.#published, saves: this.#saves }
  }

  /** Watches a relay that has opened its log on `storage`; goes to `onOpen` of startRelay. */
  watch({ log, store }: Pick<RelayStorage, 'log' | 'store'>): void {
    for (const [path, { opened, syncs }] of this.#files) {
      const isNewest = opened === 'write' && /\.(?:frames|index)$/u.test(path)
      this.#expect(!isNewest || syncs > 0, `${path} was opened after a crash and not synced`)
    }
    this.#places.clear()
    this.#durableSeq = log.durableSeq
    this.#stateSeq = store.appliedSeq()
    const apply = store.apply.bind(store)
    store.apply = (change) => {
      this.#saves++
      this.#settle()
      const { appliedSeq } = change
      this.#expect(
        appliedSeq <= this.#durableSeq,
        `state takes seq ${appliedSeq} in, and only ${this.#durableSeq} is durable`,
      )
      apply(change)
      this.#stateSeq = Math.max(this.#stateSeq, appliedSeq)
    }
    const publish = log.publish.bind(log)
    log.publish = (seq) => {
      this.#published++
      this.#settle()
      this.#expect(seq <= this.#durableSeq, `seq ${seq} is published and not durable`)
      this.#expect(seq <= this.#stateSeq, `seq ${seq} is published, and state has not heard of it`)
      publish(seq)
    }
  }

  #expect(holds: boolean, otherwise: string): void {
    if (holds || this.violations.length >= KEPT_MAX) return
    this.violations.push(otherwise)
    this.#onViolation(otherwise)
  }

  /** Moves on over the seqs whose frame and entry are durable. */
  #settle(): void {
    for (;;) {
      const place = this.#places.get(this.#durableSeq + 1)
      if (place === undefined) return
      const { frames, framesEnd, index, indexEnd } = place
      if (frames.syncedEnd < framesEnd || index.syncedEnd < indexEnd) return
      this.#places.delete(++this.#durableSeq)
    }
  }

  #file(path: string, opened: DiskFile['opened']): DiskFile {
    const known = this.#files.get(path)
    if (known !== undefined && opened !== 'create') return known
    const file: DiskFile = {
      path,
      writes: 0,
      synced: 0,
      changed: 0,
      writtenEnd: 0,
      syncedEnd: 0,
      isNewName: opened === 'create',
      opened,
      syncs: 0,
    }
    this.#files.set(path, file)
    return file
  }

  async #open(path: string, mode: 'create' | 'write' | 'read'): Promise<LogFile> {
    const handle = await this.#disk.open(path, mode)
    const isKnown = this.#files.has(path)
    const file = this.#file(path, mode)
    // What was there before this life counts as written, and as durable once it has been synced.
    if (!isKnown && mode !== 'create') file.writtenEnd = await handle.size()
    return {
      read: (target, position) => handle.read(target, position),
      write: async (bytes, position) => {
        this.#beforeWrite(file, position)
        await handle.write(bytes, position)
        file.writes++
        if (position < file.syncedEnd) file.changed = file.writes
        file.writtenEnd = Math.max(file.writtenEnd, position + bytes.length)
        if (file.path.endsWith('.index')) this.#readEntries(file, bytes, position)
      },
      truncate: async (length) => {
        await handle.truncate(length)
        file.writes++
        file.writtenEnd = Math.min(file.writtenEnd, length)
        file.syncedEnd = Math.min(file.syncedEnd, length)
      },
      sync: async () => {
        // What is written while the sync is under way need not be covered by it.
        const { writes, writtenEnd } = file
        await handle.sync()
        file.syncs++
        file.synced = Math.max(file.synced, writes)
        file.syncedEnd = Math.max(file.syncedEnd, Math.min(writtenEnd, file.writtenEnd))
      },
      size: () => handle.size(),
      close: () => handle.close(),
    }
  }

  /** Blanks what was durable: the flags that say so have to be durable too. */
  #beforeWrite(file: DiskFile, position: number): void {
    const { path } = file
    if (!path.endsWith('.frames') || position >= file.syncedEnd) return
    const index = this.#files.get(path.replace(/frames$/u, 'index'))
    const isFlagged = index !== undefined && index.synced >= index.changed
    this.#expect(isFlagged, `${path} is blanked before its flags are durable`)
  }

  #readEntries(index: DiskFile, bytes: Uint8Array, position: number): void {
    const frames = this.#files.get(index.path.replace(/index$/u, 'frames'))
    if (frames === undefined || position < ENTRY_BYTES) return
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      const seq = Number(view.getBigUint64(at, true))
      const framesEnd = Number(view.getBigUint64(at + 8, true)) + view.getUint32(at + 16, true)
      if (seq <= this.#durableSeq || this.#places.has(seq)) continue
      this.#places.set(seq, { frames, framesEnd, index, indexEnd: position + at + ENTRY_BYTES })
    }
  }

  async #rename(from: string, to: string): Promise<void> {
    const file = this.#files.get(from)
    if (file !== undefined && from.endsWith('.new')) {
      this.#expect(file.synced === file.writes, `${to} appears before its content is durable`)
      const frames = this.#files.get(to.replace(/index$/u, 'frames'))
      const isNamed = !to.endsWith('.index') || (frames !== undefined && !frames.isNewName)
      this.#expect(isNamed, `${to} appears before its frames have a durable name`)
    }
    await this.#disk.rename(from, to)
    if (file === undefined) return
    file.path = to
    file.isNewName = true
    this.#files.delete(from)
    this.#files.set(to, file)
  }

  async #remove(path: string): Promise<void> {
    const dropped = this.#files.get(path.replace(/frames$/u, 'index.dropped'))
    if (path.endsWith('.frames') && dropped !== undefined) {
      this.#expect(!dropped.isNewName, `${path} goes before its segment is durably gone`)
    }
    await this.#disk.remove(path)
    this.#files.delete(path)
  }

  async #syncDirectory(path: string): Promise<void> {
    const named = [...this.#files.values()].filter(({ isNewName }) => isNewName)
    await this.#disk.syncDirectory(path)
    for (const file of named) file.isNewName = false
  }
}
