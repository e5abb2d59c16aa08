import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignedRepo } from '../../../test/support/signed-repo.ts'
import { loadVerifier } from '../../crypto/verifier.ts'
import type { PeekedFrame } from '../../stream/peek-frame.ts'
import { arrivedFrame } from '../testing/fixtures.ts'
import { verifyFrame, verifyFrameBytes } from './verify-frame.ts'

const verifier = await loadVerifier()
const repo = new SignedRepo({ seed: 'verify frame' })
const context = { key: repo.key.publicKey, verifier, nowMs: Date.UTC(2026, 5, 1) }

function peekedCommit(): PeekedFrame {
  const frame = arrivedFrame('#commit', { ...repo.apply([]), seq: 77 })
  assert.ok(frame.kind === 'peeked')
  return frame
}

test('I3: what was acted upon before a frame was parsed must be what the frame says', () => {
  const peeked = peekedCommit()
  assert.ok(verifyFrame(peeked, context).ok)
  const others: Partial<PeekedFrame>[] = [
    { type: '#sync' },
    { did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' },
    { rev: '3kabcdefghijk' },
    { seq: 78 },
    { seqOffset: peeked.seqOffset + 1 },
    { seqLength: peeked.seqLength + 1 },
  ]
  for (const other of others) {
    const verdict = verifyFrame({ ...peeked, ...other }, context)
    assert.equal(verdict.ok ? 'ok' : verdict.reason, 'frame-malformed', JSON.stringify(other))
  }
})

test('the bytes alone give the same verdict, and other events give none', () => {
  const peeked = peekedCommit()
  assert.deepEqual(verifyFrameBytes(peeked.bytes, context), verifyFrame(peeked, context))
  const time = '2026-01-01T00:00:00Z'
  const identity = arrivedFrame('#identity', { seq: 1, did: repo.did, time })
  const verdict = verifyFrameBytes(identity.bytes, context)
  assert.equal(verdict.ok ? 'ok' : verdict.reason, 'frame-malformed')
})
