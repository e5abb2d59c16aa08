/** What relays have been tested with so far, as sequences of events, with data of our own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { must } from '../../src/lib/assert.ts'
import { frameOf } from '../support/fake-host.ts'
import { type RepoWrite, SignedRepo } from '../support/signed-repo.ts'
import { accountBody, identityBody, startWorld } from '../support/world.ts'

const LENIENT = {
  'prev-data-missing': 'warn',
  'op-prev-missing': 'warn',
} as const

const note = (name: string, text = name): RepoWrite => ({
  action: 'create',
  path: `org.example.note/${name}`,
  record: { text },
})

/** A commit as hosts sent it before operations carried what was there before. */
function legacyCommit(repo: SignedRepo, writes: readonly RepoWrite[]): object {
  const { prevData: _, ...body } = repo.apply(writes)
  return { ...body, ops: body.ops.map(({ action, path, cid }) => ({ action, path, cid })) }
}

test('legacy commits pass where the operator allows it, and are remarked upon', async () => {
  await using world = await startWorld({ checks: LENIENT })
  const { host, relay, client } = world
  const repo = world.account('legacy')
  repo.apply([note('before')])
  host.send('#identity', identityBody(repo.did, 'legacy.example.com'))
  host.send('#account', accountBody(repo.did, true))
  host.send('#commit', legacyCommit(repo, [note('now')]))
  const received = await client.take(3)
  assert.deepEqual(
    received.map(({ type }) => type),
    ['#identity', '#account', '#commit'],
  )
  assert.deepEqual(await relay.metric('skein_events_warned_total'), { 'prev-data-missing': 1 })
})

test('I3: a legacy commit is refused by default', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('legacy, strict')
  repo.apply([note('before')])
  host.send('#commit', legacyCommit(repo, [note('now')]))
  host.send('#commit', legacyCommit(repo, [{ action: 'delete', path: 'org.example.note/now' }]))
  host.send('#identity', identityBody(repo.did))
  assert.equal((await client.next()).type, '#identity')
  assert.deepEqual(await relay.drops(), { 'prev-data-missing': 1, 'op-prev-missing': 1 })
})

/** Create, delete, create, delete, update, three at once. */
function lifecycle(): (readonly RepoWrite[])[] {
  return [
    [note('a')],
    [{ action: 'delete', path: 'org.example.note/a' }],
    [note('b')],
    [{ action: 'delete', path: 'org.example.note/b' }],
    [{ action: 'update', path: 'org.example.note/pinned', record: { text: 'changed' } }],
    [note('c'), note('d'), note('e')],
  ]
}

test('the life of posts passes, six commits on end', async () => {
  await using world = await startWorld()
  const repo = world.account('post lifecycle')
  const revs = [repo.apply([note('pinned')]), ...lifecycle().map((writes) => repo.apply(writes))]
  for (const body of revs) world.host.send('#commit', body)
  const received = await world.client.take(revs.length)
  assert.deepEqual(
    received.map(({ body }) => body['rev']),
    revs.map(({ rev }) => rev),
  )
  assert.deepEqual(await world.relay.metric('skein_events_warned_total'), {})
})

test('I11: commits of a deactivated account are dropped until it is active again', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('deactivation')
  host.send('#commit', repo.apply([]))
  host.send('#account', accountBody(repo.did, false, 'deactivated'))
  host.statuses.set(repo.did, { active: false, status: 'deactivated' })
  host.send('#commit', repo.apply([note('hidden')]))
  await relay.dropped('account-inactive')
  host.send('#account', accountBody(repo.did, true))
  host.send('#commit', repo.apply([note('seen')]))
  const received = await client.take(4)
  assert.deepEqual(
    received.map(({ type, body }) => [type, body['active']]),
    [
      ['#commit', undefined],
      ['#account', false],
      ['#account', true],
      ['#commit', undefined],
    ],
  )
  assert.deepEqual(host.statusRequests, [repo.did], 'the host was asked')
  assert.deepEqual(await relay.drops(), { 'account-inactive': 1 })
  assert.deepEqual(await relay.metric('skein_events_warned_total'), { 'since-mismatch': 1 })
})

test('I3: a rev that is lower, equal or only claimed is refused, the next one passes', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('rev ordering')
  const first = repo.apply([])
  const second = repo.apply([note('x')])
  const third = repo.apply([note('y')])
  host.send('#commit', second)
  host.send('#commit', first)
  host.send('#commit', second)
  host.send('#commit', { ...third, rev: first.rev })
  host.send('#commit', { ...third, rev: second.rev })
  host.send('#sync', { ...repo.sync(), rev: first.rev })
  host.send('#commit', third)
  const received = await client.take(2)
  assert.deepEqual(
    received.map(({ body }) => body['rev']),
    [second.rev, third.rev],
  )
  assert.deepEqual(await relay.drops(), { 'rev-stale': 4, 'commit-rev-mismatch': 1 })
})

test('I4: seqs that do not rise are dropped, and the stream goes on', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('seq ordering')
  const bodies = [repo.apply([]), repo.apply([]), repo.apply([]), repo.apply([])]
  for (const [i, seq] of [1_000, 1_000, 5, 2_000].entries()) {
    host.sendRaw(frameOf({ op: 1, t: '#commit' }, { ...must(bodies[i], 'body'), seq }))
  }
  const received = await client.take(2)
  assert.deepEqual(
    received.map(({ body }) => body['rev']),
    [bodies[0]?.rev, bodies[3]?.rev],
  )
  assert.deepEqual(await relay.drops(), { 'seq-not-rising': 2 })
})

test('the life of an account passes: identity, account, sync, deletion', async () => {
  await using world = await startWorld()
  const { host, client } = world
  const repo = world.account('account lifecycle')
  repo.apply([])
  host.send('#identity', identityBody(repo.did, 'life.example.com'))
  host.send('#account', accountBody(repo.did, true))
  host.send('#sync', repo.sync())
  host.send('#account', accountBody(repo.did, false, 'deleted'))
  const received = await client.take(4)
  assert.deepEqual(
    received.map(({ type, body }) => [type, body['handle'] ?? body['status'] ?? null]),
    [
      ['#identity', 'life.example.com'],
      ['#account', null],
      ['#sync', null],
      ['#account', 'deleted'],
    ],
  )
})

test('I3: a commit signed with the wrong key never arrives', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('wrong key')
  const impostor = new SignedRepo({ seed: 'an impostor', did: repo.did })
  host.send('#identity', identityBody(repo.did))
  host.send('#commit', impostor.apply([]))
  host.send('#sync', impostor.sync())
  host.send('#account', accountBody(repo.did, true))
  // The second doubt within a minute waits for its turn to be asked about.
  await relay.clock.jumpUntil(relay.dropped('signature-invalid', 2), 5_000)
  const received = await client.take(2)
  assert.deepEqual(
    received.map(({ type }) => type),
    ['#identity', '#account'],
  )
})
