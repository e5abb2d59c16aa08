import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignedRepo } from '../support/signed-repo.ts'
import { loadVerifier } from '../../src/crypto/verifier.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { GOOD_PATH } from '../../src/sim/bad-event.ts'
import { BAD_EVENTS } from '../../src/sim/bad-events.ts'
import { encodeMessageFrame } from '../../src/stream/own-frames.ts'
import { peekFrame } from '../../src/stream/peek-frame.ts'
import type { VerifyJob, VerifyOutcome } from '../../src/relay/verifiers/frame-verifier.ts'
import { startThread, type VerifierThread } from '../../src/relay/verifiers/start-thread.ts'
import { VerifierPool } from '../../src/relay/verifiers/verifier-pool.ts'
import { verifyFrame } from '../../src/relay/verifiers/verify-frame.ts'

const NOW_MS = systemClock.nowMs()
const verifier = await loadVerifier()

interface Item {
  readonly name: string
  readonly job: Omit<VerifyJob, 'onVerified'>
}

/** Every hostile commit that can be peeked at, each after an honest one of the same account. */
function catalogue(): Item[] {
  const items: Item[] = []
  for (const [i, { name, reason, make }] of BAD_EVENTS.entries()) {
    const repo = new SignedRepo({ seed: `pool ${i}`, startMs: NOW_MS - 60_000 })
    const first = repo.apply([])
    const good = repo.apply([{ action: 'create', path: GOOD_PATH, record: { good: true } }])
    const event = make({ repo, good, seq: 7, nowMs: NOW_MS })
    if (typeof event === 'string') continue
    const bytes =
      event instanceof Uint8Array ? event : encodeMessageFrame('#commit', { ...event, seq: 7 })
    const messages = [encodeMessageFrame('#commit', { ...first, seq: 6 }), bytes]
    for (const message of messages) {
      const frame = peekFrame(message)
      if (frame === null) continue
      const job = { frame, key: repo.key.publicKey, nowMs: NOW_MS, hostId: i % 3 }
      items.push({ name: `${reason}: ${name}`, job })
    }
  }
  return items
}

interface Verified {
  readonly item: Item
  readonly outcome: VerifyOutcome
}

/** Gives everything to a pool; resolves with the outcomes in the order in which they came. */
async function verifyAll(pool: VerifierPool, items: readonly Item[]): Promise<Verified[]> {
  const verified: Verified[] = []
  const done = Promise.withResolvers<void>()
  const take = (item: Item, outcome: VerifyOutcome): void => {
    verified.push({ item, outcome })
    if (verified.length === items.length) done.resolve()
  }
  for (const item of items) {
    const outcome = pool.verify({ ...item.job, onVerified: (later) => take(item, later) })
    if (outcome !== null) take(item, outcome)
  }
  await done.promise
  return verified
}

/** A pool of real threads that are ready, so that nothing is verified inline. */
async function startPool(items: readonly Item[]): Promise<{
  readonly pool: VerifierPool
  readonly threads: VerifierThread[]
  readonly ended: string[]
  readonly defects: unknown[]
}> {
  const threads: VerifierThread[] = []
  const ended: string[] = []
  const defects: unknown[] = []
  const ready = Promise.withResolvers<void>()
  let count = 0
  const pool = new VerifierPool({
    threads: 2,
    verifier,
    checks: {},
    clock: systemClock,
    onDefect: (error) => void defects.push(error),
    onThreadEnded: (why) => void ended.push(why),
    onWithoutThread: (why) => void defects.push(why),
    start(settings, listener) {
      const thread = startThread(settings, {
        ...listener,
        onEnd: (why) => listener.onEnd(why),
        onAnswer(answer) {
          listener.onAnswer(answer)
          if (answer.kind === 'ready' && ++count === 2) ready.resolve()
        },
      })
      threads.push(thread)
      return thread
    },
  })
  await verifyAll(pool, items)
  await ready.promise
  return { pool, threads, ended, defects }
}

/** What each event comes to, whoever verifies it. */
function checkVerdicts(verified: readonly Verified[]): void {
  let refused = 0
  for (const { item, outcome } of verified) {
    const expected = verifyFrame(item.job.frame, { ...item.job, verifier })
    assert.deepEqual(outcome.verdict, expected, item.name)
    if (!expected.ok) refused++
  }
  assert.ok(refused > 60, `only ${refused} were refused`)
  const seqs = new Map<string, number>()
  for (const { item } of verified) {
    const { did, seq } = item.job.frame
    assert.ok((seqs.get(did) ?? 0) < seq, `I6: ${item.name} in order`)
    seqs.set(did, seq)
  }
}

test('I3, I6: threads come to the verdicts that verification comes to, in order', async () => {
  const items = catalogue()
  const { pool, threads, ended, defects } = await startPool(items)
  using _ = pool
  for (let round = 0; round < 5; round++) {
    const verified = await verifyAll(pool, items)
    assert.equal(verified.length, items.length)
    checkVerdicts(verified)
  }
  assert.deepEqual([pool.backlog, threads.length], [{ events: 0, bytes: 0 }, 2])
  assert.deepEqual([ended, defects], [[], []])
})

test('I6: threads that are killed while they work lose and repeat nothing', async () => {
  const items = catalogue()
  const { pool, threads, ended, defects } = await startPool(items)
  using _ = pool
  for (let round = 0; round < 4; round++) {
    const pending = verifyAll(pool, items)
    // While the first batches are with the threads.
    await Promise.resolve()
    assert.equal(pool.backlog.events, items.length)
    threads.at(-1 - (round % 2))?.terminate()
    const verified = await pending
    assert.equal(new Set(verified.map(({ item }) => item)).size, items.length)
    assert.equal(verified.length, items.length)
    checkVerdicts(verified)
  }
  assert.ok(ended.length >= 2, 'threads were killed')
  assert.deepEqual(defects, [])
})
