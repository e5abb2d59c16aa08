import type { Random } from '../../lib/random.ts'
import type { LogFile, LogLock, LogStorage } from '../storage.ts'

/** A disk writes whole sectors; within one, a write is there or not. */
const SECTOR_BYTES = 512

interface Write {
  readonly position: number
  /** Null for a truncation to `position`. */
  readonly bytes: Uint8Array | null
}

class Inode {
  content: Uint8Array = new Uint8Array(0)
  durable: Uint8Array = new Uint8Array(0)
  pending: Write[] = []

  apply(write: Write): void {
    this.content = applied(this.content, write)
    this.pending.push(write)
  }
}

function applied(content: Uint8Array, write: Write): Uint8Array {
  const { position, bytes } = write
  const length = bytes === null ? position : Math.max(content.length, position + bytes.length)
  const out = new Uint8Array(length)
  out.set(content.subarray(0, length))
  if (bytes !== null) out.set(bytes, position)
  return out
}

/** What a test may do at each step of the storage. Throwing makes the step fail. */
export type StorageHook = (
  step: 'open' | 'read' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncDirectory',
  path: string,
) => void

/**
 * A file system in memory that forgets like a real one: content that was not synced survives
 * {@link powerCut} by chance, sector by sector, and names survive as a prefix of their changes, as
 * a journalling file system keeps them. A failing write leaves half of its bytes behind; where it
 * changes what is there, whole sectors of them.
 */
export class MemoryStorage implements LogStorage {
  /** Called before each step. */
  hook: StorageHook = () => undefined
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #pendingNames: Map<string, Inode>[] = []
  #locked = false

  /** What is left after the power went: a new storage; this one is not to be used any more. */
  powerCut(random: Random): MemoryStorage {
    const after = new MemoryStorage()
    const kept = Math.floor(random.next() * (this.#pendingNames.length + 1))
    const names = kept === 0 ? this.#durableNames : this.#pendingNames[kept - 1]
    for (const [path, inode] of names ?? []) after.put(path, survivors(inode, random))
    return after
  }

  /** What is left after the process was killed: all that was written. */
  copy(): MemoryStorage {
    const after = new MemoryStorage()
    for (const [path, inode] of this.#names) after.put(path, inode.content.slice())
    return after
  }

  /** Sets a file durably. */
  put(path: string, content: Uint8Array): void {
    const inode = new Inode()
    inode.content = content
    inode.durable = content
    this.#names.set(path, inode)
    this.#durableNames = new Map(this.#names)
  }

  get(path: string): Uint8Array | null {
    return this.#names.get(path)?.content ?? null
  }

  delete(path: string): void {
    this.#names.delete(path)
    this.#durableNames.delete(path)
  }

  paths(): string[] {
    return [...this.#names.keys()].sort()
  }

  lock(): Promise<LogLock> {
    if (this.#locked) throw new Error('the test opened one storage twice')
    this.#locked = true
    return Promise.resolve({ release: () => (this.#locked = false) })
  }

  async ensureDirectory(): Promise<void> {
    // Folders are only prefixes of paths here.
  }

  async list(path: string): Promise<string[]> {
    const prefix = `${path}/`
    return this.paths()
      .filter((each) => each.startsWith(prefix))
      .map((each) => each.slice(prefix.length))
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<LogFile> {
    this.hook('open', path)
    if (mode === 'create') this.#change((names) => names.set(path, new Inode()))
    const inode = this.#names.get(path)
    if (inode === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
    return new MemoryFile(inode, path, (step) => this.hook(step, path))
  }

  async rename(from: string, to: string): Promise<void> {
    this.hook('rename', from)
    const inode = this.#names.get(from)
    if (inode === undefined) throw Object.assign(new Error(`no ${from}`), { code: 'ENOENT' })
    this.#change((names) => {
      names.delete(from)
      names.set(to, inode)
    })
  }

  async remove(path: string): Promise<void> {
    this.hook('remove', path)
    if (this.#names.has(path)) this.#change((names) => names.delete(path))
  }

  async syncDirectory(path: string): Promise<void> {
    this.hook('syncDirectory', path)
    this.#durableNames = new Map(this.#names)
    this.#pendingNames = []
  }

  #change(edit: (names: Map<string, Inode>) => void): void {
    this.#names = new Map(this.#names)
    edit(this.#names)
    this.#pendingNames.push(this.#names)
  }
}

/** The content of a file after a power cut: each sector written since the sync is there or not. */
function survivors(inode: Inode, random: Random): Uint8Array {
  let content = inode.durable
  for (const { position, bytes } of inode.pending) {
    if (bytes === null) {
      if (random.next() < 0.5) content = applied(content, { position, bytes })
      continue
    }
    const luck = random.next()
    for (let at = 0; at < bytes.length;) {
      const sector = SECTOR_BYTES - ((position + at) % SECTOR_BYTES)
      const part = bytes.subarray(at, at + sector)
      if (random.next() < luck) content = applied(content, { position: position + at, bytes: part })
      at += part.length
    }
  }
  return content.slice()
}

class MemoryFile implements LogFile {
  readonly #inode: Inode
  readonly #path: string
  readonly #step: (step: Parameters<StorageHook>[0]) => void
  #open = true

  constructor(inode: Inode, path: string, step: (step: Parameters<StorageHook>[0]) => void) {
    this.#inode = inode
    this.#path = path
    this.#step = step
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    this.#begin('read')
    const part = this.#inode.content.subarray(position, position + target.length)
    target.set(part)
    return part.length
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const copy = bytes.slice()
    try {
      this.#begin('write')
    } catch (error) {
      const isChange = position + copy.length <= this.#inode.content.length
      const half = position + (copy.length >>> 1)
      const end = isChange ? half - (half % SECTOR_BYTES) : half
      this.#inode.apply({ position, bytes: copy.subarray(0, Math.max(0, end - position)) })
      throw error
    }
    this.#inode.apply({ position, bytes: copy })
  }

  async truncate(length: number): Promise<void> {
    this.#begin('truncate')
    this.#inode.apply({ position: length, bytes: null })
  }

  async sync(): Promise<void> {
    this.#begin('sync')
    this.#inode.durable = this.#inode.content
    this.#inode.pending = []
  }

  async size(): Promise<number> {
    return this.#inode.content.length
  }

  async close(): Promise<void> {
    if (!this.#open) throw new Error(`${this.#path} closed twice`)
    this.#open = false
  }

  #begin(step: Parameters<StorageHook>[0]): void {
    if (!this.#open) throw new Error(`${this.#path} used after close`)
    this.#step(step)
  }
}
