/** Every hostile commit of the catalogue, and real ones with their bits flipped. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'

import { BAD_EVENTS } from '../../src/sim/bad-events.ts'
import { GOOD_PATH } from '../../src/sim/bad-event.ts'
import { SignedRepo } from '../support/signed-repo.ts'
import { RELAY_FRAMES_NOW_MS } from '../vectors/suite-relay-frames.ts'
import { findSharedDirectory } from '../vectors/suite-result.ts'
import { readFrames, readKeys } from '../vectors/vector-files.ts'
import type { PublicKey } from '../../src/crypto/public-key.ts'
import { loadVerifier, type SignatureVerifier } from '../../src/crypto/verifier.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { parseFrame } from '../../src/stream/frame.ts'
import { encodeMessageFrame } from '../../src/stream/own-frames.ts'
import { ADJUSTABLE_CHECKS, type CheckModes } from '../../src/repo/checks.ts'
import { verifyCommit, verifySync } from '../../src/repo/verify.ts'

let verifier: SignatureVerifier
before(async () => {
  verifier = await loadVerifier()
})

const EVERYTHING_OFF: CheckModes = Object.fromEntries(
  ADJUSTABLE_CHECKS.map((check) => [check, 'off'] as const),
)

/** Parses a frame and judges the commit or sync in it: a reason, `ok`, or the kind of frame. */
function judgeFrame(
  frame: Uint8Array,
  key: PublicKey | undefined,
  nowMs: number,
  checks: CheckModes = {},
): string {
  const parsed = parseFrame(frame)
  if (!parsed.ok) return parsed.reason
  const { value } = parsed
  if (value.kind !== 'message' || key === undefined) return value.kind
  const context = { key, verifier, nowMs, checks }
  if (value.type === '#commit') {
    const verdict = verifyCommit(value.body, context)
    return verdict.ok ? 'ok' : verdict.reason
  }
  if (value.type !== '#sync') return value.kind
  const verdict = verifySync(value.body, context)
  return verdict.ok ? 'ok' : verdict.reason
}

test('each commit of the catalogue is refused for its reason, and never throws', () => {
  let commits = 0
  for (const { name, reason, make } of BAD_EVENTS) {
    const repo = new SignedRepo({ seed: 'hostile', startMs: systemClock.nowMs() - 60_000 })
    repo.apply([])
    const good = repo.apply([{ action: 'create', path: GOOD_PATH, record: { good: true } }])
    const event = make({ repo, good, seq: 7, nowMs: systemClock.nowMs() })
    if (typeof event === 'string') continue
    const frame =
      event instanceof Uint8Array ? event : encodeMessageFrame('#commit', { ...event, seq: 7 })
    const key = repo.key.publicKey
    const nowMs = systemClock.nowMs()
    // Some reasons are those of the relay, which the verdict alone does not give.
    const found = judgeFrame(frame, key, nowMs)
    if (!(event instanceof Uint8Array)) {
      assert.equal(found, reason, name)
      commits++
    }
    judgeFrame(frame, key, nowMs, EVERYTHING_OFF)
  }
  assert.ok(commits >= 50, `${commits} commits`)
})

const directory = findSharedDirectory()
const skip = directory === null ? '../shared/vectors is absent' : false

test('real frames with random bits flipped never throw', { skip }, async () => {
  const frames = await readFrames(`${directory}/vectors/relay-frames/frames.bin.gz`)
  const keys = await readKeys(`${directory}/vectors/relay-frames/did-docs.json`)
  const random = seededRandom(20_260_704)
  const reasons = new Map<string, number>()
  let harmless = 0
  for (const frame of frames) {
    const key = keyOf(frame, keys)
    for (let round = 0; round < 40; round++) {
      const damaged = frame.slice()
      const flips = round < 25 ? 1 : 1 + Math.floor(random.next() * 8)
      for (let i = 0; i < flips; i++) {
        const at = Math.floor(random.next() * damaged.length)
        damaged[at] = (damaged[at] ?? 0) ^ (1 << Math.floor(random.next() * 8))
      }
      const checks = round % 2 === 0 ? {} : EVERYTHING_OFF
      const outcome = judgeFrame(damaged, key, RELAY_FRAMES_NOW_MS, checks)
      reasons.set(outcome, (reasons.get(outcome) ?? 0) + 1)
      if (outcome === 'ok' && round % 2 === 0) harmless++
    }
  }
  // Most bits lie in blocks. Harmless are those of seq, time and flags that mean nothing.
  assert.ok((reasons.get('car-hash-mismatch') ?? 0) > 1_000)
  assert.ok((reasons.get('frame-malformed') ?? 0) > 20)
  assert.ok(harmless < 100, `${harmless} harmless`)
})

test('real frames with a run of bytes exchanged never throw', { skip }, async () => {
  const frames = await readFrames(`${directory}/vectors/relay-frames/frames.bin.gz`)
  const keys = await readKeys(`${directory}/vectors/relay-frames/did-docs.json`)
  const random = seededRandom(1)
  for (const frame of frames) {
    const key = keyOf(frame, keys)
    for (let round = 0; round < 10; round++) {
      const from = Math.floor(random.next() * frame.length)
      const to = Math.floor(random.next() * frame.length)
      const length = Math.floor(random.next() * 60)
      const damaged = frame.slice()
      damaged.set(frame.subarray(from, Math.min(from + length, frame.length + from - to)), to)
      judgeFrame(damaged, key, RELAY_FRAMES_NOW_MS, EVERYTHING_OFF)
      judgeFrame(frame.subarray(0, to), key, RELAY_FRAMES_NOW_MS)
    }
  }
})

function keyOf(frame: Uint8Array, keys: ReadonlyMap<string, PublicKey>): PublicKey | undefined {
  const parsed = parseFrame(frame)
  assert.ok(parsed.ok && parsed.value.kind === 'message' && parsed.value.type === '#commit')
  const key = keys.get(parsed.value.body.repo)
  assert.ok(key)
  return key
}
