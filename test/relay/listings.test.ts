import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cidToString } from '../../src/data/cid.ts'
import { must } from '../../src/lib/assert.ts'
import { FakeHost } from '../support/fake-host.ts'
import type { SignedRepo } from '../support/signed-repo.ts'
import type { TestRelay } from '../support/test-relay.ts'
import { accountBody, startWorld } from '../support/world.ts'

const NSID = 'com.atproto.sync.'

/** Every page of `listRepos`, two accounts each. */
async function listAll(relay: TestRelay): Promise<{ listed: unknown[]; pages: number }> {
  const listed: unknown[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    const params = { limit: '2', ...(cursor === undefined ? {} : { cursor }) }
    const { status, body } = await relay.call(`${NSID}listRepos`, params)
    assert.equal(status, 200)
    const page = body as { repos: unknown[]; cursor?: string }
    listed.push(...page.repos)
    cursor = page.cursor
    pages++
  } while (cursor !== undefined)
  return { listed, pages }
}

/** Checks what is said of one account. `status` is why it is not active, `at` where it lives. */
async function checkAccount(
  relay: TestRelay,
  { did, head }: SignedRepo,
  status: string | undefined,
  at: FakeHost,
): Promise<void> {
  const { rev, commit } = must(head, 'head')
  const repoStatus = await relay.call(`${NSID}getRepoStatus`, { did })
  assert.deepEqual(
    repoStatus.body,
    status === undefined ? { did, active: true, rev } : { did, active: false, status },
  )
  const latest = await relay.call(`${NSID}getLatestCommit`, { did })
  const repoAnswer = await relay.call(`${NSID}getRepo`, { did })
  if (status === undefined) {
    assert.deepEqual(latest.body, { cid: cidToString(commit), rev })
    assert.equal(repoAnswer.status, 302)
    const location = `${at.endpoint}/xrpc/${NSID}getRepo?did=${encodeURIComponent(did)}`
    assert.equal(repoAnswer.headers.get('location'), location)
  } else {
    assert.equal(latest.status, 400)
    assert.equal(repoAnswer.status, 400)
  }
}

test('I8: what the endpoints say agrees with what was sent', async () => {
  await using world = await startWorld()
  const { host, relay, client } = world
  await using second = await FakeHost.start()
  relay.relay.addHost(second.endpoint)
  await second.connected()
  const repos = Array.from({ length: 5 }, (_, i) =>
    world.account(`listed ${i}`, i === 4 ? { host: second } : {}),
  )
  for (const repo of repos) {
    const from = repo === repos[4] ? second : host
    from.send('#commit', repo.apply([]))
    from.send('#commit', repo.apply([]))
    await client.take(2)
  }
  const [gone, away] = repos as [(typeof repos)[0], (typeof repos)[0]]
  host.send('#account', accountBody(gone.did, false, 'deleted'))
  host.send('#account', accountBody(away.did, false, 'deactivated'))
  const headless = world.account('without a commit')
  host.send('#account', accountBody(headless.did, true))
  await client.take(3)

  const { listed, pages } = await listAll(relay)
  assert.equal(pages, 3)
  const statuses = new Map([
    [gone.did, 'deleted'],
    [away.did, 'deactivated'],
  ])
  const expected = repos.map((repo) => {
    const { rev, commit } = must(repo.head, 'head')
    const status = statuses.get(repo.did)
    const state = status === undefined ? { active: true } : { active: false, status }
    return { did: repo.did, head: cidToString(commit), rev, ...state }
  })
  assert.deepEqual(listed, expected)

  for (const repo of repos) {
    const at = repo === repos[4] ? second : host
    await checkAccount(relay, repo, statuses.get(repo.did), at)
  }
  const { body: none } = await relay.call(`${NSID}getLatestCommit`, { did: headless.did })
  assert.equal((none as { error: string }).error, 'RepoNotFound')

  // The deleted and the deactivated account are not counted.
  const hostBodies = [
    { hostname: host.hostname, seq: host.seq, accountCount: 3, status: 'active' },
    { hostname: second.hostname, seq: second.seq, accountCount: 1, status: 'active' },
  ]
  const { body: hosts } = await relay.call(`${NSID}listHosts`)
  assert.deepEqual(hosts, { hosts: hostBodies })
  for (const expectedHost of hostBodies) {
    const { hostname } = expectedHost
    const { body } = await relay.call(`${NSID}getHostStatus`, { hostname })
    assert.deepEqual(body, expectedHost)
  }
  const unknown = await relay.call(`${NSID}getHostStatus`, { hostname: 'unknown.example.com' })
  assert.equal((unknown.body as { error: string }).error, 'HostNotFound')
})

test('an account that is only known to the directory is still found', async () => {
  await using world = await startWorld()
  const { plc, host, relay } = world
  const repo = world.account('never seen here')
  const found = await relay.call(`${NSID}getRecord`, {
    did: repo.did,
    collection: 'org.example.note',
    rkey: 'a',
  })
  assert.equal(found.status, 302)
  assert.ok(
    found.headers.get('location')?.startsWith(`${host.endpoint}/xrpc/${NSID}getRecord?did=`),
  )
  plc.remove(repo.did)
  const other = await relay.call(`${NSID}getRepo`, { did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' })
  assert.equal(other.status, 400)
})
