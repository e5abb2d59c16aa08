/**
 * CAR version 1 that lies in memory: every block is hashed once, or none, and nothing is copied.
 *
 * ```
 * car    = varint(header length) header { varint(36 + block length) cid(36) block }
 * header = DRISL map { roots: [CID, ...], version: 1 }
 * ```
 *
 * Order, duplicates and blocks that nobody needs are tolerated, as the repository specification
 * asks of parsers; another kind of CID anywhere, or a wrong hash when hashes are asked for, is not.
 */
import { CidLinkWrapper } from '@atcute/cid'
import { plainBytes } from '../lib/bytes.ts'
import { CAR_HEADER_BYTES_MAX, COMMIT_BLOCKS_BYTES_MAX } from '../lib/limits.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { CID_BYTES, hashMatches, isCidBytes } from './cid.ts'
import { BlockIndex } from './block-index.ts'
import { decodeDrisl } from './drisl.ts'
import { readVarint, varintValue } from './varint.ts'

export type CarReason = Extract<InvalidReason, `car-${string}`>

export interface CarLimits {
  /** Most blocks, duplicates included. */
  readonly blocksMax: number
  /** Largest single block, bytes. */
  readonly blockBytesMax?: number
}

/** A parsed CAR: the bytes it lies in, its roots and an index over its blocks. */
export interface Car {
  /** CIDs of the header, in its order, as views. Never empty. */
  readonly roots: readonly Uint8Array[]
  readonly blocks: BlockIndex
}

/** Parses and hash-checks a whole CAR. The result refers to `source`, which must not change. */
export function parseCar(source: Uint8Array, limits: CarLimits): Result<Car, CarReason> {
  return readCar(source, limits, hashMatches)
}

/**
 * As {@link parseCar}, without hashing: a block may be other bytes than its CID says. For readers
 * who believe the sender, or who have had the same bytes checked before.
 */
export function indexCar(source: Uint8Array, limits: CarLimits): Result<Car, CarReason> {
  return readCar(source, limits, () => true)
}

/** Whether a block is what the CID at an offset says. */
type BlockCheck = (bytes: Uint8Array, cidOffset: number, block: Uint8Array) => boolean

function readCar(
  source: Uint8Array,
  limits: CarLimits,
  isGood: BlockCheck,
): Result<Car, CarReason> {
  const bytes = plainBytes(source)
  const headerStart = readVarint(bytes, 0)
  if (headerStart <= 0) return fail('car-malformed', 'CAR: no header length')
  const headerEnd = headerStart + varintValue()
  if (varintValue() > CAR_HEADER_BYTES_MAX) return fail('car-malformed', 'CAR: header too long')
  if (headerEnd > bytes.length) return fail('car-malformed', 'CAR: cut in the header')
  const roots = parseCarHeader(bytes.subarray(headerStart, headerEnd))
  if (!roots.ok) return roots
  const blocks = indexBlocks(bytes, headerEnd, limits, isGood)
  return blocks.ok ? ok({ roots: roots.value, blocks: blocks.value }) : blocks
}

/** Reads the roots out of the bytes of a CAR header; at least one is demanded. */
export function parseCarHeader(header: Uint8Array): Result<readonly Uint8Array[], CarReason> {
  const decoded = decodeDrisl(header)
  if (!decoded.ok) return fail('car-malformed', `CAR header: ${decoded.reason}`)
  const map = decoded.value
  if (typeof map !== 'object' || map === null || !('version' in map) || !('roots' in map)) {
    return fail('car-malformed', 'CAR header: no map with version and roots')
  }
  if (map.version !== 1) return fail('car-malformed', 'CAR header: version is not 1')
  if (!Array.isArray(map.roots)) return fail('car-malformed', 'CAR header: roots is no list')
  const roots: Uint8Array[] = []
  for (const root of map.roots as readonly unknown[]) {
    if (!(root instanceof CidLinkWrapper))
      return fail('car-malformed', 'CAR header: root is no CID')
    roots.push(root.bytes)
  }
  return roots.length === 0 ? fail('car-roots', 'CAR header: no root') : ok(roots)
}

function indexBlocks(
  bytes: Uint8Array,
  start: number,
  limits: CarLimits,
  isGood: BlockCheck,
): Result<BlockIndex, CarReason> {
  const blockBytesMax = limits.blockBytesMax ?? COMMIT_BLOCKS_BYTES_MAX
  const starts: number[] = []
  const ends: number[] = []
  let pos = start
  while (pos < bytes.length) {
    const cidStart = readVarint(bytes, pos)
    if (cidStart <= 0) return fail('car-malformed', `CAR: no block length at ${pos}`)
    const end = cidStart + varintValue()
    if (end > bytes.length) return fail('car-malformed', `CAR: cut in the block at ${pos}`)
    if (starts.length === limits.blocksMax) {
      return fail('car-too-many-blocks', `CAR: over ${limits.blocksMax} blocks`)
    }
    const blockStart = cidStart + CID_BYTES
    if (blockStart > end || !isCidBytes(bytes, cidStart)) {
      return fail('car-cid-kind', `CAR: CID at ${cidStart} is of another kind`)
    }
    if (end - blockStart > blockBytesMax) {
      return fail('car-block-too-large', `CAR: block at ${cidStart} has ${end - blockStart} bytes`)
    }
    if (!isGood(bytes, cidStart, bytes.subarray(blockStart, end))) {
      return fail('car-hash-mismatch', `CAR: block at ${cidStart} does not hash to its CID`)
    }
    starts.push(cidStart)
    ends.push(end)
    pos = end
  }
  return ok(new BlockIndex(bytes, starts, ends))
}
