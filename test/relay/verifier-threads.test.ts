/** Relays whose events are verified in threads, and one that verifies them where they arrive. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeHost } from '../support/fake-host.ts'
import { didOf } from '../support/relay-client.ts'
import type { SignedRepo } from '../support/signed-repo.ts'
import { accountBody, identityBody, startWorld } from '../support/world.ts'

const FAST = { hostEventsPerSecond: 1_000_000 }

/** The revs of each account, in the order in which they came out. */
function revsByDid(frames: readonly { readonly body: object }[]): Map<string, unknown[]> {
  const revs = new Map<string, unknown[]>()
  for (const frame of frames as Parameters<typeof didOf>[0][]) {
    if (frame.type !== '#commit') continue
    revs.set(didOf(frame), [...(revs.get(didOf(frame)) ?? []), frame.body['rev']])
  }
  return revs
}

for (const verifierThreads of [0, 1, 3]) {
  test(`I3, I6: each account's events come out whole and in order: ${verifierThreads} threads`, async () => {
    await using world = await startWorld({ ...FAST, verifierThreads })
    const { host, plc, relay, client } = world
    const repos = Array.from({ length: 12 }, (_, i) => world.account(`threads ${i}`))
    const sent = new Map<string, unknown[]>(repos.map(({ did }) => [did, []]))
    const commit = (repo: SignedRepo): void => {
      const body = repo.apply([])
      sent.get(repo.did)?.push(body.rev)
      host.send('#commit', body)
    }
    for (let round = 0; round < 40; round++) {
      for (const [i, repo] of repos.entries()) {
        if (round === 10 + i) {
          // What was signed with the old key must have been judged while it was current.
          await relay.clock.jumpUntil(client.reached(host.seq), 1_000)
          repo.rotateKey(`new key ${i}`)
          plc.set(repo.did, { key: repo.key.publicKey, endpoint: host.endpoint })
          if (i % 2 === 0) host.send('#identity', identityBody(repo.did))
        }
        if (round === 20 && i % 3 === 0) host.send('#account', accountBody(repo.did, true))
        commit(repo)
      }
    }
    await relay.clock.jumpUntil(client.reached(host.seq), 1_000)
    assert.deepEqual(revsByDid(client.frames), sent)
    assert.deepEqual(await relay.drops(), {})
    assert.deepEqual(
      relay.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    )
  })
}

test('I9: a host that floods is held back, and one that does not is not kept waiting', async () => {
  await using quiet = await FakeHost.start()
  await using world = await startWorld({ ...FAST, verifierThreads: 1 })
  const { host, relay, client } = world
  await relay.requestCrawl(quiet.hostname)
  await quiet.connected()
  const floods = Array.from({ length: 4 }, (_, i) => world.account(`flood ${i}`))
  const calm = world.account('calm', { host: quiet })
  // Identities are known and threads ready before anything counts.
  for (const repo of floods) host.send('#commit', repo.apply([]))
  quiet.send('#commit', calm.apply([]))
  await client.reached(5)
  const padding = 'x'.repeat(20_000)
  const count = 600
  let queuedMax = 0
  for (let i = 0; i < count; i++) {
    const repo = floods[i % floods.length] as SignedRepo
    const path = `org.example.note/r${i}`
    host.send('#commit', repo.apply([{ action: 'create', path, record: { padding } }]))
  }
  quiet.send('#commit', calm.apply([]))
  while (client.lastSeq < 5 + count + 1) {
    const queued = (await relay.metric('skein_verifier_queue_bytes'))[''] ?? 0
    queuedMax = Math.max(queuedMax, queued)
    await client.reached(Math.min(5 + count + 1, client.lastSeq + 20))
  }
  const at = client.frames.findIndex((frame, i) => i >= 5 && didOf(frame) === calm.did)
  assert.ok(at > 0 && at < count - 100, `the quiet host came out at ${at} of ${count}`)
  // Some 12 MB were sent: what is under way is bounded by host, and by what a read brings.
  assert.ok(queuedMax > 0, 'it was looked at')
  assert.ok(queuedMax < 4 * 1024 * 1024, `${queuedMax} bytes were under way`)
  assert.deepEqual(await relay.drops(), {})
})

test('I3: accounts that are new at the same moment each get a row of their own', async () => {
  await using world = await startWorld({ ...FAST, verifierThreads: 2 })
  const { host, relay, client } = world
  const repos = Array.from({ length: 150 }, (_, i) => world.account(`new ${i}`))
  for (let round = 0; round < 3; round++) {
    for (const repo of repos) host.send('#commit', repo.apply([]))
  }
  await relay.clock.jumpUntil(client.reached(host.seq), 1_000)
  const { items } = relay.relay.listAccounts(1_000, null) as { items: readonly { did: string }[] }
  assert.deepEqual(new Set(items.map(({ did }) => did)), new Set(repos.map(({ did }) => did)))
  assert.deepEqual(relay.relay.health(), { ok: true })
})
