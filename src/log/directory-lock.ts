import { constants } from 'node:fs'
import { access, mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { crashPoint } from '../lib/crash-point.ts'
import { SkeinError, codeOf, messageOf } from '../lib/errors.ts'
import type { LogLock } from './storage.ts'

const LOCK_NAME = 'lock'
const PID_NAME = 'lock.pid'

/**
 * The right to write in a data directory: one holder at a time, across processes and within one. It
 * is an exclusive SQLite transaction on an empty database named `lock`, so that the kernel takes it
 * back when the holder dies, however that happens; `lock.pid` names the holder for people.
 *
 * Nothing in this process may open or close the file `lock` by other means: closing any descriptor
 * of a file drops the process's POSIX locks on it. Not reliable on NFS.
 */
export class DirectoryLock implements LogLock {
  readonly #database: Database.Database

  private constructor(database: Database.Database) {
    this.#database = database
  }

  /**
   * Creates `directory` (and its parents) when needed and takes its lock, without waiting. Errors:
   * DATA_DIRECTORY_LOCKED when another holds it, DATA_DIRECTORY_UNUSABLE when it cannot be written.
   */
  static async acquire(directory: string): Promise<DirectoryLock> {
    const path = resolve(directory)
    try {
      await createDurably(path)
      // SQLite would lock a file on a read-only file system without complaint.
      await access(path, constants.W_OK | constants.X_OK)
    } catch (error) {
      throw unusable(path, error)
    }
    const database = await lockDatabase(path)
    crashPoint('lock.taken')
    try {
      await writeFile(join(path, PID_NAME), `${process.pid}\n`)
    } catch (error) {
      // A full disk must not keep the owner from opening the log and dropping old segments.
      if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT')
        return new DirectoryLock(database)
      database.close()
      throw unusable(path, error)
    }
    return new DirectoryLock(database)
  }

  /** Gives the lock back. Calling it again does nothing. */
  release(): void {
    this.#database.close()
  }
}

/** Creates a directory and its parents so that a power cut does not take them back. */
async function createDurably(path: string): Promise<void> {
  const topmost = await mkdir(path, { recursive: true })
  if (topmost === undefined) return
  for (let made = path; made.length >= topmost.length; made = dirname(made)) {
    const parent = await open(dirname(made), 'r')
    try {
      await parent.sync()
    } finally {
      await parent.close()
    }
  }
}

async function lockDatabase(path: string): Promise<Database.Database> {
  let database: Database.Database | null = null
  try {
    database = new Database(join(path, LOCK_NAME), { timeout: 0 })
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    if (codeOf(error) !== 'SQLITE_BUSY') throw unusable(path, error)
    const pid = await readPid(path)
    const fields = pid === null ? { directory: path } : { directory: path, pid }
    throw new SkeinError(
      'DATA_DIRECTORY_LOCKED',
      'open data directory: another process is using it',
      fields,
    )
  }
}

/** The holder's process id as it wrote it down; null when it could not. */
async function readPid(path: string): Promise<number | null> {
  try {
    const pid = Number.parseInt(await readFile(join(path, PID_NAME), 'utf8'), 10)
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null
  } catch {
    return null
  }
}

function unusable(path: string, cause: unknown): SkeinError {
  return new SkeinError(
    'DATA_DIRECTORY_UNUSABLE',
    `open data directory: it cannot be created or written (${messageOf(cause)})`,
    { directory: path },
    cause,
  )
}
