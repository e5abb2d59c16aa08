/**
 * Commit objects of version 3: reading, checking the form, signing. (Repository specification,
 * "commit objects".)
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import type { PrivateKey } from '../crypto/private-key.ts'
import { CODEC_DAG_CBOR, cidOf } from '../data/cid.ts'
import { decodeDrisl, findMapEntry, mapHead } from '../data/drisl.ts'
import { encodeDrisl, pushHead } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { isTid } from '../syntax/tid.ts'

/** A commit as read from its block. Byte fields are views into the block. */
export interface Commit {
  readonly did: string
  readonly rev: string
  /** CID of the root of the tree, 36 bytes. */
  readonly data: Uint8Array
  /** CID of the commit before, where the writer still records it; version 3 leaves it null. */
  readonly prev: Uint8Array | null
  readonly signature: Uint8Array
}

export type CommitReason = 'commit-malformed' | 'commit-version'

const SIG_KEY = utf8('sig')

/** Reads a commit block. Unknown fields are allowed: they are signed like the rest. */
export function decodeCommit(block: Uint8Array): Result<Commit, CommitReason> {
  const decoded = decodeDrisl(block)
  if (!decoded.ok) return fail('commit-malformed', `commit: ${decoded.reason}`)
  const map = decoded.value
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return malformed('map')
  const { did, version, data, rev, prev, sig } = map as Readonly<Record<string, unknown>>
  if (typeof version !== 'number') return malformed('version')
  if (version !== 3) return fail('commit-version', `commit: version ${version}`)
  if (typeof did !== 'string') return malformed('did')
  if (typeof rev !== 'string' || !isTid(rev)) return malformed('rev')
  if (!(data instanceof CidLinkWrapper) || data.bytes[1] !== CODEC_DAG_CBOR)
    return malformed('data')
  if (prev !== null && !(prev instanceof CidLinkWrapper)) return malformed('prev')
  if (!(sig instanceof BytesWrapper)) return malformed('sig')
  return ok({
    did,
    rev,
    data: data.bytes,
    prev: prev === null ? null : prev.bytes,
    signature: sig.buf,
  })
}

function malformed(field: string): Result<never, CommitReason> {
  return fail('commit-malformed', `commit: ${field} is missing or of the wrong type`)
}

/**
 * What the signature of a commit block is over: the same DRISL map without `sig`.
 *
 * Cut out of the bytes rather than encoded anew, so that fields which this version does not know
 * are covered as they were signed. `block` has been read by {@link decodeCommit}.
 */
export function unsignedBytes(block: Uint8Array): Uint8Array {
  const head = must(mapHead(block, 0), 'commit map')
  const entry = must(findMapEntry(block, 0, SIG_KEY), 'commit signature')
  const newHead: number[] = []
  pushHead(newHead, 5, head.count - 1)
  const out = new Uint8Array(
    newHead.length + (entry.keyStart - head.end) + (block.length - entry.value.end),
  )
  out.set(newHead, 0)
  out.set(block.subarray(head.end, entry.keyStart), newHead.length)
  out.set(block.subarray(entry.value.end), newHead.length + entry.keyStart - head.end)
  return out
}

/** What a new commit says. */
export interface CommitContent {
  readonly did: string
  readonly rev: string
  readonly data: Uint8Array
}

/** Signs and encodes a commit. Returns its block and the block's CID, both the caller's. */
export function signCommit(
  content: CommitContent,
  key: PrivateKey,
): { readonly cid: Uint8Array; readonly block: Uint8Array } {
  const unsigned = {
    did: content.did,
    version: 3,
    data: new CidLinkWrapper(content.data),
    rev: content.rev,
    prev: null,
  }
  const sig = key.sign(encodeDrisl(unsigned))
  const block = encodeDrisl({ ...unsigned, sig })
  return { cid: cidOf(CODEC_DAG_CBOR, block), block }
}
