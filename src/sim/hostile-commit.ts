/**
 * Commits that no honest host would send, made from an honest one: taken apart, changed, and signed
 * again with the account's own key where the change would show before it is reached.
 */
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { type CarBlock, encodeCar } from '../data/car-stream.ts'
import { parseCar } from '../data/car.ts'
import { CODEC_DAG_CBOR, cidEquals, cidOf } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { signCommit } from '../repo/commit.ts'
import { keyHeight } from '../repo/tree-node.ts'
import type { CommitBody, RepoOp } from '../stream/frame-types.ts'
import type { SignedRepo } from './signed-repo.ts'

/** A block under its own CID. */
export function blockOf(bytes: Uint8Array): CarBlock {
  return { cid: cidOf(CODEC_DAG_CBOR, bytes), block: bytes }
}

export function linkTo(block: CarBlock): CidLinkWrapper {
  return new CidLinkWrapper(block.cid)
}

/** The blocks of a commit, in the order of its CAR. */
export function blocksOf(body: CommitBody): CarBlock[] {
  const parsed = parseCar(body.blocks.buf, { blocksMax: 10_000 })
  if (!parsed.ok) throw new Error(parsed.detail)
  const blocks: CarBlock[] = []
  for (let i = 0; i < parsed.value.blocks.size; i++) {
    const block = parsed.value.blocks.block(i).slice()
    blocks.push(blockOf(block))
  }
  return blocks
}

/** The same commit with other blocks; the root stays what it was unless given. */
export function withCar(
  body: CommitBody,
  blocks: readonly CarBlock[],
  roots: readonly Uint8Array[] = [body.commit.bytes],
): CommitBody {
  return { ...body, blocks: new BytesWrapper(encodeCar(roots, blocks)) }
}

/** The root of the tree of a commit that `repo` has just made. */
export function rootBlock(repo: SignedRepo): CarBlock {
  const { data } = must(repo.head, 'head')
  return { cid: data, block: repo.block(data) }
}

export interface Forgery {
  readonly did?: string
  readonly rev?: string
  /** The tree; its nodes have to be among `blocks`. */
  readonly data?: Uint8Array
  /** Blocks beside the commit; default those of the honest commit. */
  readonly blocks?: readonly CarBlock[]
  readonly ops?: readonly RepoOp[]
}

/** The commit with some of its content exchanged, signed by the account. */
export function forge(repo: SignedRepo, body: CommitBody, forgery: Forgery): CommitBody {
  const head = must(repo.head, 'head')
  const { did = repo.did, rev = body.rev, data = head.data, ops = body.ops } = forgery
  const signed = signCommit({ did, rev, data }, repo.key)
  const rest =
    forgery.blocks ?? blocksOf(body).filter(({ cid }) => !cidEquals(cid, body.commit.bytes))
  return {
    ...withCar(body, [signed, ...rest], [signed.cid]),
    commit: new CidLinkWrapper(signed.cid),
    rev,
    ops,
  }
}

/** The event around a commit object with any content, signed unless it brings `sig` along. */
export function aroundCommit(
  repo: SignedRepo,
  body: CommitBody,
  content: Readonly<Record<string, unknown>>,
): CommitBody {
  const sig = content['sig'] ?? repo.key.sign(encodeDrisl(content))
  return aroundBlock(body, encodeDrisl({ ...content, sig }))
}

/** The event with any bytes in place of its commit block. */
export function aroundBlock(body: CommitBody, bytes: Uint8Array): CommitBody {
  const block = blockOf(bytes)
  return { ...withCar(body, [block], [block.cid]), commit: linkTo(block) }
}

/** What the honest commit object of `body` says. */
export function commitContent(
  repo: SignedRepo,
  body: CommitBody,
): Readonly<Record<string, unknown>> {
  const { data } = must(repo.head, 'head')
  return { did: repo.did, version: 3, data: new CidLinkWrapper(data), rev: body.rev, prev: null }
}

/** An entry of a tree node as it is encoded. */
export interface NodeEntry {
  /** Suffix of the key. */
  readonly k: string
  /** Length of the prefix shared with the key before; default 0. */
  readonly p?: number
  readonly v: Uint8Array
  /** Subtree after the key. */
  readonly t?: CarBlock
}

/** A tree node with any content, right or wrong. */
export function nodeBlock(entries: readonly NodeEntry[], left?: CarBlock): CarBlock {
  return blockOf(
    encodeDrisl({
      l: left === undefined ? null : linkTo(left),
      e: entries.map(({ k, p = 0, v, t }) => ({
        k: utf8(k),
        p,
        v: new CidLinkWrapper(v),
        t: t === undefined ? null : linkTo(t),
      })),
    }),
  )
}

/** The first path from a sequence of them whose key has this height in a tree. */
export function pathOfHeight(height: number, prefix = 'org.example.note/k'): string {
  for (let i = 0; ; i++) {
    const path = `${prefix}${String(i).padStart(6, '0')}`
    if (keyHeight(utf8(path)) === height) return path
  }
}

/**
 * The commit with a whole tree of other nodes: `root` stands in place of the tree, and the one
 * operation creates a record at `path`, so that verification has to look for it.
 */
export function withTree(
  repo: SignedRepo,
  body: CommitBody,
  root: CarBlock,
  path: string,
  more: readonly CarBlock[] = [],
): CommitBody {
  const record = blockOf(encodeDrisl({ hostile: true }))
  return forge(repo, body, {
    data: root.cid,
    blocks: [root, ...more, record],
    ops: [{ action: 'create', path, cid: linkTo(record) }],
  })
}

/** CBOR of `depth` arrays, each in the one before. */
export function deepCbor(depth: number): Uint8Array {
  const bytes = new Uint8Array(depth + 1).fill(0x81)
  bytes[depth] = 0x80
  return bytes
}

const K256_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** The other signature that verifies over the same message: S replaced by n - S. */
export function highS(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  const flipped = (K256_ORDER - s).toString(16).padStart(64, '0')
  return new Uint8Array([...signature.subarray(0, 32), ...Buffer.from(flipped, 'hex')])
}
