/** Fetching one record with its proof, and showing both. */

import { isCallError } from '../../client/calls/call-error.ts'
import { parseCar } from '../../data/car.ts'
import { cidToString } from '../../data/cid.ts'
import { must } from '../../lib/assert.ts'
import { COMMIT_CAR_BLOCKS_MAX } from '../../lib/limits.ts'
import { fail, ok } from '../../lib/result.ts'
import { type ProvenRecord, verifyRecordProofAsync } from '../../repo/record-proof.ts'
import { RepoReadError } from '../../repo/repo-reader.ts'
import { toTid, tidMicros } from '../../syntax/tid.ts'
import { EXIT } from '../io.ts'
import { formatBytes, jsonText, type Output } from '../shared/output.ts'
import { recordJson } from './record-view.ts'
import type { RepoSource, SignatureFacts } from './repo-source.ts'

/** A proof that holds, or what the service says without one. */
export type RecordProof = HeldProof | SaidAbsence

export interface HeldProof {
  readonly kind: 'proven'
  readonly uri: string
  readonly rev: string
  /** CID of the commit. */
  readonly commit: string
  /** Null for a proof that no record stands there. */
  readonly record: { readonly cid: string; readonly bytes: Uint8Array } | null
  readonly car: Uint8Array
  /** Blocks of the CAR. */
  readonly blocks: number
  readonly signature: SignatureFacts
  readonly service: string
}

export interface SaidAbsence {
  readonly kind: 'said'
  readonly uri: string
  readonly service: string
}

/**
 * Asks for the record and checks the proof.
 *
 * @throws CallError; RepoReadError when the proof does not hold.
 */
export async function fetchProof(source: RepoSource, path: string): Promise<RecordProof> {
  const client = must(source.client, 'client of a live source')
  const did = must(source.did, 'DID of a live source')
  const slash = path.indexOf('/')
  const [collection, rkey] = [path.slice(0, slash), path.slice(slash + 1)]
  const uri = `at://${did}/${path}`
  try {
    const stream = await client.getRecord({ did, collection, rkey })
    const car = await stream.bytes()
    const proven = await check(source, did, path, car)
    return { kind: 'proven', uri, ...proven, car, service: client.service }
  } catch (error) {
    if (!isCallError(error, 'RecordNotFound')) throw error
    return { kind: 'said', uri, service: client.service }
  }
}

async function check(
  source: RepoSource,
  did: string,
  path: string,
  car: Uint8Array,
): Promise<Pick<HeldProof, 'rev' | 'record' | 'commit' | 'blocks' | 'signature'>> {
  const proven = await source.withKey(did, async (key, verifier) => {
    const verdict = await verifyRecordProofAsync(car, { did, path, key, verifier })
    return verdict.ok ? ok(verdict.value) : fail(verdict.reason, verdict.detail)
  })
  if (!proven.ok) {
    const fault = proven.reason.startsWith('identity-') ? 'unverifiable' : 'invalid'
    throw new RepoReadError(fault, proven.reason, proven.detail)
  }
  const { rev, record } = proven.value
  const parsed = parseCar(car, { blocksMax: COMMIT_CAR_BLOCKS_MAX })
  const root = parsed.ok ? must(parsed.value.roots[0], 'root of a proof that holds') : null
  return {
    rev,
    commit: cidToString(must(root, 'CAR of a proof that holds')),
    record: shown(record),
    blocks: parsed.ok ? parsed.value.blocks.size : 0,
    signature: source.signature,
  }
}

function shown(record: ProvenRecord['record']): HeldProof['record'] {
  return record === null ? null : { cid: cidToString(record.cid), bytes: record.block }
}

/** Prints a record, its absence, and with `proof` what proves it; gives the exit code. */
export async function printRecord(
  output: Output,
  proof: RecordProof,
  show: 'record' | 'proof',
): Promise<number> {
  const facts = show === 'proof' && proof.kind === 'proven' ? proofFacts(proof) : null
  if (proof.kind === 'said') {
    const { uri, service } = proof
    if (output.isJson) await output.json({ uri, cid: null, proven: false })
    output.remark(`${uri}: ${service} says that there is no such record, without proof`)
    return EXIT.absent
  }
  const { uri, rev, record } = proof
  if (record === null) {
    if (output.isJson) {
      await output.json({ uri, rev, cid: null, proven: true, ...(facts && { proof: facts }) })
    }
    output.remark(`${uri} is proven not to be there as of rev ${rev}`)
  } else {
    const { cid } = record
    const json = recordJson(record.bytes)
    if (output.isJson) {
      await output.json({ uri, rev, cid, proven: true, ...json, ...(facts && { proof: facts }) })
    } else {
      if ('error' in json) output.remark(`${uri} holds bytes that are no record: ${json.error}`)
      await output.line('error' in json ? json.bytes : jsonText(json.value, 2))
    }
  }
  if (facts !== null && !output.isJson) await printFacts(output, proof)
  return record === null ? EXIT.absent : EXIT.ok
}

function proofFacts(proof: HeldProof): object {
  const { commit, car, blocks, signature, service } = proof
  return { commit, service, key: signature.key, carBytes: car.length, blocks }
}

async function printFacts(output: Output, proof: HeldProof): Promise<void> {
  const { uri, rev, commit, record, car, blocks, signature, service } = proof
  await output.line()
  await output.facts([
    ['record', uri],
    ['cid', record?.cid ?? 'proven not to be there'],
    ['rev', `${rev}, ${new Date(tidMicros(toTid(rev)) / 1_000).toISOString()}`],
    ['commit', commit],
    [
      'key',
      `${signature.key ?? ''} by ${signature.keyFrom === 'option' ? '--key' : 'DID document'}`,
    ],
    ['proof', `${blocks} blocks, ${formatBytes(car.length)}, from ${service}`],
    ['signature', 'good'],
  ])
}
