import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignedRepo } from '../../../test/support/signed-repo.ts'
import { publicKeyFromKept } from '../../crypto/public-key.ts'
import { fail, ok } from '../../lib/result.ts'
import { arrivedFrame } from '../testing/fixtures.ts'
import {
  OutcomeReader,
  OutcomeWriter,
  packJobs,
  requestBytes,
  resultsBytes,
  unpackJobs,
} from './batch-codec.ts'
import type { VerifyJob, VerifyOutcome } from './frame-verifier.ts'

function jobOf(curve: 'k256' | 'p256', text: string): VerifyJob {
  const repo = new SignedRepo({ seed: text, curve })
  const commit = repo.apply([
    { action: 'create', path: 'org.example.note/a', record: { text: 'x'.repeat(text.length) } },
  ])
  const frame = arrivedFrame('#commit', commit)
  assert.ok(frame.kind === 'peeked')
  const key = repo.key.publicKey
  return { frame, key, nowMs: 1_700_000_000_123.5, hostId: 7, onVerified: () => undefined }
}

test('jobs come out of a request as they went in, also out of one that is larger', () => {
  const jobs = [jobOf('k256', 'one'), jobOf('p256', 'another'), jobOf('k256', 'x')]
  for (const spare of [0, 100]) {
    const request = new ArrayBuffer(requestBytes(jobs) + spare)
    packJobs(request, jobs)
    const unpacked = [...unpackJobs(request, jobs.length)]
    assert.equal(unpacked.length, 3)
    for (const [at, { curve, key, nowMs, frame }] of unpacked.entries()) {
      const job = jobs[at] as VerifyJob
      assert.deepEqual(publicKeyFromKept(curve, key), job.key)
      assert.equal(nowMs, job.nowMs)
      assert.deepEqual(frame, new Uint8Array(job.frame.bytes))
    }
  }
})

const cid = (byte: number): Uint8Array => new Uint8Array(36).fill(byte)

test('outcomes come out of the results as they went in', () => {
  const verified = {
    did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
    rev: '3kabcdefghijk',
    commit: cid(1),
    data: cid(2),
    since: '3kabcdefghijj',
    prevData: cid(3),
    warnings: [],
  }
  const warnings = [{ reason: 'op-path-repeated', detail: '2 paths' }] as const
  const outcomes: VerifyOutcome[] = [
    { verdict: ok(verified), tookMs: 0.125 },
    { verdict: ok({ ...verified, since: null, prevData: null }), tookMs: 3 },
    { verdict: fail('signature-invalid', 'k256 signature'), tookMs: 0.25 },
    { verdict: null, tookMs: 0 },
    { verdict: ok({ ...verified, warnings }), tookMs: 1 },
    { verdict: ok({ ...verified, prevData: null }), tookMs: 1 },
  ]
  // Buffers are used again: nothing of an earlier batch may show.
  const results = new ArrayBuffer(resultsBytes(outcomes.length))
  new Uint8Array(results).fill(0xff)
  const writer = new OutcomeWriter(results)
  for (const [at, outcome] of outcomes.entries()) writer.write(at, outcome)
  assert.deepEqual(
    writer.extras.map(({ at }) => at),
    [2, 4],
  )
  const reader = new OutcomeReader(results, structuredClone(writer.extras))
  for (const [at, outcome] of outcomes.entries()) {
    assert.deepEqual(reader.read(at, verified.did), outcome)
  }
})
