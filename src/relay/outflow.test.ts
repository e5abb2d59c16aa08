import assert from 'node:assert/strict'
import { mock, test, type TestContext } from 'node:test'
import { SignedRepo } from '../../test/support/signed-repo.ts'
import { createFakeClock, type FakeClock } from '../identity/testing/fake-clock.ts'
import { must } from '../lib/assert.ts'
import type { EventLog } from '../log/event-log.ts'
import { openLog, readAll } from '../log/testing/log-fixtures.ts'
import { MemoryStorage } from '../log/testing/memory-storage.ts'
import { detachedRelayMetrics } from '../ops/relay-metrics.ts'
import { Accounts } from './accounts.ts'
import type { ArrivedFrame, HostLink } from './host-link.ts'
import type { Hosts } from './hosts.ts'
import { withStatus } from './judge.ts'
import { Outflow } from './outflow.ts'
import { ownStatus } from './own-events.ts'
import { arrivedFrame, openMemoryStore } from './testing/fixtures.ts'

const TIME = '2026-01-01T00:00:00Z'

interface Fixture {
  readonly outflow: Outflow
  readonly log: EventLog
  readonly clock: FakeClock
  /** Passes over the log that were asked for. */
  readonly purges: () => number
  /** A commit of an account; returns its rev, by which it is found again. */
  readonly commit: (repo: SignedRepo) => Promise<string>
  /** What the account's host says of it. */
  readonly say: (repo: SignedRepo, active: boolean, status?: string) => Promise<void>
  /** The operator takes the account down, or ends that. */
  readonly act: (what: 'takedown' | 'reversal', repo: SignedRepo) => Promise<void>
  /** Where a rev can be found. */
  readonly where: (rev: string) => Promise<'replay and disk' | 'disk' | 'nowhere'>
}

async function start(t: TestContext): Promise<Fixture> {
  const memory = await openMemoryStore()
  const { store } = memory
  const { id: hostId } = memory.addHost('a.example.com')
  const storage = new MemoryStorage()
  const log = await openLog(storage)
  const clock = createFakeClock()
  const accounts = new Accounts(store)
  const purge = mock.method(log, 'purge')
  const outflow = new Outflow({
    log,
    store,
    accounts,
    hosts: { changedProgress: () => [], markSaved: () => undefined } as unknown as Hosts,
    clock,
    metrics: detachedRelayMetrics(),
    onPublished: () => undefined,
    onFailed: (error) => assert.fail(String(error)),
  })
  t.after(async () => {
    await log.close()
    memory[Symbol.dispose]()
  })
  const link = { id: hostId, settle: () => undefined } as unknown as HostLink
  const arrival = (frame: ArrivedFrame): Parameters<Outflow['pass']>[0] => ({
    link,
    frame,
    hostSeq: 1,
    hostEpoch: 0,
    receivedAtMs: 0,
  })
  const rowOf = (did: string): ReturnType<Accounts['fresh']> =>
    accounts.get(did) ?? accounts.fresh(did, hostId)
  return {
    outflow,
    log,
    clock,
    purges: () => purge.mock.callCount(),
    async commit(repo) {
      const body = repo.apply([])
      const frame = arrivedFrame('#commit', { ...body, seq: 1 })
      outflow.pass(arrival(frame), repo.did, () => ({ ...rowOf(repo.did), rev: body.rev }))
      await outflow.drain()
      return body.rev
    },
    async say(repo, active, status) {
      const said = { active, ...(status === undefined ? {} : { status }) }
      const { did } = repo
      const frame = arrivedFrame('#account', { seq: 1, did, time: TIME, ...said })
      outflow.pass(arrival(frame), did, (seq) => withStatus(rowOf(did), said, seq))
      await outflow.drain()
    },
    async act(what, { did }) {
      const row = must(accounts.get(did), 'account')
      outflow.tell(what, row, ownStatus(what, row))
      await outflow.drain()
    },
    async where(rev) {
      await log.purgesSettled()
      const paths = storage.paths().filter((path) => path.endsWith('.frames'))
      const disk = Buffer.concat(paths.map((path) => storage.get(path) ?? new Uint8Array(0)))
      if (!disk.includes(rev)) return 'nowhere'
      return (await readAll(log)).includes(rev) ? 'replay and disk' : 'disk'
    },
  }
}

/** No two have a rev in common. */
const repoOf = (seed: string): SignedRepo =>
  new SignedRepo({ seed, startMs: 1_700_000_000_000 + Number.parseInt(seed, 36) })

test('I9, I11: purges in quick succession hide at once and share one pass over the log', async (t) => {
  const { outflow, purges, clock, commit, act, where } = await start(t)
  const [first, second, third, other] = ['1', '2', '3', '4'].map((seed) => repoOf(seed))
  assert(first && second && third && other)
  const revs = [await commit(first), await commit(second), await commit(third)] as const
  const kept = await commit(other)
  await act('takedown', first)
  assert.deepEqual([await where(revs[0]), purges()], ['nowhere', 1], 'the first at once')
  clock.advance(1_000)
  await act('takedown', second)
  clock.advance(28_000)
  await act('takedown', third)
  assert.deepEqual([await where(revs[1]), await where(revs[2])], ['disk', 'disk'])
  assert.equal(purges(), 1, 'no pass within the pause')
  outflow.purge()
  assert.deepEqual([await where(revs[1]), await where(revs[2])], ['nowhere', 'nowhere'])
  assert.equal(await where(kept), 'replay and disk')
  const after = purges()
  outflow.purge()
  assert.equal(purges(), after, 'none is carried out twice')
  clock.advance(2_000)
  await act('takedown', other)
  assert.equal(await where(kept), 'nowhere', 'the pause is over')
})

test('I11: a purge that waits is not lost when the account is active again', async (t) => {
  const { outflow, purges, commit, say, act, where } = await start(t)
  const [first, taken, deleted] = ['1', '2', '3'].map((seed) => repoOf(seed))
  assert(first && taken && deleted)
  await commit(first)
  const old = [await commit(taken), await commit(deleted)] as const
  await act('takedown', first)
  await act('takedown', taken)
  await say(deleted, false, 'deleted')
  assert.deepEqual([await where(old[0]), await where(old[1])], ['disk', 'disk'])
  await act('reversal', taken)
  await say(deleted, true)
  assert.deepEqual([await where(old[0]), await where(old[1])], ['nowhere', 'nowhere'])
  const fresh = [await commit(taken), await commit(deleted)] as const
  const before = purges()
  outflow.purge()
  assert.equal(purges(), before, 'they wait no longer')
  for (const rev of fresh) assert.equal(await where(rev), 'replay and disk', 'what came after')
})

test('I11: an account that ends again is purged again; said again, it costs no pass', async (t) => {
  const { outflow, purges, commit, say, where } = await start(t)
  const repo = repoOf('again')
  const first = await commit(repo)
  await say(repo, false, 'deleted')
  assert.deepEqual([await where(first), purges()], ['nowhere', 1])
  await say(repo, true)
  const second = await commit(repo)
  assert.equal(await where(second), 'replay and disk')
  await say(repo, false, 'deleted')
  assert.deepEqual([await where(second), purges()], ['disk', 1])
  outflow.purge()
  assert.deepEqual([await where(second), purges()], ['nowhere', 2])
  for (let i = 0; i < 5; i++) await say(repo, false, 'deleted')
  outflow.purge()
  assert.equal(purges(), 2)
})

test('I11: an account that was only hidden is purged when it ends', async (t) => {
  const { outflow, commit, say, where } = await start(t)
  await say(repoOf('before'), false, 'deleted')
  const repo = repoOf('hidden')
  const rev = await commit(repo)
  await say(repo, false, 'deactivated')
  outflow.purge()
  assert.equal(await where(rev), 'disk')
  await say(repo, false, 'deleted')
  outflow.purge()
  assert.equal(await where(rev), 'nowhere')
})
