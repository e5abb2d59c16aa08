/** The one writer: what fails, what a crash between state and log leaves, what is bounded. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { must } from '../lib/assert.ts'
import { SkeinError } from '../lib/errors.ts'
import type { LogAppend } from '../log/log-types.ts'
import { treeEntries } from '../repo/tree-walk.ts'
import { createAccount } from './account-jobs.ts'
import { openHost, type OpenHost } from './open-host.ts'
import { prepareWrites } from './record-writes.ts'
import { JOBS_QUEUED_BYTES_MAX, JOBS_QUEUED_MAX, type QueueLog, WriteQueue } from './write-queue.ts'
import { accountFrame } from './host-frames.ts'
import { didOf, good, HandClock, keyOf } from './testing/test-host.ts'
import { TreeCache } from './tree-cache.ts'
import type { Turn } from './turn.ts'
import { writeRecords } from './write-records.ts'

const did = didOf('a')

/** A log that fails when it is told to. */
class FickleLog implements QueueLog {
  readonly appended: LogAppend[] = []
  failing = false
  publishedSeq = 0

  get durableSeq(): number {
    return this.appended.length
  }

  async append(batch: readonly LogAppend[]): Promise<void> {
    await Promise.resolve()
    if (this.failing) throw new SkeinError('LOG_WRITE_FAILED', 'append: no space')
    this.appended.push(...batch)
  }

  publish(seq: number): void {
    this.publishedSeq = seq
  }
}

interface World {
  readonly open: OpenHost
  readonly log: FickleLog
  readonly queue: WriteQueue
  readonly failures: unknown[]
}

async function world(t: TestContext, log = new FickleLog(), at?: string): Promise<World> {
  const directory = at ?? (await mkdtemp(join(tmpdir(), 'skein-queue-')))
  const clock = new HandClock()
  // Batches are bounded by time too: a busy machine is not to part them.
  clock.monotonicMs = () => 0
  const open = await openHost({ directory, clock, log: {}, exportsMax: 1 })
  t.after(async () => {
    await open.close()
    if (at === undefined) await rm(directory, { recursive: true, force: true })
  })
  const failures: unknown[] = []
  const onFailed = (error: unknown): void => void failures.push(error)
  const queue = new WriteQueue({ state: open.state, log, clock, clockId: 1, onFailed })
  return { open, log, queue, failures }
}

const ignore = (): void => undefined

const say = (turn: Turn): number =>
  turn.emit('account', did, (seq) => accountFrame(did, null, turn.time, seq))

test('a job that throws is alone in it, and its changes are undone', async (t) => {
  const { queue, log, open } = await world(t)
  const calls = [0, 1, 2, 3].map((n) =>
    queue.submit(1, (turn) => {
      turn.store.addRepo('live')
      say(turn)
      if (n === 2) throw new Error('job 2')
      return n
    }),
  )
  const settled = await Promise.allSettled(calls)
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(
    log.appended.map(({ seq }) => seq),
    [1, 2, 3],
  )
  assert.equal(open.state.store.addRepo('live'), 4)
})

test('I8: what a write that the state refused did to a tree is forgotten with it', async (t) => {
  const { queue, open } = await world(t)
  const { state } = open
  const account = { did, key: keyOf('tree'), handle: null, status: 'active' } as const
  await queue.submit(1, (turn) => good(createAccount(turn, account)))
  const path = 'org.example.note/1'
  const writes = good(prepareWrites([{ action: 'create', path, record: {} }]))
  const write = (): Promise<unknown> =>
    queue.submit(1, (turn) => good(writeRecords(turn, { did, writes, swapCommit: null })))
  const full = new SkeinError('STORE_FAILED', 'save record: database or disk is full')
  const refuse = (): never => {
    throw full
  }
  const { mock } = t.mock.method(state.store, 'putRecord', refuse, { times: 1 })
  await assert.rejects(write(), full)
  assert.equal(mock.callCount(), 1)
  await write()
  const row = must(state.store.account(did), 'account')
  const stored = new TreeCache(state.blocks)
  const tree = stored.open(must(row.repoId, 'repository'), must(row.head, 'head').data)
  assert.deepEqual(
    [...treeEntries(tree)].map(({ key }) => key),
    [path],
  )
})

test('jobs of one turn of the event loop share a flush', async (t) => {
  const { queue, log } = await world(t)
  let flushes = 0
  const append = log.append.bind(log)
  log.append = (batch) => {
    flushes++
    return append(batch)
  }
  await Promise.all(Array.from({ length: 50 }, () => queue.submit(1, say)))
  assert.equal(flushes, 1)
  assert.equal(log.publishedSeq, 50)
})

test('when the log fails, nothing more is written, and the next start makes up for it', async (t) => {
  const first = await world(t)
  const { queue, log, failures, open } = first
  await queue.submit(1, say)
  log.failing = true
  const during = queue.submit(1, say)
  await assert.rejects(during, { code: 'LOG_WRITE_FAILED' })
  await assert.rejects(queue.submit(1, say), { code: 'LOG_WRITE_FAILED' })
  assert.equal(failures.length, 1)
  assert.equal(log.publishedSeq, 1)
  log.failing = false
  const clock = new HandClock()
  const next = new WriteQueue({ state: open.state, log, clock, clockId: 1, onFailed: ignore })
  assert.equal(await next.catchUpLog(), 1)
  assert.equal(log.publishedSeq, 2)
  assert.equal(await next.submit(1, say), 3)
  assert.deepEqual(
    log.appended.map(({ seq }) => seq),
    [1, 2, 3],
  )
})

test('what the state refuses is trouble until it has taken a write', async (t) => {
  const { queue, open, failures } = await world(t)
  const { store } = open.state
  const transaction = store.transaction.bind(store)
  const full = new SkeinError('STORE_FAILED', 'commit transaction: database or disk is full')
  store.transaction = () => {
    throw full
  }
  const refused = await Promise.allSettled([queue.submit(1, say), queue.submit(1, say)])
  assert.deepEqual(
    refused.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(queue.trouble, full)
  store.transaction = transaction
  await queue.submit(1, () => 'nothing to write')
  assert.equal(queue.trouble, full)
  assert.equal(await queue.submit(1, say), 1)
  assert.equal(queue.trouble, null)
  assert.deepEqual(failures, [])
})

test('state and log that do not belong together stop the start', async (t) => {
  const { queue, log, open } = await world(t)
  for (let i = 0; i < 3; i++) await queue.submit(1, say)
  const lost = log.appended.splice(1)
  await assert.rejects(queue.catchUpLog(), { code: 'LOG_DAMAGED' }, 'the log has lost events')
  log.appended.push(...lost, ...lost)
  await assert.rejects(queue.catchUpLog(), { code: 'LOG_DAMAGED' }, 'state is older')
  assert.equal(open.state.store.lastSeq(), 3)
})

test('the queue is bounded by number and by bytes', async (t) => {
  const { queue } = await world(t)
  assert.equal(queue.hasRoom(JOBS_QUEUED_BYTES_MAX * 2), true, 'one job of any size')
  const large = queue.submit(JOBS_QUEUED_BYTES_MAX, () => undefined)
  assert.equal(queue.hasRoom(1), false)
  await large
  const many = Array.from({ length: JOBS_QUEUED_MAX }, () => queue.submit(0, () => undefined))
  assert.equal(queue.hasRoom(0), false)
  await Promise.all(many)
  assert.equal(queue.hasRoom(0), true)
  await queue.stop()
  await assert.rejects(
    queue.submit(0, () => undefined),
    { code: 'STOPPED' },
  )
})
