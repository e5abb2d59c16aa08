/** Writes as callers give them, checked and encoded before they wait for their turn. */
import { CODEC_DAG_CBOR, cidOf } from '../data/cid.ts'
import { decodeDrisl } from '../data/drisl.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { SkeinError } from '../lib/errors.ts'
import { OPS_MAX, RECORD_BYTES_MAX } from '../lib/limits.ts'
import { fail, ok } from '../lib/result.ts'
import { parseRepoPath } from '../syntax/repo-path.ts'
import { type BlobReference, blobReferences } from './blob-references.ts'
import type { HostResult } from './outcomes.ts'

/** A record: a value that DRISL can encode (see `encodeDrisl`), or its encoding; it is copied. */
export type RecordBody = { readonly record: unknown } | { readonly block: Uint8Array }

/**
 * One write. `path` is `collection/rkey`. `swapRecord` is the CID (36 bytes) that must stand there
 * before; null demands that none does.
 */
export type RepoWrite =
  /** Refused with RecordExists when a record stands there. */
  | ({ readonly action: 'create'; readonly path: string } & RecordBody)
  /** Refused with RecordNotFound when none does. */
  | ({
      readonly action: 'update'
      readonly path: string
      readonly swapRecord?: Uint8Array | null
    } & RecordBody)
  | {
      readonly action: 'delete'
      readonly path: string
      readonly swapRecord?: Uint8Array | null
    }

/** `put` and `remove` demand nothing of what stands there. */
export type PreparedAction = RepoWrite['action'] | 'put' | 'remove'

/** A record, encoded. */
export interface PreparedRecord {
  readonly cid: Uint8Array
  readonly block: Uint8Array
  readonly blobs: readonly BlobReference[]
}

/** A write that is good by itself. `record` is null for deletions. */
export interface PreparedWrite {
  readonly action: PreparedAction
  readonly path: string
  readonly record: PreparedRecord | null
  readonly swapRecord: Uint8Array | null | undefined
}

/** Checks and encodes a record. */
export function prepareRecord(body: RecordBody): HostResult<PreparedRecord> {
  let block: Uint8Array
  try {
    block = 'block' in body ? new Uint8Array(body.block) : encodeDrisl(body.record)
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    return fail('RecordInvalid', error.message)
  }
  if (block.length > RECORD_BYTES_MAX) return fail('RecordTooLarge', `${block.length} bytes`)
  const value = decodeDrisl(block)
  if (!value.ok) return fail('RecordInvalid', value.detail)
  // A map begins with major type 5.
  if ((block[0] as number) >> 5 !== 5) return fail('RecordInvalid', 'the record is not a map')
  return ok({ cid: cidOf(CODEC_DAG_CBOR, block), block, blobs: blobReferences(value.value) })
}

/** Checks the writes of one call. */
export function prepareWrites(writes: readonly RepoWrite[]): HostResult<readonly PreparedWrite[]> {
  if (writes.length > OPS_MAX) return fail('TooManyWrites', `${writes.length} writes`)
  const prepared: PreparedWrite[] = []
  const paths = new Set<string>()
  for (const write of writes) {
    if (paths.has(write.path)) return fail('PathRepeated', `path ${write.path}`)
    paths.add(write.path)
    const one = prepareWrite(write)
    if (!one.ok) return one
    prepared.push(one.value)
  }
  return ok(prepared)
}

function prepareWrite(write: RepoWrite): HostResult<PreparedWrite> {
  const swapRecord = write.action === 'create' ? undefined : write.swapRecord
  return write.action === 'delete'
    ? preparePath('delete', write.path, null, swapRecord)
    : preparePath(write.action, write.path, write, swapRecord)
}

/** Checks one write, of any action. `body` is null for deletions. */
export function preparePath(
  action: PreparedAction,
  path: string,
  body: RecordBody | null,
  swapRecord: Uint8Array | null | undefined,
): HostResult<PreparedWrite> {
  if (parseRepoPath(path) === null) {
    return fail('PathInvalid', `path ${JSON.stringify(path.slice(0, 80))}`)
  }
  if (body === null) return ok({ action, path, record: null, swapRecord })
  const record = prepareRecord(body)
  return record.ok ? ok({ action, path, record: record.value, swapRecord }) : record
}
