/**
 * Verifies one CAR file in a fresh process, so that its memory is that of the verification:
 * `repo-verify.ts skein|rival FILE DID KEY`.
 */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'

import { verifyRepoCar } from '@atproto/repo'

import { parseDidKey } from '../src/crypto/public-key.ts'
import { loadVerifier } from '../src/crypto/verifier.ts'
import { assert, must } from '../src/lib/assert.ts'
import { fail, ok } from '../src/lib/result.ts'
import { unsignedBytes } from '../src/repo/commit.ts'
import { readRepo } from '../src/repo/repo-reader.ts'
import { type Cost, costOf } from './bench.ts'

const MIB = 2 ** 20
/** How often the memory is looked at while a side works, ms. */
const LOOK_MS = 20
/** What `fs` reads at once, bytes. */
const CHUNK_BYTES = 65_536

/** What was found, as one line of JSON on standard output. */
export interface RepoVerifyFindings extends Cost {
  readonly records: number
  /** The most over what the process had before. */
  readonly rssGrowthMib: number
}

/** Verifies the CAR at `path`; gives the number of its records. */
type Verify = (path: string, did: string, key: string) => Promise<number>

async function verifySkein(path: string, did: string, keyText: string): Promise<number> {
  const verifier = await loadVerifier()
  const key = must(parseDidKey(keyText), 'key')
  const repo = await readRepo(createReadStream(path, { highWaterMark: CHUNK_BYTES }), {
    did,
    judge: ({ signature }, block) => {
      const verdict = verifier.verify(key, unsignedBytes(block), signature)
      return Promise.resolve(verdict === 'ok' ? ok(undefined) : fail(verdict, 'signature'))
    },
  })
  let records = 0
  for await (const record of repo.records) if (record.bytes.length > 0) records++
  return records
}

async function verifyRival(path: string, did: string, key: string): Promise<number> {
  const { creates } = await verifyRepoCar(await readFile(path), did, key)
  return creates.length
}

async function measure(verify: Verify, path: string, did: string, key: string): Promise<void> {
  const before = process.memoryUsage.rss()
  const highBefore = process.resourceUsage().maxRSS
  let peak = before
  const look = (): void => void (peak = Math.max(peak, process.memoryUsage.rss()))
  const timer = setInterval(look, LOOK_MS)
  let records = 0
  const cost = await costOf(async () => {
    records = await verify(path, did, key)
  })
  clearInterval(timer)
  look()
  // The system's own mark sees what lies between two looks.
  const high = process.resourceUsage().maxRSS
  if (high > highBefore) peak = Math.max(peak, high * 1_024)
  const findings: RepoVerifyFindings = { ...cost, records, rssGrowthMib: (peak - before) / MIB }
  process.stdout.write(`${JSON.stringify(findings)}\n`)
}

const [side, path, did, key] = process.argv.slice(2)
assert(side === 'skein' || side === 'rival', 'a side')
const verify = side === 'skein' ? verifySkein : verifyRival
await measure(verify, must(path, 'path'), must(did, 'DID'), must(key, 'key'))
