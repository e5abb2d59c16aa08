/** Commits whose blocks are not a good CAR. */
import { BytesWrapper } from '@atcute/cbor'
import { encodeCar } from '../data/car-stream.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { concatBytes } from '../lib/bytes.ts'
import { signCommit } from '../repo/commit.ts'
import { EMPTY_TREE_CID } from '../repo/tree-node.ts'
import type { CommitBody } from '../stream/frame-types.ts'
import { type BadEventCase, cases } from './bad-event.ts'
import { blockOf, blocksOf, deepCbor, nodeBlock, rootBlock, withCar } from './hostile-commit.ts'

const carOf = (good: CommitBody, bytes: Uint8Array): CommitBody => ({
  ...good,
  blocks: new BytesWrapper(bytes),
})

/** Commits whose blocks are not a good CAR. */
export const CARS: readonly BadEventCase[] = [
  ...cases('car-malformed', {
    'no bytes': ({ good }) => carOf(good, new Uint8Array()),
    'cut in the header': ({ good }) => carOf(good, good.blocks.buf.slice(0, 20)),
    'cut in the last block': ({ good }) => carOf(good, good.blocks.buf.slice(0, -1)),
    'bytes after the last block': ({ good }) =>
      carOf(good, concatBytes([good.blocks.buf, Uint8Array.of(5)])),
    'version 2': ({ good }) => {
      const header = encodeDrisl({ roots: [good.commit], version: 2 })
      return carOf(good, concatBytes([Uint8Array.of(header.length), header]))
    },
    'a header of 4,000 arrays': ({ good }) =>
      carOf(good, concatBytes([Uint8Array.of(0xa1, 0x1f), deepCbor(4_000)])),
  }),
  ...cases('car-roots', { 'no root': ({ good }) => withCar(good, blocksOf(good), []) }),
  ...cases('car-root-missing', {
    'the commit is not there': ({ good }) => withCar(good, blocksOf(good).slice(1)),
  }),
  ...cases('car-cid-kind', {
    'a block under a SHA-512 CID': ({ good }) =>
      carOf(
        good,
        concatBytes([good.blocks.buf, Uint8Array.of(40, 1, 0x71, 0x13, 0x20), new Uint8Array(36)]),
      ),
    'a block shorter than a CID': ({ good }) =>
      carOf(good, concatBytes([good.blocks.buf, Uint8Array.of(1, 1)])),
  }),
  ...cases('car-hash-mismatch', {
    'a bit of the last block flipped': ({ good }) => {
      const bytes = good.blocks.buf.slice()
      bytes[bytes.length - 1] = must(bytes.at(-1), 'byte') ^ 1
      return carOf(good, bytes)
    },
    'a node that points at itself': ({ repo, good }) => {
      const root = rootBlock(repo)
      const itself = nodeBlock([], root).block
      return withCar(good, [
        ...blocksOf(good).filter(({ block }) => block !== root.block),
        { cid: root.cid, block: itself },
      ])
    },
    'the commit of another account under this name': ({ repo, good }) => {
      const other = signCommit(
        { did: 'did:plc:stranger', rev: good.rev, data: EMPTY_TREE_CID },
        repo.key,
      )
      return withCar(good, [
        { cid: good.commit.bytes, block: other.block },
        ...blocksOf(good).slice(1),
      ])
    },
  }),
  ...cases('car-too-many-blocks', {
    '10,001 blocks': ({ good }) => {
      const tiny = blockOf(Uint8Array.of(0xa0))
      const many = encodeCar(
        [],
        Array.from({ length: 10_001 }, () => tiny),
      )
      const none = encodeCar([], []).length
      return carOf(good, concatBytes([good.blocks.buf, many.subarray(none)]))
    },
  }),
]
