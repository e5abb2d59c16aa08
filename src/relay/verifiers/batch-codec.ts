/**
 * Jobs and outcomes as they cross between threads: packed into two buffers that go there and come
 * back, so that nothing is cloned or allocated for an event.
 *
 * ```
 * request, for each job                 results, 160 bytes for each job
 *  0  4  curve: its place in CURVES      0  1  status: 0 ok, 1 refused, 2 unfinished
 *  4  4  length of the frame             1  1  flags: 1 has since, 2 has prevData
 *  8  8  now, ms                         2  6  zero
 * 16 33  compressed public key           8  8  time that it took, ms
 * 49  3  zero                           16 13  rev
 * 52  n  frame                          32 13  since
 *                                       48 36  CID of the commit
 *                                       84 36  CID of the tree
 *                                      120 36  prevData
 * ```
 *
 * Numbers are little-endian, times 64-bit floats. What is rare (reasons, warnings) travels beside.
 */
import { asciiText } from '../../crypto/ascii.ts'
import { COMPRESSED_POINT_BYTES, type Curve, CURVES } from '../../crypto/curve.ts'
import { CID_BYTES } from '../../data/cid.ts'
import { must } from '../../lib/assert.ts'
import type { InvalidReason } from '../../lib/reasons.ts'
import { fail, ok } from '../../lib/result.ts'
import type { Warning } from '../../repo/checks.ts'
import { TID_CHARS } from '../../syntax/tid.ts'
import type { VerifyJob, VerifyOutcome } from './frame-verifier.ts'
import type { FrameVerdict, VerifiedFrame } from './verify-frame.ts'

const JOB_HEAD_BYTES = 52
const RESULT_BYTES = 160
const KEY_OFFSET = 16
const REV_OFFSET = 16
const SINCE_OFFSET = 32
const COMMIT_OFFSET = 48
const DATA_OFFSET = 84
const PREV_DATA_OFFSET = 120
const OK = 0
const REFUSED = 1
const UNFINISHED = 2
const HAS_SINCE = 1
const HAS_PREV_DATA = 2

/** What is said of a job besides its 160 bytes. */
export interface Extra {
  /** Which job of the batch. */
  readonly at: number
  readonly refusal?: { readonly reason: InvalidReason; readonly detail: string }
  readonly warnings?: readonly Warning[]
}

/** A job as the other thread finds it. The bytes are views of the request. */
export interface UnpackedJob {
  readonly curve: Curve
  readonly key: Uint8Array
  readonly nowMs: number
  readonly frame: Uint8Array
}

/** Bytes that a request for these jobs takes. */
export function requestBytes(jobs: readonly VerifyJob[]): number {
  let bytes = 0
  for (const { frame } of jobs) bytes += JOB_HEAD_BYTES + frame.bytes.length
  return bytes
}

/** Bytes that the results of so many jobs take. */
export function resultsBytes(count: number): number {
  return count * RESULT_BYTES
}

/** Writes jobs into a request that has room for them. The frames are copied. */
export function packJobs(request: ArrayBuffer, jobs: readonly VerifyJob[]): void {
  const bytes = new Uint8Array(request)
  const view = new DataView(request)
  let at = 0
  for (const { frame, key, nowMs } of jobs) {
    view.setUint32(at, CURVES.indexOf(key.curve), true)
    view.setUint32(at + 4, frame.bytes.length, true)
    view.setFloat64(at + 8, nowMs, true)
    bytes.set(key.bytes, at + KEY_OFFSET)
    bytes.set(frame.bytes, at + JOB_HEAD_BYTES)
    at += JOB_HEAD_BYTES + frame.bytes.length
  }
}

/** Reads the first `count` jobs of a request. */
export function* unpackJobs(request: ArrayBuffer, count: number): Generator<UnpackedJob> {
  const bytes = new Uint8Array(request)
  const view = new DataView(request)
  let at = 0
  for (let i = 0; i < count; i++) {
    const curve = must(CURVES[view.getUint32(at, true)], 'curve of a job')
    const frameStart = at + JOB_HEAD_BYTES
    const frameEnd = frameStart + view.getUint32(at + 4, true)
    const key = bytes.subarray(at + KEY_OFFSET, at + KEY_OFFSET + COMPRESSED_POINT_BYTES)
    const nowMs = view.getFloat64(at + 8, true)
    yield { curve, key, nowMs, frame: bytes.subarray(frameStart, frameEnd) }
    at = frameEnd
  }
}

/** Writes outcomes into `results`, in any order, and gathers what does not fit there. */
export class OutcomeWriter {
  readonly extras: Extra[] = []
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(results: ArrayBuffer) {
    this.#bytes = new Uint8Array(results)
    this.#view = new DataView(results)
  }

  write(at: number, { verdict, tookMs }: VerifyOutcome): void {
    const base = at * RESULT_BYTES
    this.#view.setFloat64(base + 8, tookMs, true)
    if (verdict === null) this.#view.setUint16(base, UNFINISHED, true)
    else if (verdict.ok) this.#writeVerified(at, base, verdict.value)
    else {
      const { reason, detail } = verdict
      this.#view.setUint16(base, REFUSED, true)
      this.extras.push({ at, refusal: { reason, detail } })
    }
  }

  #writeVerified(at: number, base: number, verified: VerifiedFrame): void {
    const { rev, since, commit, data, prevData, warnings } = verified
    const flags = (since === null ? 0 : HAS_SINCE) | (prevData === null ? 0 : HAS_PREV_DATA)
    this.#view.setUint16(base, OK | (flags << 8), true)
    this.#writeText(base + REV_OFFSET, rev)
    if (since !== null) this.#writeText(base + SINCE_OFFSET, since)
    this.#bytes.set(commit, base + COMMIT_OFFSET)
    this.#bytes.set(data, base + DATA_OFFSET)
    if (prevData !== null) this.#bytes.set(prevData, base + PREV_DATA_OFFSET)
    if (warnings.length > 0) this.extras.push({ at, warnings })
  }

  #writeText(offset: number, text: string): void {
    for (let i = 0; i < TID_CHARS; i++) this.#bytes[offset + i] = text.charCodeAt(i)
  }
}

/** Reads the outcomes of a batch. What they hold is copied out of `results`. */
export class OutcomeReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #extras: ReadonlyMap<number, Extra>

  constructor(results: ArrayBuffer, extras: readonly Extra[]) {
    this.#bytes = new Uint8Array(results)
    this.#view = new DataView(results)
    this.#extras = new Map(extras.map((extra) => [extra.at, extra]))
  }

  /** The outcome of the job `at` of the batch, whose event is of `did`. */
  read(at: number, did: string): VerifyOutcome {
    const base = at * RESULT_BYTES
    const tookMs = this.#view.getFloat64(base + 8, true)
    const status = this.#bytes[base]
    if (status === UNFINISHED) return { verdict: null, tookMs }
    const extra = this.#extras.get(at)
    if (status === OK) return { verdict: this.#verified(base, did, extra?.warnings ?? []), tookMs }
    const { reason, detail } = must(extra?.refusal, 'reason of a refusal')
    return { verdict: fail(reason, detail), tookMs }
  }

  #verified(base: number, did: string, warnings: readonly Warning[]): FrameVerdict {
    const flags = this.#bytes[base + 1] as number
    const hasSince = (flags & HAS_SINCE) !== 0
    const hasPrevData = (flags & HAS_PREV_DATA) !== 0
    return ok({
      did,
      rev: this.#text(base + REV_OFFSET),
      commit: this.#cid(base + COMMIT_OFFSET),
      data: this.#cid(base + DATA_OFFSET),
      since: hasSince ? this.#text(base + SINCE_OFFSET) : null,
      prevData: hasPrevData ? this.#cid(base + PREV_DATA_OFFSET) : null,
      warnings,
    })
  }

  #text(offset: number): string {
    return asciiText(this.#bytes, offset, offset + TID_CHARS)
  }

  #cid(offset: number): Uint8Array {
    return this.#bytes.slice(offset, offset + CID_BYTES)
  }
}
