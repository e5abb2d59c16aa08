/** Frames of a relay of the whole network: every commit must be valid with the keys of that day. */
import { loadVerifier } from '../../src/crypto/verifier.ts'
import { parseCar } from '../../src/data/car.ts'
import { cidFromString, cidToString } from '../../src/data/cid.ts'
import { must } from '../../src/lib/assert.ts'
import { decodeCommit } from '../../src/repo/commit.ts'
import { verifyCommit } from '../../src/repo/verify.ts'
import { parseFrame } from '../../src/stream/frame.ts'
import type { CommitBody } from '../../src/stream/frame-types.ts'
import { buildTree, contentsOf, type Content } from '../support/reference-tree.ts'
import { runCases, type SuiteResult } from './suite-result.ts'
import { readFrames, readKeys } from './vector-files.ts'

/** Just after the last of them was sent. */
export const RELAY_FRAMES_NOW_MS: number = Date.UTC(2026, 6, 4, 14, 38, 8)

/** Runs all frames. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/relay-frames`
  const frames = await readFrames(`${directory}/frames.bin.gz`)
  const keys = await readKeys(`${directory}/did-docs.json`)
  const verifier = await loadVerifier()
  const checkVerdict = (frame: Uint8Array): string | null => {
    const body = commitOf(frame)
    const key = must(keys.get(body.repo), `key of ${body.repo}`)
    const verdict = verifyCommit(body, { key, verifier, nowMs: RELAY_FRAMES_NOW_MS })
    if (!verdict.ok) return `seq ${body.seq}: ${verdict.reason}: ${verdict.detail}`
    const [warning] = verdict.value.warnings
    return warning === undefined ? null : `seq ${body.seq}: warning ${warning.reason}`
  }
  return [
    runCases('relay-frames: signature, proof and inversion', frames, checkVerdict),
    runCases('relay-frames: inversion by the reference tree', frames, checkReference),
  ]
}

function commitOf(frame: Uint8Array): CommitBody {
  const parsed = parseFrame(frame)
  if (!parsed.ok) throw new Error(parsed.detail)
  if (parsed.value.kind !== 'message' || parsed.value.type !== '#commit') {
    throw new Error('not a #commit')
  }
  return parsed.value.body
}

/**
 * Undoes the operations on the contents of the tree, and builds the tree of before from what
 * remains.
 */
function checkReference(frame: Uint8Array): string | null {
  const { seq, ops, blocks, commit, prevData } = commitOf(frame)
  const car = parseCar(blocks.buf, { blocksMax: 10_000 })
  if (!car.ok) return `seq ${seq}: ${car.detail}`
  const signed = decodeCommit(must(car.value.blocks.get(commit.bytes), 'commit'))
  if (!signed.ok) return `seq ${seq}: ${signed.detail}`
  const block = (cid: string): Uint8Array | null =>
    car.value.blocks.get(must(cidFromString(cid), 'CID'))
  const before = contentsOf(cidToString(signed.value.data), block)
  for (const op of ops.toReversed()) undo(before, op.path, op.prev?.$link ?? null)
  const { root } = buildTree(before)
  return root === prevData?.$link ? null : `seq ${seq}: undone, the tree is ${root}`
}

/** Puts `value` at `key`, or nothing. A new key goes before the first record that is after it. */
function undo(contents: Content[], key: string, value: string | null): void {
  const at = contents.findIndex((content) => content.kind === 'record' && content.key >= key)
  const found = contents[at]
  const stands = found?.kind === 'record' && found.key === key
  const records: Content[] = value === null ? [] : [{ kind: 'record', key, value }]
  contents.splice(at === -1 ? contents.length : at, stands ? 1 : 0, ...records)
}
