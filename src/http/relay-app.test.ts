import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { createLogger } from '../ops/logger.ts'
import { MetricsRegistry } from '../ops/metrics.ts'
import { createRelayMetrics } from '../ops/relay-metrics.ts'
import { errorOf, jsonOf, setup, xrpc } from './testing/fake-app.ts'
import { account, ALICE } from './testing/fake-view.ts'

describe('methods and paths', () => {
  test('a wrong method is 405 with Allow', async () => {
    const { get } = setup()
    const answer = await get(xrpc('listRepos'), { method: 'DELETE' })
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS')
    assert.deepEqual(await errorOf(answer), [405, 'MethodNotAllowed'])
    assert.equal((await get(xrpc('requestCrawl'))).headers.get('allow'), 'POST, OPTIONS')
  })

  test('subscribeRepos over plain HTTP is 426, and 405 for other methods', async () => {
    const { get } = setup()
    const plain = await get(xrpc('subscribeRepos'))
    assert.equal(plain.headers.get('upgrade'), 'websocket')
    assert.deepEqual(await errorOf(plain), [426, 'UpgradeRequired'])
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const answer = await get(xrpc('subscribeRepos'), { method })
      assert.equal(answer.headers.get('allow'), 'GET')
      assert.deepEqual(await errorOf(answer), [405, 'MethodNotAllowed'])
    }
  })

  test('an unknown method is 501, what is none is 404', async () => {
    const { get } = setup()
    const unknown = await get('/xrpc/com.atproto.repo.getRecord?repo=x')
    assert.deepEqual(await errorOf(unknown), [501, 'MethodNotImplemented'])
    for (const path of ['/xrpc/', '/xrpc', '/xrpc/nope', '/xrpc/a.b.c/d', '/nope', '/xrpc/%00']) {
      assert.equal((await errorOf(await get(path)))[0], 404, path)
    }
  })

  test('HEAD is GET without a body, OPTIONS is a preflight', async () => {
    const { get, view } = setup()
    view.accounts.push(account())
    const head = await get(xrpc('getLatestCommit', { did: ALICE }), { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.match(head.headers.get('content-type') ?? '', /json/)
    assert.equal(await head.text(), '')
    for (const path of [xrpc('requestCrawl'), '/', '/nope']) {
      const headers = {
        origin: 'https://app.test',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,authorization',
      }
      const answer = await get(path, { method: 'OPTIONS', headers })
      assert.equal(answer.status, 204)
      assert.equal(answer.headers.get('access-control-allow-origin'), '*')
      assert.match(answer.headers.get('access-control-allow-methods') ?? '', /POST/)
      assert.match(answer.headers.get('access-control-allow-headers') ?? '', /authorization/)
    }
  })

  test('every answer carries CORS and names the software', async () => {
    const { get, view } = setup()
    view.account = () => {
      throw new Error('s3cret')
    }
    const failing = xrpc('getRepoStatus', { did: ALICE })
    for (const path of ['/', '/nope', '/xrpc/_health', xrpc('listRepos'), failing]) {
      const answer = await get(path)
      assert.equal(answer.headers.get('access-control-allow-origin'), '*', path)
      assert.match(answer.headers.get('server') ?? '', /^skein\/\d.* \(atproto-relay\)$/, path)
    }
  })

  test('an endpoint that throws is 500, logged, and tells nothing', async () => {
    const lines: string[] = []
    const write = (line: string): void => void lines.push(line)
    const { get, view } = setup({ logger: createLogger({ level: 'info', format: 'json', write }) })
    view.account = () => {
      throw new Error('s3cret')
    }
    const answer = await get(xrpc('getRepoStatus', { did: ALICE }))
    assert.doesNotMatch(await answer.clone().text(), /s3cret/)
    assert.deepEqual(await errorOf(answer), [500, 'InternalServerError'])
    assert.match(lines.join(''), /s3cret/)
    await get('/')
    assert.equal(lines.length, 1, 'a request is no line')
  })

  test('a long URL is 414', async () => {
    const { get } = setup()
    const answer = await get(`/xrpc/com.atproto.sync.listRepos?cursor=${'1'.repeat(9_000)}`)
    assert.deepEqual(await errorOf(answer), [414, 'UriTooLong'])
  })

  test('the texts and the health', async () => {
    const { get, view } = setup()
    assert.match(await (await get('/')).text(), /subscribeRepos\?cursor=0/)
    assert.match(await (await get('/robots.txt')).text(), /^User-agent: \*\n/)
    for (const path of ['/xrpc/_health', '/_health']) {
      view.healthy = true
      const ok = await get(path)
      assert.equal(ok.status, 200)
      assert.match(String((await jsonOf(ok))['version']), /^\d+\.\d+\.\d+/)
      view.healthy = false
      const bad = await get(path)
      assert.equal(bad.status, 503)
      assert.equal((await jsonOf(bad))['message'], 'log: disk full')
    }
  })
})

function via(from: string): RequestInit {
  return { headers: { 'x-forwarded-for': from } }
}

describe('limits', () => {
  test('an address that asks too often waits; the health and others do not', async () => {
    const { get, clock } = setup({}, 3)
    for (let left = 2; left >= 0; left--) {
      const answer = await get(xrpc('listRepos'))
      assert.equal(answer.headers.get('ratelimit-remaining'), String(left))
      assert.equal(answer.headers.get('ratelimit-policy'), '3;w=60')
    }
    const limited = await get(xrpc('listRepos'))
    assert.equal(limited.headers.get('retry-after'), '20')
    assert.deepEqual(await errorOf(limited), [429, 'RateLimitExceeded'])
    assert.equal((await get('/xrpc/_health')).status, 200)
    assert.equal((await get(xrpc('listRepos'), {}, '192.0.2.2')).status, 200)
    clock.ms += 20_000
    assert.equal((await get(xrpc('listRepos'))).status, 200)
    assert.equal((await get(xrpc('listRepos'))).status, 429)
  })

  test('X-Forwarded-For counts only when a known proxy wrote it', async () => {
    const { get } = setup({}, 1)
    assert.equal((await get(xrpc('listRepos'), via('1.1.1.1'))).status, 200)
    assert.equal((await get(xrpc('listRepos'), via('2.2.2.2'))).status, 429, 'one direct client')
    assert.equal((await get(xrpc('listRepos'), via('3.3.3.3'), '10.0.0.1')).status, 200)
    assert.equal((await get(xrpc('listRepos'), via('4.4.4.4'), '10.0.0.1')).status, 200)
    const forged = via('9.9.9.9, 3.3.3.3')
    assert.equal((await get(xrpc('listRepos'), forged, '10.0.0.1')).status, 429)
  })

  test('requests are counted by endpoint, and strangers cannot add labels', async () => {
    const registry = new MetricsRegistry()
    const { get } = setup({ metrics: createRelayMetrics(registry) })
    for (const path of ['/nope', '/also/nope', '/xrpc/a.b.c', xrpc('listRepos')]) await get(path)
    const { body } = await registry.page()
    const lines = body.split('\n').filter((line) => line.startsWith('skein_http_requests_total{'))
    assert.deepEqual(lines.sort(), [
      'skein_http_requests_total{endpoint="com.atproto.sync.listRepos",status="200"} 1',
      'skein_http_requests_total{endpoint="other",status="404"} 2',
      'skein_http_requests_total{endpoint="other",status="501"} 1',
    ])
  })
})
