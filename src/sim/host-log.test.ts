import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HostLog } from './host-log.ts'

const BYTES = new Uint8Array(100)

test('messages are kept up to a bound, the newest always', () => {
  const log = new HostLog(1_000)
  for (let i = 0; i < 5_000; i++) log.append(BYTES)
  assert.deepEqual([log.firstSeq, log.publishedSeq, log.nextSeq], [4_991, 5_000, 5_001])
  assert.equal(log.after(0)?.seq, 4_991)
  assert.equal(log.after(4_995)?.seq, 4_996)
  assert.equal(log.after(5_000), null)
  log.append(new Uint8Array(5_000))
  assert.deepEqual([log.firstSeq, log.publishedSeq], [5_001, 5_001])
})

test('falling back gives seqs out again, and stops before an #account', () => {
  const log = new HostLog(1_000_000)
  log.append(BYTES, { type: '#account' })
  for (let i = 0; i < 9; i++) log.append(BYTES, { type: '#commit' })
  assert.equal(log.withoutStatus(30), 9)
  assert.equal(log.withoutStatus(4), 4)
  log.fallBack(4)
  assert.deepEqual([log.publishedSeq, log.after(6), log.after(5)?.seq], [6, null, 6])
  assert.equal(log.append(BYTES), 7)
  log.reset()
  assert.deepEqual([log.firstSeq, log.publishedSeq, log.append(BYTES)], [1, 0, 1])
})

test('listeners are told, and a broadcaster reads frames end to end', () => {
  const log = new HostLog(1_000_000)
  let told = 0
  const forget = log.onPublish(() => told++)
  log.append(BYTES)
  log.append('text')
  log.append(null)
  forget()
  log.append(BYTES)
  assert.equal(told, 3)
  const chunk = log.read(0, 1_000)
  assert.deepEqual([chunk?.count, chunk?.lastSeq, chunk?.bytes.length], [2, 4, 204])
  assert.equal(log.read(0, 10)?.lastSeq, 1)
  assert.equal(log.read(4, 1_000), null)
})
