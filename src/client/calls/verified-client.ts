/** Answers whose proof is checked: a service is believed nothing that is not signed. */
import { mainSchema as getRecord } from '@atcute/atproto/types/sync/getRecord'
import { mainSchema as getRepo } from '@atcute/atproto/types/sync/getRepo'

import { cidToString } from '../../data/cid.ts'
import type { InvalidReason, UnverifiableReason } from '../../lib/reasons.ts'
import type { Failure, Result } from '../../lib/result.ts'
import { unsignedBytes, type Commit } from '../../repo/commit.ts'
import { verifyRecordProofAsync } from '../../repo/record-proof.ts'
import {
  readRepo,
  type RepoFault,
  type RepoRead,
  RepoReadError,
  type RepoRecord,
} from '../../repo/repo-reader.ts'
import { readRepoUpdate, type RepoUpdate } from '../../repo/repo-update.ts'
import { ok } from '../../lib/result.ts'
import { toCidString, type CidString } from '../../syntax/cid-string.ts'
import { toDid, type Did } from '../../syntax/did.ts'
import { parseNsid, toNsid, type Nsid } from '../../syntax/nsid.ts'
import { formatRepoPath } from '../../syntax/repo-path.ts'
import { toRecordKey, type RecordKey } from '../../syntax/record-key.ts'
import { toTid, type Tid } from '../../syntax/tid.ts'
import { CarEndCheck } from './body-checks.ts'
import type { ByteStream } from './byte-stream.ts'
import { CallError, type CallErrorCode, type CallTarget } from './call-error.ts'
import type { CallOptions, SyncClientOptions } from './client-options.ts'
import { decodeRecord } from '../events/commit-view.ts'
import type { RecordOutcome, RecordValue } from '../events/events.ts'
import { readWhole } from './json-answer.ts'
import type { QueryRunner, StreamOptions } from './query-runner.ts'
import type { DidParams, GetRecordParams } from './sync-types.ts'
import { Trust } from './trust.ts'

/** What a proof shows of one path, as of `rev`. */
export type ProvenRecord = PresentRecord | AbsentRecord

/** The record that stands there. */
export interface PresentRecord {
  readonly rev: Tid
  readonly cid: CidString
  /** The record's bytes, which hash to `cid`. */
  readonly bytes: Uint8Array
  /** The record as decoded; not valid when the bytes are no record, which no proof rules out. */
  readonly record: RecordOutcome<RecordValue>
}

/** That no record stands there. */
export interface AbsentRecord {
  readonly rev: Tid
  readonly cid: null
  readonly bytes: null
  readonly record: null
}

export interface VerifiedRepoOptions extends CallOptions {
  /**
   * Only records of these are given out; `org.example.*` stands for all that begin so. The others
   * are hashed like them, and not decoded. Default all.
   */
  readonly collections?: readonly string[]
}

/** A record of a verified repository. */
export interface VerifiedRecord {
  /** `<collection>/<record key>`. */
  readonly path: string
  readonly collection: Nsid
  readonly rkey: RecordKey
  readonly cid: CidString
  /** The record's bytes, which hash to `cid`. Yours to keep. */
  readonly bytes: Uint8Array
  /** Decoded when first asked for. */
  readonly record: RecordOutcome<RecordValue>
}

/** A repository that is being read; its commit's signature has been checked. */
export interface VerifiedRepo {
  readonly did: Did
  readonly rev: Tid
  /** CID of the commit. */
  readonly commit: CidString
  /** CID of the root of the tree. */
  readonly data: CidString
  /**
   * In the order of their paths, to be iterated once; nothing is read that is not asked for. An end
   * without an error says that these were all. Throws Truncated when the service stopped early, and
   * Unverified with the reason when something does not hold.
   */
  readonly records: AsyncIterable<VerifiedRecord>
  /** Gives up what has not been read. */
  cancel(): void
}

type Refusal = Failure<InvalidReason | UnverifiableReason>

const CODE_OF_FAULT: Readonly<Record<RepoFault, CallErrorCode>> = {
  truncated: 'Truncated',
  'too-large': 'TooLarge',
  invalid: 'Unverified',
  unverifiable: 'Unverified',
}

/** See {@link SyncClient.verified}. */
export class VerifiedClient {
  readonly #run: QueryRunner
  readonly #trust: Trust

  constructor(run: QueryRunner, options: SyncClientOptions) {
    this.#run = run
    this.#trust = new Trust(options)
  }

  /**
   * A record, or that there is none, proven by the account's signature. Throws Unverified when the
   * answer proves neither. RecordNotFound is what the service says without proof.
   */
  async getRecord(params: GetRecordParams, options: CallOptions = {}): Promise<ProvenRecord> {
    const target = this.#run.target(getRecord.nsid)
    const { did, collection, rkey } = params
    const bounds = this.#streamOptions(target, options, this.#run.limits.proofBytesMax)
    return this.#run.read(getRecord, params, bounds, async (stream) => {
      const car = await this.#wholeOf(stream, target)
      const path = formatRepoPath(toNsid(collection), toRecordKey(rkey))
      const scope = target.service
      const proven = await this.#trust.withKey(did, scope, options.signal, (key, verifier) =>
        verifyRecordProofAsync(car, { did, path, key, verifier }),
      )
      if (!proven.ok) throw unverified(target, proven)
      const { rev, record } = proven.value
      const checked = this.#trust.checkRev(rev)
      if (!checked.ok) throw unverified(target, checked)
      if (record === null) return { rev: toTid(rev), cid: null, bytes: null, record: null }
      return {
        rev: toTid(rev),
        cid: toCidString(cidToString(record.cid)),
        bytes: record.block,
        record: decodeRecord(ok(record.block)),
      }
    })
  }

  /**
   * A whole repository, verified while it comes. When the promise resolves, the commit's signature
   * holds. A repository in streamable order takes little memory whatever its size; one in another
   * order takes up to `heldBytesMax`, and TooLarge is thrown when that is not enough.
   */
  async getRepo(params: DidParams, options: VerifiedRepoOptions = {}): Promise<VerifiedRepo> {
    const target = this.#run.target(getRepo.nsid)
    const wants = pathFilter(target, options.collections)
    const { repoBytesMax, heldBytesMax } = this.#run.limits
    const did = params.did
    const bounds = this.#streamOptions(target, options, repoBytesMax)
    return this.#run.read(getRepo, { did }, bounds, async (stream) => {
      try {
        const read = await readRepo(stream, {
          did,
          ...(wants === null ? {} : { wants }),
          judge: (commit, block) => this.#judge(did, target, commit, block, options.signal),
          limits: { bytesMax: repoBytesMax, heldBytesMax },
        })
        return repoOf(read, stream, target)
      } catch (error) {
        stream.cancel()
        throw readErrorOf(error, target)
      }
    })
  }

  /**
   * What of a repository is new since a rev, its signature checked, whole in memory. It says what
   * has changed to whoever has the tree of that rev (`KnownTree`): until then nothing shows that it
   * is all. Services differ in what they send of a rev that they do not know.
   */
  async getRepoUpdate(
    params: DidParams & { readonly since: string },
    options: CallOptions & { readonly bytesMax: number },
  ): Promise<RepoUpdate> {
    const target = this.#run.target(getRepo.nsid)
    const { did, since } = params
    const { bytesMax } = options
    const bounds = this.#streamOptions(target, options, bytesMax)
    return this.#run.read(getRepo, { did, since }, bounds, async (stream) => {
      try {
        return await readRepoUpdate(stream, {
          did,
          judge: (commit, block) => this.#judge(did, target, commit, block, options.signal),
          bytesMax,
        })
      } catch (error) {
        stream.cancel()
        throw readErrorOf(error, target)
      }
    })
  }

  async #judge(
    did: string,
    { service }: CallTarget,
    commit: Commit,
    block: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Result<void, InvalidReason | UnverifiableReason>> {
    const checked = this.#trust.checkRev(commit.rev)
    if (!checked.ok) return checked
    const message = unsignedBytes(block)
    return this.#trust.withKey(did, service, signal, async (key, verifier) => {
      const verdict = await verifier.verifyAsync(key, message, commit.signature)
      if (verdict === 'ok') return ok(undefined)
      return { ok: false, reason: verdict, detail: `signature of rev ${commit.rev}` }
    })
  }

  #streamOptions(target: CallTarget, options: CallOptions, bytesMax: number): StreamOptions {
    const { signal } = options
    const check = (): CarEndCheck => new CarEndCheck(target)
    return { bytesMax, check, ...(signal === undefined ? {} : { signal }) }
  }

  #wholeOf(stream: ByteStream, target: CallTarget): Promise<Uint8Array> {
    const { answerTimeoutMs } = this.#run.limits
    const source = { body: stream, discard: () => stream.cancel() }
    return readWhole(source, target, this.#run.clock, answerTimeoutMs)
  }
}

function repoOf(read: RepoRead, stream: ByteStream, target: CallTarget): VerifiedRepo {
  const { commit } = read
  return {
    did: toDid(commit.did),
    rev: toTid(commit.rev),
    commit: toCidString(cidToString(read.cid)),
    data: toCidString(cidToString(commit.data)),
    records: eachRecord(read.records, target),
    cancel: () => stream.cancel(),
  }
}

async function* eachRecord(
  records: AsyncIterable<RepoRecord>,
  target: CallTarget,
): AsyncGenerator<VerifiedRecord> {
  try {
    for await (const record of records) yield new RecordView(record)
  } catch (error) {
    throw readErrorOf(error, target)
  }
}

/** A record whose texts are made when they are asked for. */
class RecordView implements VerifiedRecord {
  readonly path: string
  readonly bytes: Uint8Array
  readonly #cid: Uint8Array
  #record: RecordOutcome<RecordValue> | null = null

  constructor({ path, cid, bytes }: RepoRecord) {
    this.path = path
    this.bytes = bytes
    this.#cid = cid
  }

  get collection(): Nsid {
    return toNsid(this.path.slice(0, this.path.indexOf('/')))
  }

  get rkey(): RecordKey {
    return toRecordKey(this.path.slice(this.path.indexOf('/') + 1))
  }

  get cid(): CidString {
    return toCidString(cidToString(this.#cid))
  }

  get record(): RecordOutcome<RecordValue> {
    this.#record ??= decodeRecord(ok(this.bytes))
    return this.#record
  }
}

function readErrorOf(error: unknown, target: CallTarget): unknown {
  if (!(error instanceof RepoReadError)) return error
  const { fault, reason, message } = error
  return new CallError(CODE_OF_FAULT[fault], target, message, { reason, cause: error })
}

function unverified(target: CallTarget, { reason, detail }: Refusal): CallError {
  return new CallError('Unverified', target, detail, { reason })
}

/** Null for all paths. */
function pathFilter(
  target: CallTarget,
  collections: readonly string[] | undefined,
): ((path: string) => boolean) | null {
  if (collections === undefined) return null
  const beginnings = collections.map((collection) => {
    const isGroup = collection.endsWith('.*')
    // A group has at least the two segments of an authority; any name completes it.
    const example = isGroup ? `${collection.slice(0, -1)}name` : collection
    if (parseNsid(example) === null) {
      throw new CallError('InvalidRequest', target, `collection ${collection.slice(0, 80)}`)
    }
    return isGroup ? collection.slice(0, -1) : `${collection}/`
  })
  return (path) => beginnings.some((beginning) => path.startsWith(beginning))
}
