/** Directories for what is not to be kept. */
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Directories that are there; those that still are when the process exits go with it. */
const present = new Set<string>()

function removeAll(): void {
  for (const path of present) {
    try {
      // A child process that was killed just now may still be writing.
      rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
    } catch {
      // Where open files cannot be removed it stays: there is nobody left to tell.
    }
  }
}

/**
 * An empty directory under the system's temporary one, readable by its owner alone. Disposing of it
 * removes it with everything in it; that may be repeated. One that was not disposed of goes when
 * the process exits, an uncaught error included; a process that a signal ends leaves it behind.
 *
 * @example
 * await using directory = await TemporaryDirectory.create('skein-relay-')
 */
export class TemporaryDirectory implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** @param prefix How its name begins, so that what was left behind can be told apart. */
  static async create(prefix: string): Promise<TemporaryDirectory> {
    const path = await mkdtemp(join(tmpdir(), prefix))
    if (present.size === 0) process.once('exit', removeAll)
    present.add(path)
    return new TemporaryDirectory(path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
    present.delete(this.path)
    if (present.size === 0) process.removeListener('exit', removeAll)
  }
}
