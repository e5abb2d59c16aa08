/**
 * A folder of blobs, each a file named by its CID: what is missing is fetched, several at once, and
 * what fails is written down and stops nothing else.
 */

import { unlink } from 'node:fs/promises'
import { join } from 'node:path'

import { type CallErrorCode, CallError, isCallError } from '../../client/calls/call-error.ts'
import type { SyncClient } from '../../client/calls/sync-client.ts'
import { codeOf, messageOf } from '../../lib/errors.ts'
import { fileError, fileSize, makeFolder, PartFile, partPathOf } from '../shared/files.ts'
import { jsonText } from '../shared/output.ts'

/** Name of the file in which failures stand, one JSON object a line. */
export const ERROR_LEDGER = 'errors.ndjson'

/** A blob that could not be fetched. */
export interface BlobFailure {
  readonly cid: string
  readonly code: CallErrorCode
  /** Whether trying again may help. */
  readonly retryable: boolean
  readonly message: string
}

export interface BlobCounts {
  /** CIDs that the service lists. */
  listed: number
  /** Were there before. */
  present: number
  fetched: number
  failed: number
  /** Bytes that came. */
  bytes: number
}

export interface BlobFolderOptions {
  readonly client: SyncClient
  readonly did: string
  readonly folder: string
  /** Only blobs that came after this rev. */
  readonly since?: string
  /** Blobs that are fetched at once. */
  readonly parallel: number
  readonly signal: AbortSignal
  /** After every blob, and every piece of one. */
  readonly onProgress: (counts: BlobCounts) => void
  readonly onFailure: (failure: BlobFailure) => void
}

/**
 * Fetches what the folder does not have. A file of a CID's name has been hashed before it got that
 * name, so that it is believed to be that blob.
 *
 * Rejects for what concerns all blobs: the listing fails, the disk is full, the signal aborts. The
 * ledger holds the failures of this run; without any there is none.
 */
export async function syncBlobs(options: BlobFolderOptions): Promise<BlobCounts> {
  const { client, did, folder, since, parallel } = options
  await makeFolder(folder)
  const counts: BlobCounts = { listed: 0, present: 0, fetched: 0, failed: 0, bytes: 0 }
  const ledgerPath = join(folder, ERROR_LEDGER)
  await using ledger = new Ledger(ledgerPath)
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  const listing = client.listBlobs(since === undefined ? { did } : { did, since })
  try {
    for await (const cid of listing) {
      if (failures.length > 0) break
      counts.listed++
      const job = fetchOne(options, cid, counts, ledger)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(job))
      running.add(job)
      if (running.size >= parallel) await Promise.race(running)
    }
  } finally {
    await Promise.all(running)
  }
  if (failures.length > 0) throw failures[0]
  await ledger.commit()
  return counts
}

async function fetchOne(
  options: BlobFolderOptions,
  cid: string,
  counts: BlobCounts,
  ledger: Ledger,
): Promise<void> {
  const { client, did, folder, onProgress, onFailure } = options
  const path = join(folder, cid)
  if ((await fileSize(path)) !== null) {
    counts.present++
    onProgress(counts)
    return
  }
  try {
    const stream = await client.getBlob({ did, cid })
    try {
      await using part = await PartFile.create(path)
      for await (const piece of stream) {
        await part.write(piece)
        counts.bytes += piece.length
        onProgress(counts)
      }
      await part.commit()
    } finally {
      stream.cancel()
    }
    counts.fetched++
  } catch (error) {
    await removePart(path)
    // What the disk says, or Ctrl-C, is not about this blob.
    if (!(error instanceof CallError) || isCallError(error, 'Aborted')) throw error
    counts.failed++
    const failure = failureOf(cid, error)
    await ledger.add(failure)
    onFailure(failure)
  }
  onProgress(counts)
}

function failureOf(cid: string, error: CallError): BlobFailure {
  // A body that does not hash may have been damaged on the way.
  const retryable = error.kind === 'retryable' || error.code === 'Unverified'
  return { cid, code: error.code, retryable, message: messageOf(error) }
}

async function removePart(path: string): Promise<void> {
  try {
    await unlink(partPathOf(path))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw fileError('remove', partPathOf(path), error)
  }
}

/** Written when there is something to write; the one of the run before stays until then. */
class Ledger implements AsyncDisposable {
  readonly #path: string
  #file: Promise<PartFile> | null = null

  constructor(path: string) {
    this.#path = path
  }

  async add(failure: BlobFailure): Promise<void> {
    this.#file ??= PartFile.create(this.#path)
    await (await this.#file).write(`${jsonText(failure)}\n`)
  }

  /** The run is over: its failures take the place of those before. */
  async commit(): Promise<void> {
    if (this.#file !== null) {
      await (await this.#file).commit()
      return
    }
    try {
      await unlink(this.#path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw fileError('remove', this.#path, error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#file !== null) await (await this.#file)[Symbol.asyncDispose]()
  }
}
