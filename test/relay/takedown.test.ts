import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { didOf, RelayClient, replay, type ReceivedFrame } from '../support/relay-client.ts'
import { TestRelay } from '../support/test-relay.ts'
import { accountBody, createAccount, identityBody, startWorld } from '../support/world.ts'

/** What a replay shows of an account: types, with the status of `#account`. */
function shown(frames: readonly ReceivedFrame[], did: string): string[] {
  return frames
    .filter((frame) => didOf(frame) === did)
    .map(({ type, body }) => {
      const { active, status } = body as { active?: boolean; status?: string }
      return type === '#account' ? `${String(active)} ${status ?? ''}` : type
    })
}

test('I11: a takedown purges replay, refuses what follows, and can be ended', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('taken down')
  const other = world.account('not taken down')
  for (const { apply, did } of [repo, other].map((r) => ({
    apply: () => r.apply([]),
    did: r.did,
  }))) {
    host.send('#identity', identityBody(did))
    host.send('#commit', apply())
  }
  host.send('#sync', repo.sync())
  await client.take(5)
  assert.ok(relay.relay.takedown(repo.did))
  assert.ok(relay.relay.takedown(repo.did), 'again')
  assert.equal(relay.relay.takedown('did:plc:unknown'), false)
  const notice = await client.next()
  assert.deepEqual([notice.type, didOf(notice)], ['#account', repo.did])
  assert.deepEqual([notice.body['active'], notice.body['status']], [false, 'takendown'])
  // The host says otherwise, and keeps sending.
  host.send('#account', accountBody(repo.did, true))
  host.send('#commit', repo.apply([]))
  await relay.dropped('account-takendown', 2)
  const replayed = await replay(relay.address, notice.seq)
  assert.deepEqual(shown(replayed, repo.did), ['false takendown'])
  assert.deepEqual(shown(replayed, other.did), ['#identity', '#commit'])
  for (const nsid of ['getRepo', 'getLatestCommit', 'listBlobs']) {
    const { status, body } = await relay.call(`com.atproto.sync.${nsid}`, { did: repo.did })
    assert.deepEqual([status, (body as { error: string }).error], [400, 'RepoTakendown'])
  }
  assert.ok(relay.relay.reverseTakedown(repo.did))
  assert.deepEqual(shown([await client.next()], repo.did), ['true '])
  host.send('#commit', repo.apply([]))
  const { seq } = await client.next()
  const after = await replay(relay.address, seq)
  assert.deepEqual(shown(after, repo.did), ['false takendown', 'true ', '#commit'])
})

for (const status of ['takendown', 'deleted'] as const) {
  test(`I11: an account that its host calls ${status} is purged from replay for good`, async () => {
    await using world = await startWorld()
    const { host, relay, client } = world
    const repo = world.account(`upstream ${status}`)
    host.send('#commit', repo.apply([]))
    host.send('#account', accountBody(repo.did, false, status))
    const [commit, notice] = await client.take(2)
    assert.equal(commit?.type, '#commit', 'live subscribers have seen it')
    assert.deepEqual(shown(await replay(relay.address, notice?.seq ?? 0), repo.did), [
      `false ${status}`,
    ])
    host.send('#account', accountBody(repo.did, true))
    const { seq } = await client.next()
    assert.deepEqual(shown(await replay(relay.address, seq), repo.did), [
      `false ${status}`,
      'true ',
    ])
  })
}

test('I11: a deactivated account is hidden from replay, and shown again once it is active', async () => {
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  await using data = await TemporaryDirectory.create('skein-relay-test-')
  const options = { plc: [plc.url], hosts: [host.endpoint], data: data.path }
  const repo = createAccount(plc, host, 'deactivated')
  const gone = createAccount(plc, host, 'taken down by the operator')
  {
    await using relay = await TestRelay.start(options)
    await using client = await RelayClient.connect(relay.address, 0)
    host.send('#commit', repo.apply([]))
    host.send('#commit', gone.apply([]))
    host.send('#account', accountBody(repo.did, false, 'deactivated'))
    await client.take(3)
    relay.relay.takedown(gone.did)
    await client.next()
    const replayed = await replay(relay.address, 4)
    assert.deepEqual(shown(replayed, repo.did), ['false deactivated'])
  }
  await using relay = await TestRelay.start(options)
  const replayed = await replay(relay.address, 4)
  assert.deepEqual(shown(replayed, repo.did), ['false deactivated'], 'after a restart too')
  assert.deepEqual(shown(replayed, gone.did), ['false takendown'])
  await using client = await RelayClient.connect(relay.address)
  host.send('#account', accountBody(repo.did, true))
  await client.next()
  assert.deepEqual(shown(await replay(relay.address, 5), repo.did), [
    '#commit',
    'false deactivated',
    'true ',
  ])
  host.send('#commit', gone.apply([]))
  await relay.dropped('account-takendown')
})
