import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFER_MS_MAX } from '../../src/relay/admission.ts'
import { FakeHost } from '../support/fake-host.ts'
import { didOf, replay } from '../support/relay-client.ts'
import { SignedRepo } from '../support/signed-repo.ts'
import { eventually } from '../support/waiting.ts'
import { accountBody, identityBody, startWorld, type World } from '../support/world.ts'

/** Adds a second host and waits until the relay follows it. */
async function addHost(world: World): Promise<FakeHost> {
  const host = await FakeHost.start()
  world.relay.relay.addHost(host.endpoint)
  await host.connected()
  return host
}

test('I3: what cannot be resolved waits, holds up nobody else, and passes in order once it can', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  const known = world.account('known before the outage')
  const unknown = world.account('unknown until after')
  host.send('#commit', known.apply([]))
  await client.next()
  plc.setMode('fail')
  const bodies = [unknown.apply([]), unknown.apply([])]
  for (const body of bodies) host.send('#commit', body)
  await plc.untilAsked(unknown.did, 1)
  host.send('#commit', known.apply([]))
  assert.equal(didOf(await client.next()), known.did)
  assert.deepEqual(await relay.metric('skein_deferred_events'), { '': 2 })
  assert.equal(relay.relay.account(unknown.did), null)
  // I7: the cursor has not moved past what waits.
  assert.equal(relay.relay.host(host.hostname)?.seq, 1)
  plc.setMode('answer')
  const received = await relay.clock.jumpUntil(client.take(2), 5_000)
  assert.deepEqual(
    received.map(({ body }) => body['rev']),
    bodies.map(({ rev }) => rev),
  )
  assert.deepEqual(await relay.drops(), {})
  assert.equal(relay.relay.host(host.hostname)?.seq, 4)
})

test('a directory that is back within the bound is noticed, however long it was away', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  const repo = world.account('almost too late')
  plc.setMode('fail')
  host.send('#commit', repo.apply([]))
  await plc.untilAsked(repo.did, 1)
  const untilMs = relay.clock.monotonicMs() + DEFER_MS_MAX - 60_000
  const away = eventually(() => (relay.clock.monotonicMs() > untilMs ? true : null), 'time')
  await relay.clock.jumpUntil(away, 5_000)
  plc.setMode('answer')
  await relay.clock.jumpUntil(client.next(), 5_000)
  assert.deepEqual(await relay.drops(), {})
})

test('I3, I9: what stays unresolvable is dropped within its bound, with that reason', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  const repo = world.account('never resolved')
  plc.setMode('fail')
  const startedMs = relay.clock.monotonicMs()
  host.send('#commit', repo.apply([]))
  host.send('#account', accountBody(repo.did, true))
  await plc.untilAsked(repo.did, 1)
  await relay.clock.jumpUntil(relay.dropped('deferred-expired', 2), 5_000)
  assert.ok(relay.clock.monotonicMs() - startedMs < DEFER_MS_MAX + 60_000)
  assert.deepEqual(await relay.drops(), { 'deferred-expired': 2 })
  assert.ok(plc.asked(repo.did) > 1, 'it was tried again')
  assert.deepEqual(await relay.metric('skein_deferred_events'), {})
  assert.equal(client.frames.length, 0)
  assert.equal(relay.relay.host(host.hostname)?.seq, 2, 'I7: the outcome moves the cursor')
})

test('I3: a DID that does not exist, or whose document lacks key or host, is refused by name', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  const missing = world.account('missing')
  plc.remove(missing.did)
  const keyless = world.account('keyless')
  plc.set(keyless.did, { key: null, endpoint: host.endpoint })
  const homeless = world.account('homeless')
  plc.set(homeless.did, { key: homeless.key.publicKey, endpoint: null })
  for (const repo of [missing, keyless, homeless]) host.send('#commit', repo.apply([]))
  await relay.dropped('identity-missing')
  await relay.dropped('identity-no-key')
  await relay.dropped('identity-no-host')
  // What needs no key passes without one.
  host.send('#account', accountBody(keyless.did, true))
  assert.equal((await client.next()).type, '#account')
})

test('I3: a host speaks for no account of another, whatever the event', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  await using stranger = await addHost(world)
  const repos = ['commit', 'sync', 'identity', 'account'].map((kind) => world.account(kind))
  const [commit, sync, identity, account] = repos as [
    SignedRepo,
    SignedRepo,
    SignedRepo,
    SignedRepo,
  ]
  sync.apply([])
  // Even with events that are signed as they should be.
  stranger.send('#commit', commit.apply([]))
  stranger.send('#sync', sync.sync())
  stranger.send('#identity', identityBody(identity.did))
  stranger.send('#account', accountBody(account.did, false, 'deleted'))
  await relay.dropped('host-mismatch', 4)
  for (const { did } of repos) assert.equal(relay.relay.account(did), null)
  host.send('#account', accountBody(account.did, true))
  assert.equal((await client.next()).body['active'], true)
  assert.equal(client.frames.length, 1)
  assert.deepEqual(await relay.drops(), { 'host-mismatch': 4 })
})

test('I3: a stranger cannot make the relay forget an identity while the directory is away', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  await using stranger = await addHost(world)
  const repo = world.account('victim')
  host.send('#commit', repo.apply([]))
  await client.next()
  plc.setMode('fail')
  const asked = plc.asked(repo.did)
  for (let i = 0; i < 3; i++) stranger.send('#identity', identityBody(repo.did))
  await plc.untilAsked(repo.did, asked + 1)
  await relay.clock.jumpUntil(relay.dropped('host-mismatch', 3), 5_000)
  host.send('#commit', repo.apply([]))
  assert.equal((await client.next()).type, '#commit')
})

test('I3: a migrated account is followed to its new host, and the old one loses authority at once', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  await using newHost = await addHost(world)
  const repo = world.account('migrating')
  host.send('#commit', repo.apply([]))
  host.send('#account', accountBody(repo.did, false, 'deactivated'))
  await client.take(2)
  const { rev } = repo.apply([])
  // Not yet: the document still says otherwise.
  newHost.send('#sync', repo.sync())
  await relay.dropped('host-mismatch')
  plc.set(repo.did, { key: repo.key.publicKey, endpoint: newHost.endpoint })
  newHost.send('#identity', identityBody(repo.did))
  newHost.send('#account', accountBody(repo.did, true))
  newHost.send('#sync', repo.sync())
  const received = await client.take(3)
  assert.deepEqual(
    received.map(({ type }) => type),
    ['#identity', '#account', '#sync'],
  )
  assert.equal(relay.relay.account(repo.did)?.rev, rev)
  assert.equal(relay.relay.account(repo.did)?.pdsEndpoint, newHost.endpoint)
  host.send('#account', accountBody(repo.did, false, 'deleted'))
  host.send('#commit', repo.apply([]))
  await relay.clock.jumpUntil(relay.dropped('host-mismatch', 3), 5_000)
  newHost.send('#commit', repo.apply([]))
  assert.equal((await client.next()).type, '#commit')
  assert.equal(relay.relay.account(repo.did)?.active, true)
  const { body } = await relay.call('com.atproto.sync.listHosts')
  const { hosts } = body as { hosts: readonly { hostname: string; accountCount: number }[] }
  assert.deepEqual(
    hosts.map(({ hostname, accountCount }) => [hostname, accountCount]),
    [
      [host.hostname, 0],
      [newHost.hostname, 1],
    ],
  )
})

test('I3: a former host cannot end an account, though nobody has announced the move', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  await using newHost = await addHost(world)
  const repo = world.account('moved unannounced')
  host.send('#commit', repo.apply([]))
  await client.next()
  const asked = plc.requests.length
  plc.set(repo.did, { key: repo.key.publicKey, endpoint: newHost.endpoint })
  host.send('#account', accountBody(repo.did, false, 'deleted'))
  await relay.dropped('host-mismatch')
  assert(plc.requests.length > asked, 'the directory was asked again')
  assert.equal(relay.relay.account(repo.did)?.active, true)
  newHost.send('#commit', repo.apply([]))
  assert.equal((await client.next()).type, '#commit')
})

test('I3: a new key counts after one look at the directory, a stranger’s key never', async () => {
  await using world = await startWorld()
  const { plc, host, relay, client } = world
  const repo = world.account('rotation')
  host.send('#commit', repo.apply([]))
  await client.next()
  assert.equal(plc.asked(repo.did), 1)
  repo.rotateKey('the new key')
  plc.set(repo.did, { key: repo.key.publicKey, endpoint: host.endpoint })
  const first = repo.apply([])
  host.send('#commit', first)
  host.send('#commit', repo.apply([]))
  assert.equal((await client.next()).body['rev'], first.rev)
  await client.next()
  assert.equal(plc.asked(repo.did), 2)
  // The old key is a stranger's from now on.
  repo.rotateKey('rotation')
  host.send('#commit', repo.apply([]))
  await relay.clock.jumpUntil(relay.dropped('signature-invalid'), 5_000)
  assert.equal(plc.asked(repo.did), 3)
  assert.deepEqual(await relay.drops(), { 'signature-invalid': 1 })
})

test('a status that events contradict is asked about, and subscribers are told first', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('contradiction')
  host.send('#commit', repo.apply([]))
  host.send('#account', accountBody(repo.did, false, 'deactivated'))
  await client.take(2)
  host.statuses.set(repo.did, { active: true })
  const body = repo.apply([])
  host.send('#commit', body)
  const [account, commit] = await client.take(2)
  assert.deepEqual([account?.type, account?.body['active']], ['#account', true])
  assert.deepEqual([commit?.type, commit?.body['rev']], ['#commit', body.rev])
  // Once a minute is as often as a host is asked about one account.
  host.send('#account', accountBody(repo.did, false, 'deactivated'))
  for (let i = 0; i < 5; i++) host.send('#commit', repo.apply([]))
  await relay.dropped('account-inactive', 5)
  assert.deepEqual(host.statusRequests, [repo.did])
})

test('I5: an answer about an account that no event could carry leaves no hole in the seqs', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('lone surrogate')
  host.send('#commit', repo.apply([]))
  host.send('#account', accountBody(repo.did, false, 'deactivated'))
  // Half of a pair of surrogates: JSON may hold it, DRISL cannot.
  host.statuses.set(repo.did, { active: true, status: '\ud800' })
  host.send('#commit', repo.apply([]))
  const other = world.account('the next one')
  host.send('#commit', other.apply([]))
  await client.take(5)
  assert.deepEqual(host.statusRequests, [repo.did])
  assert.deepEqual(
    client.frames.map(({ seq }) => seq),
    [1, 2, 3, 4, 5],
  )
  // The events of the two accounts may come in either order.
  const ofRepo = client.frames.filter((frame) => didOf(frame) === repo.did)
  assert.deepEqual(
    ofRepo.map(({ type, body }) => [type, body['active'], body['status']]),
    [
      ['#commit', undefined, undefined],
      ['#account', false, 'deactivated'],
      ['#account', true, undefined],
      ['#commit', undefined, undefined],
    ],
  )
  assert.deepEqual(relay.relay.health(), { ok: true })
  const replayed = await replay(relay.address, 5)
  assert.equal(replayed.at(-1)?.seq, 5)
  assert.deepEqual(
    relay.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
    [],
  )
})

test('I11: the answer about an account that was taken down meanwhile changes nothing', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('taken down meanwhile')
  host.send('#commit', repo.apply([]))
  host.send('#account', accountBody(repo.did, false, 'deactivated'))
  await client.take(2)
  host.statuses.set(repo.did, { active: true })
  host.statusMode = 'held'
  host.send('#commit', repo.apply([]))
  await host.untilStatusAsked(repo.did)
  assert.ok(relay.relay.takedown(repo.did))
  assert.equal((await client.next()).body['status'], 'takendown')
  host.releaseStatus()
  host.send('#identity', identityBody(repo.did))
  assert.equal((await client.next()).type, '#identity')
  assert.equal(relay.relay.account(repo.did)?.status, 'takendown')
})
