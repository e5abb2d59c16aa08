/** Files that commands write: whole or not at all, with errors that say what to do. */

import { constants, createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, stat } from 'node:fs/promises'

import { codeOf, messageOf, SkeinError } from '../../lib/errors.ts'

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'the quota of the disk is used up',
  EEXIST: 'something else of this name is there',
  EISDIR: 'it is a folder',
  ELOOP: 'it is a symbolic link',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or folder',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is no folder',
  EPERM: 'not permitted',
  EROFS: 'the disk is read-only',
}

/**
 * Flags of a file that is written anew. A link of its name is not followed, where the system can
 * tell: what it leads to is no file of ours. (Folders may be links.)
 */
export const WRITE_FLAGS: number =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_TRUNC |
  // Windows has none.
  ((constants as { readonly O_NOFOLLOW?: number }).O_NOFOLLOW ?? 0)

/** The error for what a call of node:fs rejected with. Errors of Skein are given back. */
export function fileError(action: string, path: string, cause: unknown): SkeinError {
  if (cause instanceof SkeinError) return cause
  const code = codeOf(cause) ?? 'unknown'
  const why = ADVICE[code] ?? messageOf(cause)
  return new SkeinError('FILE_FAILED', `${action} ${path}: ${why}`, { code }, cause)
}

/** Makes a folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    throw fileError('make folder', path, error)
  }
}

/** Bytes of a file, or null when there is none. */
export async function fileSize(path: string): Promise<number | null> {
  try {
    const info = await stat(path)
    return info.isFile() ? info.size : null
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw fileError('look at', path, error)
  }
}

/** The pieces of a file. */
export async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 256 * 1_024 })) {
      yield piece as Uint8Array
    }
  } catch (error) {
    throw fileError('read', path, error)
  }
}

/** Where the pieces of a file stand until it is whole. */
export function partPathOf(path: string): string {
  return `${path}.part`
}

/**
 * A file that is being written beside its place, as `<path>.part`, and moved there by `commit`.
 * One that is closed without stays as it is, and the next one of its name begins anew.
 */
export class PartFile implements AsyncDisposable {
  readonly path: string
  readonly #file: FileHandle
  #isOpen = true
  #bytes = 0

  private constructor(path: string, file: FileHandle) {
    this.path = path
    this.#file = file
  }

  static async create(path: string): Promise<PartFile> {
    try {
      return new PartFile(path, await open(partPathOf(path), WRITE_FLAGS))
    } catch (error) {
      throw fileError('write', partPathOf(path), error)
    }
  }

  get bytes(): number {
    return this.#bytes
  }

  async write(piece: Uint8Array | string): Promise<void> {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
    try {
      // Short writes happen when the disk is nearly full.
      for (let at = 0; at < bytes.length;) {
        at += (await this.#file.write(bytes, at)).bytesWritten
      }
    } catch (error) {
      throw fileError('write', partPathOf(this.path), error)
    }
    this.#bytes += bytes.length
  }

  /** Makes the bytes durable and moves the file to its place. */
  async commit(): Promise<void> {
    try {
      await this.#file.sync()
      await this.#close()
      await rename(partPathOf(this.path), this.path)
    } catch (error) {
      throw fileError('write', this.path, error)
    }
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#file.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}

/** Writes a small file, whole or not at all. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  await using file = await PartFile.create(path)
  await file.write(content)
  await file.commit()
}
