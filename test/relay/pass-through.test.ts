import assert from 'node:assert/strict'
import { test } from 'node:test'
import { must } from '../../src/lib/assert.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { frameOf } from '../support/fake-host.ts'
import { didOf } from '../support/relay-client.ts'
import { randomWrites, type SignedRepo } from '../support/signed-repo.ts'
import { accountBody, identityBody, startWorld } from '../support/world.ts'

test('I10: every kind of event arrives with its bytes, unknown fields and all, but for seq', async () => {
  await using world = await startWorld()
  const { host, client } = world
  const repo = world.account('pass-through')
  const strange = { futureField: { nested: [1, null, 'text'] }, aaa: new Uint8Array([1, 2, 3]) }
  const sent: [string, object][] = [
    ['#identity', { ...identityBody(repo.did, 'some.handle.example'), ...strange }],
    ['#account', { ...accountBody(repo.did, true), ...strange }],
    ['#commit', { ...repo.apply([]), ...strange }],
    ['#sync', { ...repo.sync(), ...strange }],
    [
      '#commit',
      repo.apply([{ action: 'create', path: 'org.example.note/a', record: { text: 'new' } }]),
    ],
    ['#account', accountBody(repo.did, true, 'some-status-of-tomorrow')],
  ]
  // Numbers of every length of the integer that is replaced.
  const hostSeqs = [7, 200, 50_000, 70_000, 5_000_000_000, 9_000_000_000_000]
  for (const [i, [type, body]] of sent.entries()) {
    host.skipTo(must(hostSeqs[i], 'seq') - 1)
    host.send(type, body)
  }
  const received = await client.take(sent.length)
  for (const [i, [type, body]] of sent.entries()) {
    const frame = must(received[i], 'frame')
    assert.equal(frame.seq, i + 1)
    assert.deepEqual(frame.bytes, frameOf({ op: 1, t: type }, { ...body, seq: i + 1 }), type)
  }
})

test('I6: events of each account keep their order, however many accounts there are', async () => {
  await using world = await startWorld()
  const { host, client } = world
  const repos = Array.from({ length: 12 }, (_, i) =>
    world.account(`order ${i}`, { curve: i % 3 === 0 ? 'p256' : 'k256' }),
  )
  const random = seededRandom(6)
  const sent = new Map<string, string[]>(repos.map(({ did }) => [did, []]))
  const send = (repo: SignedRepo): void => {
    const order = must(sent.get(repo.did), 'account')
    if (random.next() < 0.2) {
      host.send('#identity', identityBody(repo.did, `h${order.length}.example.com`))
      order.push(`#identity h${order.length}.example.com`)
      return
    }
    const { rev } = repo.head ?? { rev: '' }
    if (rev !== '' && random.next() < 0.2) {
      host.send('#sync', repo.sync())
      order.push(`#sync ${rev}`)
      return
    }
    const body = repo.apply(rev === '' ? [] : randomWrites(repo, random, 4))
    host.send('#commit', body)
    order.push(`#commit ${body.rev}`)
  }
  const total = 300
  for (let i = 0; i < total; i++) {
    send(must(repos[Math.floor(random.next() * repos.length)], 'repository'))
  }
  const received = new Map<string, string[]>(repos.map(({ did }) => [did, []]))
  for (const frame of await client.take(total)) {
    const what = frame.type === '#identity' ? frame.body['handle'] : frame.body['rev']
    must(received.get(didOf(frame)), 'account').push(`${frame.type} ${String(what)}`)
  }
  assert.deepEqual(received, sent)
  assert.deepEqual(await world.relay.drops(), {})
  assert.deepEqual(
    client.frames.map(({ seq }) => seq),
    Array.from({ length: total }, (_, i) => i + 1),
    'seqs rise by one',
  )
})

test('I4: what is not an event is counted, not relayed, and does not hold up the stream', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  const repo = world.account('unknown types')
  host.send('#commit', repo.apply([]))
  host.send('#tombstone', { did: repo.did, time: 'whenever' })
  host.sendRaw(frameOf({ op: 1, t: '#labels' }, { no: 'seq' }))
  host.sendRaw(frameOf({ op: 1, t: '#info' }, { name: 'OutdatedCursor', message: 'be quick' }))
  host.send('#sync', repo.sync())
  const received = await client.take(2)
  assert.deepEqual(
    received.map(({ type }) => type),
    ['#commit', '#sync'],
  )
  assert.deepEqual(await relay.drops(), { 'frame-unknown-type': 2 })
  const kinds = { commit: 1, sync: 1, unknown: 2, info: 1 }
  assert.deepEqual(await relay.metric('skein_events_received_total'), kinds)
  await relay.logged('host: info OutdatedCursor', { host: host.hostname, detail: 'be quick' })
})

test('both forms of DID documents and both curves give keys that verify', async () => {
  await using world = await startWorld()
  const repos = (['k256', 'p256'] as const).flatMap((curve) =>
    (['multikey', 'legacy'] as const).map((format) =>
      world.account(`${curve} ${format}`, { curve, format }),
    ),
  )
  for (const repo of repos) world.host.send('#commit', repo.apply([]))
  const received = await world.client.take(repos.length)
  assert.deepEqual(received.map(didOf).sort(), repos.map(({ did }) => did).sort())
})
