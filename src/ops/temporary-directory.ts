/** Directories for what is not to be kept. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * An empty directory under the system's temporary one, readable by its owner alone. Disposing of it
 * removes it with everything in it; that may be repeated. A process that dies leaves it behind.
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
    return new TemporaryDirectory(await mkdtemp(join(tmpdir(), prefix)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}
