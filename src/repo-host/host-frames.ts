/** The events of a host as wire frames, ready for its log. */
import { CidLinkWrapper } from '@atcute/cid'
import { encodeCar } from '../data/car-stream.ts'
import { encodeDrisl, pushHead } from '../data/drisl-encode.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import type { CommitBody } from '../stream/frame-types.ts'
import { wireHeaderBytes, wrapFrame, writeWireHeader } from '../stream/wire-frame.ts'
import { BytesWrapper } from '@atcute/cbor'

/** A `#commit` before it has its seq. CIDs are 36 bytes. */
export interface CommitContents {
  readonly did: string
  readonly rev: string
  readonly since: string | null
  readonly commit: Uint8Array
  readonly prevData: Uint8Array | null
  readonly ops: CommitBody['ops']
  /** A CAR with the commit as its root. */
  readonly car: Uint8Array
  /** RFC 3339. */
  readonly time: string
}

const HEADER = encodeDrisl({ op: 1, t: '#commit' })
const BLOCKS_KEY = encodeDrisl('blocks')

/**
 * A `#commit` frame. The CAR is copied once and never looked at: encoding it byte by byte with the
 * rest would take as long as signing.
 */
export function commitFrame(contents: CommitContents, seq: number): Uint8Array {
  const { did, rev, since, commit, prevData, ops, car, time } = contents
  // Map keys stand by length, then bytes: these come before `blocks`, the others after it.
  const before = encodeDrisl({ ops, rev, seq, repo: did, time, blobs: [], since })
  const after = encodeDrisl({
    commit: new CidLinkWrapper(commit),
    rebase: false,
    tooBig: false,
    prevData: prevData === null ? undefined : new CidLinkWrapper(prevData),
  })
  const mapHead: number[] = []
  pushHead(mapHead, 5, prevData === null ? 11 : 12)
  const carHead: number[] = []
  pushHead(carHead, 2, car.length)
  const parts = [HEADER, mapHead, before.subarray(1), BLOCKS_KEY, carHead, car, after.subarray(1)]
  let length = 0
  for (const part of parts) length += part.length
  const frame = new Uint8Array(wireHeaderBytes(length) + length)
  let offset = writeWireHeader(frame, length)
  for (const part of parts) {
    frame.set(part, offset)
    offset += part.length
  }
  return frame
}

/** A `#sync` frame, whose CAR holds the commit alone. */
export function syncFrame(
  head: { readonly did: string; readonly rev: string; readonly commit: Uint8Array },
  block: Uint8Array,
  time: string,
  seq: number,
): Uint8Array {
  const { did, rev, commit } = head
  const blocks = new BytesWrapper(encodeCar([commit], [{ cid: commit, block }]))
  return wrapFrame(encodeMessageFrame('#sync', { seq, did, rev, blocks, time }))
}

/** An `#identity` frame. */
export function identityFrame(
  did: string,
  handle: string | null,
  time: string,
  seq: number,
): Uint8Array {
  const body = handle === null ? { seq, did, time } : { seq, did, time, handle }
  return wrapFrame(encodeMessageFrame('#identity', body))
}

/** An `#account` frame; `status` is null for an active account. */
export function accountFrame(
  did: string,
  status: string | null,
  time: string,
  seq: number,
): Uint8Array {
  const active = status === null
  const body = active ? { seq, did, time, active } : { seq, did, time, active, status }
  return wrapFrame(encodeMessageFrame('#account', body))
}
