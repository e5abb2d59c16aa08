import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '../lib/errors.ts'
import { DirectoryLock } from './directory-lock.ts'
import type { LogFile, LogStorage } from './storage.ts'

const FLAGS = { create: 'w+', write: 'r+', read: 'r' } as const

/** The file system of the machine. Needs one that honours fdatasync and POSIX locks: not NFS. */
export const nodeStorage: LogStorage = {
  lock: (directory) => DirectoryLock.acquire(directory),
  async ensureDirectory(path) {
    try {
      await mkdir(path)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return
      throw error
    }
    await syncDirectory(dirname(path))
  },
  list: (path) => readdir(path),
  open: async (path, mode) => new NodeFile(await open(path, FLAGS[mode], 0o644)),
  rename,
  remove: (path) => rm(path, { force: true }),
  syncDirectory,
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

class NodeFile implements LogFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0
    while (done < target.length) {
      const rest = target.length - done
      const { bytesRead } = await this.#handle.read(target, done, rest, position + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const rest = bytes.length - done
      const { bytesWritten } = await this.#handle.write(bytes, done, rest, position + done)
      done += bytesWritten
    }
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length)
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
