/** Takes in a blob: its bytes into a file, then its row. */
import { must } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { type Failure, fail, ok } from '../lib/result.ts'
import type { BlobFiles } from '../store/blob-files.ts'
import type { UploadedBlob } from './host-options.ts'
import type { HostRefusal, HostResult } from './outcomes.ts'
import type { HostState } from './turn.ts'

export interface UploadContext {
  readonly state: HostState
  readonly files: BlobFiles
  readonly clock: Clock
  readonly bytesMax: number
}

/** See `RepoHost.uploadBlob`. */
export async function uploadBlob(
  { state, files, clock, bytesMax }: UploadContext,
  did: string,
  source: AsyncIterable<Uint8Array>,
  mimeType: string,
): Promise<HostResult<UploadedBlob>> {
  const refused = refusalOf(state, did)
  if (refused !== null) return refused
  const received = await files.receive(source, bytesMax)
  if (received === 'too-large') return fail('BlobTooLarge', `over ${bytesMax} bytes`)
  try {
    // The account may have changed while the bytes came.
    const refusedNow = refusalOf(state, did)
    if (refusedNow !== null) return refusedNow
    const { cid, size } = received
    const kept = keptMimeType(mimeType)
    const nowMs = clock.nowMs()
    const { id, repoId } = must(state.store.account(did), 'account')
    state.store.transaction(() => {
      received.keep()
      const isReferred = repoId !== null && state.blobs.isReferred(repoId, cid)
      const unreferencedAtMs = isReferred ? null : nowMs
      state.blobs.put(id, { cid, size, mimeType: kept, uploadedAtMs: nowMs, unreferencedAtMs })
    })
    return ok({ cid, size, mimeType: kept })
  } finally {
    received.drop()
  }
}

function refusalOf({ store }: HostState, did: string): Failure<HostRefusal> | null {
  const account = store.account(did)
  if (account === null || account.status === 'deleted') return fail('RepoNotFound', did)
  const { status } = account
  const allowed = status === 'active' || status === 'deactivated'
  return allowed ? null : fail('RepoInactive', `${did} is ${status}`)
}

const MIME_TYPE = /^[!#$&^_.+\-\w]{1,127}\/[!#$&^_.+\-\w]{1,127}(?:\s?;[\x20-\x7e]{1,200})?$/

/** A MIME type that can stand in a header, else that of any bytes. */
function keptMimeType(text: string): string {
  return MIME_TYPE.test(text) ? text : 'application/octet-stream'
}
