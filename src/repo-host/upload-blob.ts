/** Takes in blobs: their bytes into files, then their rows. */
import { must } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { type Failure, fail, ok } from '../lib/result.ts'
import type { BlobFiles, ReceivedBlob } from '../store/blob-files.ts'
import {
  BLOB_BYTES_MAX,
  type RepoHostOptions,
  UNREFERENCED_BLOB_BYTES_MAX,
  UNREFERENCED_BLOBS_MAX,
  type UploadedBlob,
  UPLOADS_PER_ACCOUNT_MAX,
} from './host-options.ts'
import type { HostRefusal, HostResult } from './outcomes.ts'
import type { HostState } from './turn.ts'

export interface UploaderParts {
  readonly state: HostState
  readonly files: BlobFiles
  /** Called when a file may have got its name and no row. */
  readonly onStray: () => void
}

/** What an uploader is told of the host's options. */
export type UploadLimits = Pick<
  RepoHostOptions,
  'blobBytesMax' | 'unreferencedBlobsMax' | 'unreferencedBlobBytesMax' | 'uploadsPerAccountMax'
>

/** The uploads of one host, those under way among them. */
export class Uploader {
  readonly #parts: UploaderParts
  readonly #clock: Clock
  readonly #bytesMax: number
  readonly #unreferencedMax: number
  readonly #unreferencedBytesMax: number
  readonly #perAccountMax: number
  /** How many uploads are under way, by DID; only those who have some. */
  readonly #running = new Map<string, number>()

  constructor(parts: UploaderParts, clock: Clock, limits: UploadLimits) {
    this.#parts = parts
    this.#clock = clock
    this.#bytesMax = limits.blobBytesMax ?? BLOB_BYTES_MAX
    this.#unreferencedMax = limits.unreferencedBlobsMax ?? UNREFERENCED_BLOBS_MAX
    this.#unreferencedBytesMax = limits.unreferencedBlobBytesMax ?? UNREFERENCED_BLOB_BYTES_MAX
    this.#perAccountMax = limits.uploadsPerAccountMax ?? UPLOADS_PER_ACCOUNT_MAX
  }

  /** See `RepoHost.uploadBlob`. */
  async upload(
    did: string,
    source: AsyncIterable<Uint8Array>,
    mimeType: string,
  ): Promise<HostResult<UploadedBlob>> {
    const refused = this.#refusalOf(did)
    if (refused !== null) return refused
    const running = this.#running.get(did) ?? 0
    if (running >= this.#perAccountMax) {
      return fail('HostBusy', `${running} uploads of ${did} are under way`)
    }
    this.#running.set(did, running + 1)
    try {
      const received = await this.#parts.files.receive(source, this.#bytesMax)
      if (received === 'too-large') return fail('BlobTooLarge', `over ${this.#bytesMax} bytes`)
      if (received === 'disk-full') return fail('StorageFull', 'no room for blobs')
      try {
        // The account may have changed while the bytes came.
        return this.#refusalOf(did) ?? this.#keep(did, received, keptMimeType(mimeType))
      } finally {
        received.drop()
      }
    } finally {
      const left = must(this.#running.get(did), 'uploads under way') - 1
      if (left === 0) this.#running.delete(did)
      else this.#running.set(did, left)
    }
  }

  #keep(did: string, received: ReceivedBlob, mimeType: string): HostResult<UploadedBlob> {
    const { state, onStray } = this.#parts
    const { cid, size } = received
    const { id, repoId } = must(state.store.account(did), 'account')
    const isReferred = repoId !== null && state.blobs.isReferred(repoId, cid)
    if (!isReferred && state.blobs.blob(id, cid) === null) {
      const over = this.#overQuota(id, size)
      if (over !== null) return over
    }
    const uploadedAtMs = this.#clock.nowMs()
    const unreferencedAtMs = isReferred ? null : uploadedAtMs
    try {
      state.store.transaction(() => {
        received.keep()
        state.blobs.put(id, { cid, size, mimeType, uploadedAtMs, unreferencedAtMs })
      })
    } catch (error) {
      onStray()
      throw error
    }
    return ok({ cid, size, mimeType })
  }

  #overQuota(accountId: number, size: number): Failure<HostRefusal> | null {
    const { count, bytes } = this.#parts.state.blobs.unreferenced(accountId)
    if (count >= this.#unreferencedMax) {
      return fail('BlobQuotaExceeded', `${count} blobs that no record refers to`)
    }
    return bytes + size > this.#unreferencedBytesMax
      ? fail('BlobQuotaExceeded', `${bytes} bytes of blobs that no record refers to`)
      : null
  }

  #refusalOf(did: string): Failure<HostRefusal> | null {
    const account = this.#parts.state.store.account(did)
    if (account === null || account.status === 'deleted') return fail('RepoNotFound', did)
    const { status } = account
    const allowed = status === 'active' || status === 'deactivated'
    return allowed ? null : fail('RepoInactive', `${did} is ${status}`)
  }
}

const MIME_TYPE = /^[!#$&^_.+\-\w]{1,127}\/[!#$&^_.+\-\w]{1,127}(?:\s?;[\x20-\x7e]{1,200})?$/

/** A MIME type that can stand in a header, else that of any bytes. */
function keptMimeType(text: string): string {
  return MIME_TYPE.test(text) ? text : 'application/octet-stream'
}
