import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, test, type TestContext } from 'node:test'

import { WebSocket, WebSocketServer } from 'ws'

import { systemClock } from '../lib/clock.ts'
import { codeOf } from '../lib/errors.ts'
import { silentLogger } from '../ops/logger.ts'
import { MetricsRegistry } from '../ops/metrics.ts'
import { createRelayMetrics, detachedRelayMetrics } from '../ops/relay-metrics.ts'
import type { CrawlOutcome } from '../relay/relay-view.ts'
import { startMetricsServer } from './metrics-server.ts'
import type { PublicHttp, PublicHttpOptions } from './public-http.ts'
import { startRelayHttp } from './relay-http.ts'
import { type FakeView, fakeView } from './testing/fake-view.ts'
import type { AcceptSubscriber } from './upgrade.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }
const POST_CRAWL =
  'POST /xrpc/com.atproto.sync.requestCrawl HTTP/1.1\r\nhost: x\r\n' +
  'content-type: application/json\r\n'
const STREAM = '/xrpc/com.atproto.sync.subscribeRepos'

interface Running {
  readonly http: PublicHttp
  readonly view: FakeView
  readonly port: number
  readonly url: string
  readonly accepted: string[]
}

async function start(t: TestContext, overrides: Partial<PublicHttpOptions> = {}): Promise<Running> {
  const view = fakeView()
  const accepted: string[] = []
  const sockets = new WebSocketServer({ noServer: true })
  const accept: AcceptSubscriber = (incoming, socket, head, address) => {
    accepted.push(`${address} ${incoming.url}`)
    sockets.handleUpgrade(incoming, socket, head, (ws) => ws.send(Buffer.from([1])))
  }
  const options = {
    bind: LOOPBACK,
    trustedProxies: ['127.0.0.1/32'],
    requestsPerMinute: 1_000,
    subscribersMax: 10,
    ...overrides,
  }
  const http = await startRelayHttp(options, {
    view,
    accept,
    metrics: detachedRelayMetrics(),
    clock: systemClock,
    logger: silentLogger,
    timeouts: { headMs: 100, requestMs: 200, checkMs: 20 },
  })
  t.after(() => http.stop(0))
  const port = Number(http.address.split(':')[1])
  return { http, view, port, url: `http://${http.address}`, accepted }
}

/** Sends `text` and reads until the server closes. */
async function raw(port: number, text: string | Buffer, keep = ''): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.write(text)
  const timer = setInterval(() => keep !== '' && socket.write(keep), 20)
  await once(socket, 'close')
  clearInterval(timer)
  return Buffer.concat(parts).toString('latin1')
}

function upgradeText(path: string, lines: readonly string[] = [], method = 'GET'): string {
  const all = ['host: x', 'connection: upgrade', 'upgrade: websocket', ...lines]
  return `${method} ${path} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n`
}

async function subscribe(
  running: Running,
  headers: Record<string, string> = {},
): Promise<WebSocket> {
  const socket = new WebSocket(`${running.url.replace('http', 'ws')}${STREAM}?cursor=5`, {
    headers,
  })
  await once(socket, 'message')
  return socket
}

/** The status with which a WebSocket is refused. */
async function refusedWith(running: Running): Promise<number | undefined> {
  const socket = new WebSocket(`${running.url.replace('http', 'ws')}${STREAM}`)
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  response.resume()
  return response.statusCode
}

describe('subscribeRepos', () => {
  test('an upgrade reaches the broadcaster, from any Origin', async (t) => {
    const running = await start(t)
    const socket = await subscribe(running, { origin: 'https://evil.test' })
    assert.deepEqual(running.accepted, [`127.0.0.1 ${STREAM}?cursor=5`])
    socket.terminate()
  })

  test('other upgrades get an answer and a closed socket', async (t) => {
    const { port, accepted } = await start(t)
    const cases: [string, RegExp][] = [
      [upgradeText('/'), /^HTTP\/1\.1 404 /],
      [upgradeText('/xrpc/com.atproto.label.subscribeLabels'), /^HTTP\/1\.1 404 /],
      [upgradeText(`${STREAM}/`), /^HTTP\/1\.1 404 /],
      [upgradeText('//'), /^HTTP\/1\.1 404 /],
      [upgradeText(STREAM, ['content-length: 0'], 'POST'), /^HTTP\/1\.1 405 [\s\S]*allow: GET/],
    ]
    for (const [text, pattern] of cases) {
      const answer = await raw(port, text)
      assert.match(answer, pattern)
      assert.match(answer, /\r\n\r\n\{"error":"\w+","message":".*"\}$/)
    }
    assert.deepEqual(accepted, [])
  })

  test('a plain request and an offer of HTTP/2 are answered over HTTP/1.1', async (t) => {
    const { url, port } = await start(t)
    const plain = await fetch(url + STREAM)
    assert.equal(plain.status, 426)
    assert.equal(plain.headers.get('upgrade'), 'websocket')
    await plain.text()
    const posted = await fetch(url + STREAM, { method: 'POST' })
    assert.equal(posted.status, 405)
    await posted.text()
    const h2c = ['host: x', 'connection: upgrade, http2-settings, close', 'upgrade: h2c'].join(
      '\r\n',
    )
    const answer = await raw(port, `GET /xrpc/_health HTTP/1.1\r\n${h2c}\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 (?:200|426) /)
  })

  test('the broadcaster is told the address that a proxy vouches for', async (t) => {
    const running = await start(t)
    const socket = await subscribe(running, { 'x-forwarded-for': '198.51.100.1' })
    assert.deepEqual(running.accepted, [`198.51.100.1 ${STREAM}?cursor=5`])
    socket.terminate()
  })

  test('connecting counts as a request', async (t) => {
    const running = await start(t, { requestsPerMinute: 1 })
    const socket = await subscribe(running)
    assert.equal(await refusedWith(running), 429)
    socket.terminate()
  })

  test('a socket that is reset before its answer ends nothing', async (t) => {
    const { port, url } = await start(t)
    for (let i = 0; i < 20; i++) {
      const socket: Socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(upgradeText('/nope'), () => socket.resetAndDestroy())
      await once(socket, 'close')
    }
    assert.equal((await fetch(`${url}/xrpc/_health`)).status, 200)
  })

  test('a closed gate refuses', async (t) => {
    const running = await start(t)
    running.http.closeGate()
    assert.equal(await refusedWith(running), 503)
  })
})

describe('bad clients', () => {
  test('a slow head or body is cut off, however steadily it drips', async (t) => {
    const { port } = await start(t)
    const startMs = performance.now()
    const [silent, dripping, body] = await Promise.all([
      raw(port, 'GET / HT'),
      raw(port, 'GET / HTTP/1.1\r\nhost: x\r\n', 'a: b\r\n'),
      raw(port, `${POST_CRAWL}content-length: 4000\r\n\r\n`, 'x'),
    ])
    assert.match(silent, /^HTTP\/1\.1 408 /)
    assert.match(dripping, /^HTTP\/1\.1 408 /)
    assert.match(body, /^HTTP\/1\.1 408 /)
    assert(performance.now() - startMs < 5_000)
  })

  test('oversized heads, URLs and bodies are refused', async (t) => {
    const { port, url, view } = await start(t)
    const long = 'a'.repeat(20_000)
    assert.match(await raw(port, `GET / HTTP/1.1\r\nhost: x\r\na: ${long}\r\n\r\n`), / 431 /)
    assert.match(await raw(port, `GET /${long} HTTP/1.1\r\nhost: x\r\n\r\n`), / 431 /)
    const uri = await fetch(`${url}/xrpc/com.atproto.sync.listRepos?cursor=${'1'.repeat(9_000)}`)
    assert.equal(uri.status, 414)
    await uri.text()
    const announced = `${POST_CRAWL}content-length: 99999999\r\n\r\n{`
    assert.match(await raw(port, announced), / 413 /)
    const chunk = `1000\r\n${'a'.repeat(4_096)}\r\n`
    const chunked = `${POST_CRAWL}transfer-encoding: chunked\r\n\r\n${chunk}${chunk}`
    assert.match(await raw(port, chunked), / 413 /)
    assert.deepEqual(view.crawled, [])
  })

  test('what is not HTTP, or has no sane Host or target, is 400', async (t) => {
    const { port } = await start(t)
    const texts = [
      Buffer.from([0, 255, 13, 10, 13, 10]),
      'GET / HTTP/1.1\r\n\r\n',
      'GET / HTTP/1.1\r\nhost: a b@c\r\nconnection: close\r\n\r\n',
      'GET nope HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    ]
    for (const text of texts) assert.match(await raw(port, text), /^HTTP\/1\.1 400 /)
  })

  test('a body in pieces is put together', async (t) => {
    const { port, view } = await start(t)
    const json = '{"hostname":"pds.example.com"}'
    const chunks = json.replaceAll(/./g, (char) => `1\r\n${char}\r\n`)
    assert.match(
      await raw(
        port,
        `${POST_CRAWL}connection: close\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
      ),
      /^HTTP\/1\.1 200 /,
    )
    assert.deepEqual(view.crawled, ['pds.example.com'])
  })
})

describe('the server', () => {
  test('HEAD, CORS and the redirect work over a socket', async (t) => {
    const { url, view } = await start(t)
    const did = 'did:web:alice.test'
    view.homes.set(did, 'https://pds.test')
    const head = await fetch(url, { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.equal(head.headers.get('access-control-allow-origin'), '*')
    const search = `?did=${did.replaceAll(':', '%3a')}&since=3l3qo2vutsw2b&x=%2F+%7e`
    const path = `/xrpc/com.atproto.sync.getRepo${search}`
    const moved = await fetch(url + path, { redirect: 'manual' })
    assert.equal(moved.status, 302)
    assert.equal(moved.headers.get('location'), `https://pds.test${path}`)
  })

  test('an address in use is an error with a code', async (t) => {
    const { port } = await start(t)
    const bind = { host: '127.0.0.1', port }
    await assert.rejects(start(t, { bind }), (error) => codeOf(error) === 'ADDRESS_UNAVAILABLE')
    const bad = { host: 'no.such.name.invalid', port: 0 }
    await assert.rejects(
      start(t, { bind: bad }),
      (error) => codeOf(error) === 'ADDRESS_UNAVAILABLE',
    )
  })

  test('a stop lets a running request finish and refuses new ones', async (t) => {
    const { http, url, view } = await start(t)
    const { promise, resolve } = Promise.withResolvers<CrawlOutcome>()
    view.crawlOutcome = promise
    const answer = fetch(`${url}/xrpc/com.atproto.sync.requestCrawl`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"hostname":"a.test"}',
    })
    while (view.crawled.length === 0) await new Promise(setImmediate)
    const stopped = http.stop(5_000)
    assert.equal(stopped, http.stop(0))
    await assert.rejects(fetch(url))
    resolve({ kind: 'accepted' })
    assert.equal((await answer).status, 200)
    const startMs = performance.now()
    await stopped
    assert(performance.now() - startMs < 2_000, 'an idle connection does not hold the stop up')
  })

  test('a stop closes what does not finish in time, streams too', async (t) => {
    const running = await start(t)
    running.view.crawlOutcome = new Promise(() => {})
    const socket = await subscribe(running)
    const closed = once(socket, 'close')
    const hanging = request(`${running.url}/xrpc/com.atproto.sync.requestCrawl`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    })
    hanging.end('{"hostname":"a.test"}')
    const failed = once(hanging, 'error')
    while (running.view.crawled.length === 0) await new Promise(setImmediate)
    await running.http.stop(20)
    await Promise.all([closed, failed])
  })

  test('metrics are served on their own address', async (t) => {
    const registry = new MetricsRegistry()
    createRelayMetrics(registry).eventsEmitted.add(3, { kind: 'commit' })
    const server = await startMetricsServer({
      registry,
      bind: LOOPBACK,
      clock: systemClock,
      logger: silentLogger,
    })
    t.after(() => server.stop(0))
    const page = await fetch(`http://${server.address}/metrics`)
    assert.match(page.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    assert.match(await page.text(), /skein_events_emitted_total\{kind="commit"\} 3/)
    for (const [path, method, status] of [
      ['/', 'GET', 404],
      ['/metrics', 'POST', 405],
      ['/metrics', 'HEAD', 200],
    ] as const) {
      const answer = await fetch(`http://${server.address}${path}`, { method })
      assert.equal(answer.status, status)
      await answer.text()
    }
  })
})
