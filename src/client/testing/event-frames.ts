/** Frames for tests of events. */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'

import { type CarBlock, encodeCar } from '../../data/car-stream.ts'
import { CODEC_DAG_CBOR, cidOf } from '../../data/cid.ts'
import { encodeDrisl } from '../../data/drisl-encode.ts'
import { concatBytes } from '../../lib/bytes.ts'

export const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
export const TIME = '2026-08-20T12:34:56.789Z'
export const REV = '3jzfcijpj2z2a'

/** A frame of any header and body. */
export function frameOf(header: object, body: object): Uint8Array {
  return concatBytes([encodeDrisl(header), encodeDrisl(body)])
}

/** A block of `value` under its own CID. */
export function blockOf(value: unknown): CarBlock {
  const block = encodeDrisl(value)
  return { cid: cidOf(CODEC_DAG_CBOR, block), block }
}

/** An operation as it stands in a body. */
export interface FrameOp {
  readonly action: string
  readonly path: string
  readonly cid: CidLinkWrapper | null
  readonly prev?: CidLinkWrapper
}

/** A `#commit` whose CAR holds `blocks`, of which nothing but the first need be a commit. */
export function commitFrame(
  blocks: readonly CarBlock[],
  ops: readonly FrameOp[],
  fields: object = {},
): Uint8Array {
  const root = blocks[0]?.cid ?? blockOf({}).cid
  const body = {
    seq: 7,
    repo: DID,
    commit: new CidLinkWrapper(root),
    rev: REV,
    since: null,
    blocks: new BytesWrapper(encodeCar([root], blocks)),
    ops,
    blobs: [],
    time: TIME,
    rebase: false,
    tooBig: false,
    ...fields,
  }
  return frameOf({ op: 1, t: '#commit' }, body)
}

/** A create of the record in `block`. */
export function createOp(path: string, { cid }: CarBlock): FrameOp {
  return { action: 'create', path, cid: new CidLinkWrapper(cid) }
}
