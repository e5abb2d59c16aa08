import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { is } from '@atcute/lexicons/validations'
import { mainSchema as repoStatusSchema } from '@atcute/atproto/types/sync/getRepoStatus'
import { mainSchema as hostsSchema } from '@atcute/atproto/types/sync/listHosts'
import { mainSchema as reposSchema } from '@atcute/atproto/types/sync/listRepos'

import type { CrawlOutcome } from '../relay/relay-view.ts'
import {
  CRAWL_REQUESTS_BURST,
  CRAWLS_IN_FLIGHT_MAX,
  DID_LOOKUPS_PER_MINUTE,
} from './http-limits.ts'
import { errorOf, jsonOf, post, setup, xrpc } from './testing/fake-app.ts'
import { account, ALICE, HEAD, REV } from './testing/fake-view.ts'

describe('parameters', () => {
  const cases: [string, string, RegExp][] = [
    ['getLatestCommit', '', /did is required/],
    ['getLatestCommit', '?did=', /did must be a valid did/],
    ['getLatestCommit', '?did=alice.example.com', /did must be a valid did/],
    ['getRepoStatus', '?did=did%3Aplc', /did must be a valid did/],
    ['getRepoStatus', `?did=${ALICE}&did=${ALICE}`, /did is repeated/],
    ['listRepos', '?limit=0', /limit must be an integer from 1 to 1000/],
    ['listRepos', '?limit=1001', /limit must be an integer from 1 to 1000/],
    ['listRepos', '?limit=-1', /limit/],
    ['listRepos', '?limit=1.5', /limit must be of type integer/],
    ['listRepos', '?limit=', /limit must be of type integer/],
    ['listRepos', '?limit=99999999999999999999', /limit/],
    ['listRepos', '?cursor=abc', /Malformed cursor/],
    ['listHosts', '?limit=0', /limit/],
    ['listHosts', '?cursor=-', /Malformed cursor/],
    ['getHostStatus', '', /hostname is required/],
    ['getRepo', `?did=${ALICE}&since=abc`, /since must be a valid tid/],
    ['getRecord', `?did=${ALICE}&collection=a.b.c&rkey=..`, /rkey must be a valid record-key/],
    ['getRecord', `?did=${ALICE}&collection=nope&rkey=a`, /collection must be a valid nsid/],
    ['getBlocks', `?did=${ALICE}`, /cids is required/],
    ['getBlocks', `?did=${ALICE}&cids=nope`, /cids\.0 must be a valid cid/],
    ['getBlob', `?did=${ALICE}`, /cid is required/],
    ['listBlobs', `?did=${ALICE}&limit=1001`, /limit/],
  ]
  for (const [name, query, message] of cases) {
    test(`${name}${query} is refused by name`, async () => {
      const { get, view } = setup()
      view.accounts.push(account())
      const answer = await get(`/xrpc/com.atproto.sync.${name}${query}`)
      const body = await jsonOf(answer.clone())
      assert.deepEqual(await errorOf(answer), [400, 'InvalidRequest'])
      assert.match(String(body['message']), message)
    })
  }

  test('percent-encoding is undone, unknown parameters are ignored', async () => {
    const { get, view } = setup()
    view.accounts.push(account())
    const did = ALICE.replaceAll(':', '%3A')
    const answer = await get(`/xrpc/com.atproto.sync.getLatestCommit?did=${did}&x=1&x=2`)
    assert.deepEqual(await answer.json(), { cid: HEAD, rev: REV })
  })
})

describe('account endpoints', () => {
  test('getLatestCommit: errors by status', async () => {
    const { get, view } = setup()
    const expected = {
      takendown: 'RepoTakendown',
      suspended: 'RepoSuspended',
      deactivated: 'RepoDeactivated',
      deleted: 'RepoNotFound',
      constructor: 'RepoDeactivated',
    }
    for (const [status, error] of Object.entries(expected)) {
      view.accounts.splice(0, 1, account({ active: false, status }))
      for (const name of ['getLatestCommit', 'getRepo', 'getHead', 'getCheckout', 'listBlobs']) {
        const answer = await get(xrpc(name, { did: ALICE }))
        assert.deepEqual(await errorOf(answer), [400, error], `${name} ${status}`)
      }
    }
    assert.deepEqual(view.located, [], 'a known account is never looked up')
  })

  test('getLatestCommit: unknown, and known without a commit', async () => {
    const { get, view } = setup()
    const path = xrpc('getLatestCommit', { did: ALICE })
    assert.deepEqual(await errorOf(await get(path)), [400, 'RepoNotFound'])
    const { head: _, ...headless } = account()
    view.accounts.push(headless)
    assert.deepEqual(await errorOf(await get(path)), [400, 'RepoNotFound'])
  })

  test('getRepoStatus: inactive accounts are shown without rev', async () => {
    const { get, view } = setup()
    const path = xrpc('getRepoStatus', { did: ALICE })
    assert.deepEqual(await errorOf(await get(path)), [400, 'RepoNotFound'])
    view.accounts.push(account())
    const active = await jsonOf(await get(path))
    assert.deepEqual(active, { did: ALICE, active: true, rev: REV })
    view.accounts.splice(0, 1, account({ active: false, status: 'takendown' }))
    const inactive = await jsonOf(await get(path))
    assert.deepEqual(inactive, { did: ALICE, active: false, status: 'takendown' })
    assert(
      is(repoStatusSchema.output.schema, active) && is(repoStatusSchema.output.schema, inactive),
    )
  })

  test('listRepos pages through every account once', async () => {
    const { get, view } = setup()
    const dids = Array.from({ length: 5 }, (_, i) => `did:web:h${i}.test`)
    for (const did of dids) view.accounts.push(account({ did }))
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const answer = await get(xrpc('listRepos', { limit: '1', ...(cursor && { cursor }) }))
      const body: unknown = await answer.json()
      assert(is(reposSchema.output.schema, body))
      seen.push(...body.repos.map((repo) => repo.did))
      cursor = body.cursor
    } while (cursor !== undefined)
    assert.deepEqual(seen, dids)
  })
})

describe('redirects', () => {
  const cid = HEAD
  const calls: [string, [string, string][]][] = [
    ['getRepo', [['since', REV]]],
    [
      'getRecord',
      [
        ['collection', 'app.bsky.feed.post'],
        ['rkey', 'self'],
      ],
    ],
    [
      'getBlocks',
      [
        ['cids', cid],
        ['cids', HEAD],
      ],
    ],
    ['getBlob', [['cid', cid]]],
    ['listBlobs', [['limit', '7']]],
    ['getCheckout', []],
    ['getHead', []],
  ]
  for (const [name, params] of calls) {
    test(`${name} goes to the account's host`, async () => {
      const { get, view } = setup()
      view.accounts.push(account())
      const path = xrpc(name, [['did', ALICE], ...params])
      const answer = await get(path)
      assert.equal(answer.status, 302)
      assert.equal(answer.headers.get('location'), `https://pds.example.com${path}`)
      assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    })
  }

  test('the query string is not re-encoded', async () => {
    const { get, view } = setup()
    view.accounts.push(account())
    const search = `?x=%2f+%20&did=${ALICE.replaceAll(':', '%3a')}&&y&z=a=b?c`
    const answer = await get(`/xrpc/com.atproto.sync.getRepo${search}`)
    assert.equal(
      answer.headers.get('location'),
      `https://pds.example.com/xrpc/com.atproto.sync.getRepo${search}`,
    )
  })

  test('an account that is not known here is located by its DID', async () => {
    const { get, view } = setup()
    view.homes.set(ALICE, 'https://far.example.com')
    const found = await get(xrpc('getRepo', { did: ALICE }))
    assert.match(found.headers.get('location') ?? '', /^https:\/\/far\.example\.com\/xrpc\//)
    const missing = await get(xrpc('getRepo', { did: 'did:web:nobody.test' }))
    assert.deepEqual(await errorOf(missing), [400, 'RepoNotFound'])
    assert.deepEqual(view.located, [ALICE, 'did:web:nobody.test'])
  })

  test('a DID of another method is not even looked for', async () => {
    const { get, view } = setup()
    const answer = await get(xrpc('getRepo', { did: 'did:key:zabc' }))
    assert.deepEqual(await errorOf(answer), [400, 'RepoNotFound'])
    assert.deepEqual(view.located, [])
  })

  test('look-ups of one address are few', async () => {
    const { get, view } = setup()
    for (let i = 0; i < DID_LOOKUPS_PER_MINUTE; i++) {
      await get(xrpc('getRepo', { did: `did:web:h${i}.test` }))
    }
    const limited = await get(xrpc('getRepo', { did: ALICE }))
    assert.deepEqual(await errorOf(limited), [429, 'RateLimitExceeded'])
    assert.equal(view.located.length, DID_LOOKUPS_PER_MINUTE)
    view.accounts.push(account())
    assert.equal(
      (await get(xrpc('getRepo', { did: ALICE }))).status,
      302,
      'known ones cost nothing',
    )
  })
})

describe('hosts', () => {
  const host = { hostname: 'pds.example.com', seq: 7, accountCount: 3, status: 'active' } as const

  test('listHosts and getHostStatus', async () => {
    const { get, view } = setup()
    view.hosts.push(host, { hostname: 'new.test', accountCount: 0, status: 'offline' })
    const body = await jsonOf(await get(xrpc('listHosts')))
    assert(is(hostsSchema.output.schema, body))
    assert.deepEqual(body.hosts, view.hosts)
    assert.equal(body.cursor, undefined)
    const one = await get(xrpc('getHostStatus', { hostname: ' PDS.example.com' }))
    assert.deepEqual(await one.json(), host)
    const none = await get(xrpc('getHostStatus', { hostname: 'other.test' }))
    assert.deepEqual(await errorOf(none), [400, 'HostNotFound'])
  })

  for (const name of ['requestCrawl', 'notifyOfUpdate']) {
    test(`${name}: outcomes`, async () => {
      const { get, view } = setup()
      const ok = await get(xrpc(name), post({ hostname: 'pds.example.com' }))
      assert.equal(ok.status, 200)
      assert.equal(await ok.text(), '')
      assert.deepEqual(view.crawled, ['pds.example.com'])
      const expected: [Exclude<CrawlOutcome['kind'], 'accepted'>, number, string][] = [
        ['invalid-hostname', 400, 'InvalidRequest'],
        ['unreachable', 400, 'HostNotFound'],
        ['banned', 400, 'HostBanned'],
        ['limited', 429, 'RateLimitExceeded'],
        ['disabled', 403, 'Forbidden'],
      ]
      for (const [kind, status, error] of expected) {
        view.crawlOutcome = { kind, message: 'why' }
        const answer = await get(xrpc(name), post({ hostname: 'x' }))
        assert.equal(answer.headers.has('retry-after'), status === 429)
        assert.deepEqual(await errorOf(answer), [status, error])
      }
    })
  }

  test('requestCrawl: bodies that are refused', async () => {
    const { get, view } = setup()
    const cases: [RequestInit, number][] = [
      [{ method: 'POST' }, 400],
      [post({}), 400],
      [post({ hostname: 7 }), 400],
      [post('{'), 400],
      [post(''), 400],
      [post('null'), 400],
      [{ ...post(''), body: Uint8Array.of(0x22, 0xff, 0x22) }, 400],
      [post({ hostname: 'a' }, 'text/plain'), 400],
      [post({ hostname: 'a'.repeat(5_000) }), 413],
    ]
    for (const [init, status] of cases) {
      const answer = await get(xrpc('requestCrawl'), init)
      assert.equal(answer.status, status, JSON.stringify(init).slice(0, 80))
    }
    assert.deepEqual(view.crawled, [])
    const charset = post({ hostname: 'a' }, 'Application/JSON; charset=utf-8')
    assert.equal((await get(xrpc('requestCrawl'), charset)).status, 200)
  })

  test('requestCrawl: an address has a budget that refills', async () => {
    const { get, clock } = setup()
    for (let i = 0; i < CRAWL_REQUESTS_BURST; i++) {
      assert.equal((await get(xrpc('requestCrawl'), post({ hostname: `h${i}` }))).status, 200)
    }
    const limited = await get(xrpc('requestCrawl'), post({ hostname: 'h' }))
    assert.equal(limited.status, 429)
    assert.equal(limited.headers.get('retry-after'), '60')
    const other = await get(xrpc('requestCrawl'), post({ hostname: 'h' }), '192.0.2.2')
    assert.equal(other.status, 200)
    clock.ms += 60_000
    assert.equal((await get(xrpc('requestCrawl'), post({ hostname: 'h' }))).status, 200)
  })

  test('requestCrawl: few probes run at once', async () => {
    const { get, view } = setup()
    const { promise, resolve } = Promise.withResolvers<CrawlOutcome>()
    view.crawlOutcome = promise
    const running = Array.from({ length: CRAWLS_IN_FLIGHT_MAX }, (_, i) =>
      get(xrpc('requestCrawl'), post({ hostname: 'h' }), `192.0.2.${i}`),
    )
    while (view.crawled.length < CRAWLS_IN_FLIGHT_MAX) await new Promise(setImmediate)
    const refused = await get(xrpc('requestCrawl'), post({ hostname: 'h' }), '198.51.100.1')
    assert.deepEqual(await errorOf(refused), [503, 'Busy'])
    resolve({ kind: 'accepted' })
    assert((await Promise.all(running)).every((answer) => answer.status === 200))
  })
})
