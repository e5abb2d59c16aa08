/**
 * Four `#commit` messages of early 2025, before operations could be inverted: none has `prevData`.
 *
 * The signing keys of that time are not known, so the signature check is replaced by one that
 * accepts everything; the rest is verified. What each must end with is computed beside it from the
 * same blocks by the reference tree.
 */
import { readdir } from 'node:fs/promises'

import { PrivateKey } from '../../src/crypto/private-key.ts'
import type { SignatureVerifier } from '../../src/crypto/verifier.ts'
import { parseCar } from '../../src/data/car.ts'
import { cidFromString, cidToString } from '../../src/data/cid.ts'
import { decodeCommit } from '../../src/repo/commit.ts'
import { verifyCommit, type CommitEvent } from '../../src/repo/verify.ts'
import { buildTree, contentsOf, SubtreeNeeded } from '../support/reference-tree.ts'
import { runCases, type SuiteResult } from './suite-result.ts'
import { fromDataJson, readJson } from './vector-files.ts'

/**
 * Reason, and the CID that the detail must name: the missing node, or the tree with the ops undone.
 */
interface Expected {
  readonly reason: string
  readonly cid: string
}

const EXPECTED: Readonly<Record<string, Expected>> = {
  // The created record stands between two subtrees, of which the right one is not in the CAR.
  'firehose_commit_4621317030.json': {
    reason: 'mst-block-missing',
    cid: 'bafyreib53rpa22j37zopupxk73qcavwws26nfnrww3iqjrhrzvcqfv54de',
  },
  'firehose_commit_4621317332.json': {
    reason: 'mst-block-missing',
    cid: 'bafyreihakg2pbt4behbphrpcx3u5hz5eziqsbudhlfsoda5eab6hixl3ea',
  },
  // 42 creates. Every subtree that would have to be joined holds nothing but created records.
  'firehose_commit_4621332152.json': {
    reason: 'prev-data-missing',
    cid: 'bafyreid4lxi7jmskjiigk6lfsmm55qmyy5zepfqlus5csbo37i4uc7drs4',
  },
  // The first record of an account: undone, nothing stays but the subtree behind it.
  'firehose_commit_4623075231.json': {
    reason: 'prev-data-missing',
    cid: 'bafyreicfeeojgjj7gtgl6go25tk5jmcuoytjp5hhulbdd7gwzk7gtqw3ka',
  },
}

const ACCEPTS_EVERYTHING: SignatureVerifier = {
  backends: { k256: 'none', p256: 'none' },
  skipped: [],
  verify: () => 'ok',
  verifyAsync: () => Promise.resolve('ok'),
}

/** A time after all of them. */
const NOW_MS = Date.UTC(2025, 6, 1)

interface LegacyCase {
  readonly fileName: string
  readonly event: CommitEvent
}

/** Runs all files. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/commits`
  const cases: LegacyCase[] = []
  for (const fileName of (await readdir(directory)).sort()) {
    const json = await readJson<Readonly<Record<string, unknown>>>(`${directory}/${fileName}`)
    const event = fromDataJson({ ...json, blobs: json['blobs'] ?? [] }) as CommitEvent
    cases.push({ fileName, event })
  }
  return [
    runCases('legacy commits: verdict, signatures not checked', cases, checkVerdict),
    runCases('legacy commits: verdict, by the reference tree', cases, checkReference),
  ]
}

function checkVerdict({ fileName, event }: LegacyCase): string | null {
  const { publicKey } = PrivateKey.import('k256', new Uint8Array(32).fill(1))
  const context = { key: publicKey, verifier: ACCEPTS_EVERYTHING, nowMs: NOW_MS }
  const verdict = verifyCommit(event, context)
  if (verdict.ok) return `${fileName}: accepted`
  const expected = EXPECTED[fileName]
  if (expected === undefined) return `${fileName}: not in the table`
  const found = `${verdict.reason} ${verdict.detail}`
  const agrees = verdict.reason === expected.reason && verdict.detail.includes(expected.cid)
  return agrees ? null : `${fileName}: ${found}`
}

/** Takes the created records out of the tree as far as it is there, and builds what remains. */
function checkReference({ fileName, event }: LegacyCase): string | null {
  const expected = EXPECTED[fileName]
  const car = parseCar(event.blocks.buf, { blocksMax: 1_000 })
  if (!car.ok || expected === undefined) return `${fileName}: unreadable`
  const block = (text: string): Uint8Array | null => {
    const cid = cidFromString(text)
    return cid === null ? null : car.value.blocks.get(cid)
  }
  const commit = decodeCommit(car.value.blocks.get(event.commit.bytes) ?? new Uint8Array(0))
  if (!commit.ok) return `${fileName}: ${commit.detail}`
  const created = new Set(event.ops.map(({ path }) => path))
  const left = contentsOf(cidToString(commit.value.data), block).filter(
    (content) => content.kind === 'subtree' || !created.has(content.key),
  )
  try {
    const { root } = buildTree(left)
    return expected.reason === 'prev-data-missing' && root === expected.cid
      ? null
      : `${fileName}: undone, the tree is ${root}`
  } catch (error) {
    if (!(error instanceof SubtreeNeeded)) throw error
    return expected.reason === 'mst-block-missing' && error.cid === expected.cid
      ? null
      : `${fileName}: ${error.cid} is needed`
  }
}
