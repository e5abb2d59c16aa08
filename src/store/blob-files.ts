/**
 * Bytes of blobs as files named for their CIDs, in 256 folders by the last two characters of the
 * name: `blobs/xy/bafk...xy`. A file that is there under its name is whole and durable.
 */
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { open, opendir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { CODEC_RAW, CID_BYTES, cidFromString, cidToString } from '../data/cid.ts'
import { codeOf, messageOf, SkeinError } from '../lib/errors.ts'

/** What is read at once, bytes. */
const READ_BYTES = 65_536
const TEMPORARY = 'incoming'
/** Folders are named for the last characters of the files in them. */
const FOLDER_NAME_LENGTH = 2

/** A file that has been received and has no name yet. */
export interface ReceivedBlob {
  readonly cid: Uint8Array
  /** Bytes. */
  readonly size: number
  /** Gives the file its name, durably. Synchronous, so that a row can be added in the same turn. */
  keep(): void
  /** Removes the file instead. Does nothing after `keep`. */
  drop(): void
}

/** A folder of blobs. Owns everything in it; one owner at a time. */
export class BlobFiles {
  readonly #folder: string
  readonly #reserveBytes: number
  #received = 0

  /**
   * @param reserveBytes What has to stay free on the disk for others: no blob is kept beyond.
   * @throws SkeinError STORE_FAILED when the folder cannot be made.
   */
  constructor(folder: string, reserveBytes: number) {
    this.#folder = folder
    this.#reserveBytes = reserveBytes
    try {
      mkdirSync(join(folder, TEMPORARY), { recursive: true, mode: 0o700 })
      for (const name of readdirSync(join(folder, TEMPORARY))) {
        rmSync(join(folder, TEMPORARY, name), { force: true })
      }
    } catch (cause) {
      throw failed('open blobs', cause)
    }
  }

  #path(cid: Uint8Array): { readonly folder: string; readonly file: string } {
    const name = cidToString(cid)
    const folder = join(this.#folder, name.slice(-FOLDER_NAME_LENGTH))
    return { folder, file: join(folder, name) }
  }

  /**
   * Receives the bytes of a blob, hashing them on the way, and makes them durable under no name.
   *
   * @returns `too-large` when there are more than `bytesMax`, `disk-full` when the disk has no room
   *   besides its reserve; nothing is left then, nor when `source` throws, whose error comes
   *   through.
   * @throws SkeinError STORE_FAILED
   */
  async receive(
    source: AsyncIterable<Uint8Array>,
    bytesMax: number,
  ): Promise<ReceivedBlob | 'too-large' | 'disk-full'> {
    if (!(await this.#hasRoom())) return 'disk-full'
    const path = join(this.#folder, TEMPORARY, String(++this.#received))
    let done = false
    const drop = (): void => {
      if (!done) rmSync(path, { force: true })
      done = true
    }
    const file = await open(path, 'wx', 0o600).catch((cause: unknown) => {
      throw failed('receive blob', cause)
    })
    const hash = createHash('sha256')
    let size = 0
    try {
      for await (const chunk of source) {
        size += chunk.length
        if (size > bytesMax) {
          drop()
          return 'too-large'
        }
        hash.update(chunk)
        await file.writeFile(chunk).catch((cause: unknown) => {
          throw failed('receive blob', cause)
        })
      }
      await file.datasync()
      if (!(await this.#hasRoom())) {
        drop()
        return 'disk-full'
      }
    } catch (error) {
      drop()
      throw error
    } finally {
      await file.close()
    }
    const cid = new Uint8Array(CID_BYTES)
    cid.set([1, CODEC_RAW, 0x12, 0x20])
    cid.set(hash.digest(), 4)
    const keep = (): void => {
      this.#keep(path, cid)
      done = true
    }
    return { cid, size, keep, drop }
  }

  /** What others have taken meanwhile counts too. */
  async #hasRoom(): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#folder).catch((cause: unknown) => {
      throw failed('look for room', cause)
    })
    return bavail * bsize >= this.#reserveBytes
  }

  #keep(path: string, cid: Uint8Array): void {
    const { folder, file } = this.#path(cid)
    try {
      if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) sync(this.#folder)
      renameSync(path, file)
      sync(folder)
    } catch (cause) {
      throw failed('keep blob', cause)
    }
  }

  /**
   * The bytes from `start` up to and without `end`. The file is opened when the first piece is
   * asked for, and closed when the loop ends or is left.
   *
   * @throws SkeinError STORE_FAILED when the file is not there or shorter.
   */
  async *read(cid: Uint8Array, start: number, end: number): AsyncGenerator<Uint8Array> {
    const file = await open(this.#path(cid).file, 'r').catch((cause: unknown) => {
      throw failed('read blob', cause)
    })
    try {
      for (let position = start; position < end;) {
        const piece = new Uint8Array(Math.min(READ_BYTES, end - position))
        const { bytesRead } = await file.read(piece, 0, piece.length, position)
        if (bytesRead === 0) throw failed('read blob', new Error('the file is too short'))
        position += bytesRead
        yield piece.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  /**
   * The CIDs of all blobs that are there, in no order, in pieces of at most `count`: a folder is
   * read as far as it is asked for. What is received and has no name yet is not among them, nor is
   * any file that is none of ours. What comes or goes meanwhile may be among them or not.
   *
   * @throws SkeinError STORE_FAILED
   */
  async *list(count: number): AsyncGenerator<readonly Uint8Array[]> {
    try {
      for (const folder of readdirSync(this.#folder)) {
        if (folder.length !== FOLDER_NAME_LENGTH) continue
        let found: Uint8Array[] = []
        for await (const { name } of await opendir(join(this.#folder, folder))) {
          const cid = name.endsWith(folder) ? cidFromString(name) : null
          if (cid !== null) found.push(cid)
          if (found.length < count) continue
          yield found
          found = []
        }
        if (found.length > 0) yield found
      }
    } catch (cause) {
      throw failed('list blobs', cause)
    }
  }

  /** Removes the bytes of a blob, if they are there. Synchronous: see {@link ReceivedBlob.keep}. */
  remove(cid: Uint8Array): void {
    try {
      rmSync(this.#path(cid).file, { force: true })
    } catch (cause) {
      throw failed('remove blob', cause)
    }
  }
}

function sync(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function failed(action: string, cause: unknown): SkeinError {
  if (cause instanceof SkeinError) return cause
  const fields = { code: codeOf(cause) }
  return new SkeinError('STORE_FAILED', `${action}: ${messageOf(cause)}`, fields, cause)
}
