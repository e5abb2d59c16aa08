import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { systemClock } from '../lib/clock.ts'
import type { Clock } from '../lib/clock.ts'
import { DidWebResolver, parseWebDid } from './did-web-resolver.ts'
import { DID_DOCUMENT_BYTES_MAX, parseRetryAfter } from './fetch-document.ts'
import type { DocumentOutcome } from './identity.ts'
import { PlcResolver } from './plc-resolver.ts'
import { createSafeFetch } from './safe-fetch.ts'
import { didDocument, plcDid } from './testing/documents.ts'
import { createFakeClock } from './testing/fake-clock.ts'
import { sendJson, startLoopbackServer } from './testing/loopback-server.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const DID = plcDid(7)
const never = new AbortController().signal
const good: Handler = (request, response) =>
  sendJson(response, didDocument(decodeURIComponent((request.url ?? '').slice(1))))

function status(code: number, headers: Readonly<Record<string, string>> = {}): Handler {
  return (_, response) => void response.writeHead(code, headers).end('{}')
}

function openHttp(): ReturnType<typeof createSafeFetch> {
  return createSafeFetch({ userAgent: 'skein/0.0.0', allowPrivateNetwork: true })
}

/** Asks directories that behave in these ways, and tells how often each was asked. */
async function ask(
  handlers: readonly Handler[],
  options: { readonly clock?: Clock; readonly dids?: readonly string[] } = {},
): Promise<{ outcomes: readonly DocumentOutcome[]; asked: readonly number[] }> {
  await using http = openHttp()
  await using stack = new AsyncDisposableStack()
  const servers = []
  for (const handler of handlers) servers.push(stack.use(await startLoopbackServer(handler)))
  const plc = new PlcResolver({
    directories: servers.map(({ origin }) => origin),
    http,
    clock: options.clock ?? systemClock,
    timeoutMs: 300,
  })
  const outcomes = []
  for (const did of options.dids ?? [DID]) outcomes.push(await plc.resolve(did, never))
  return { outcomes, asked: servers.map(({ requests }) => requests.length) }
}

test('the first directory that has the DID answers', async () => {
  const { outcomes, asked } = await ask([good, good])
  const [outcome] = outcomes
  assert.ok(outcome?.kind === 'found')
  assert.equal(outcome.document.did, DID)
  assert.equal(outcome.document.pdsHostname, 'pds.example.com')
  assert.deepEqual(asked, [1, 0])
})

test('not found and tombstoned are final: no other directory is asked', async () => {
  for (const code of [404, 410]) {
    const { outcomes, asked } = await ask([status(code), good])
    assert.equal(outcomes[0]?.kind, 'missing')
    assert.deepEqual(asked, [1, 0])
  }
})

const huge = JSON.stringify({ ...didDocument(DID), x: 'x'.repeat(DID_DOCUMENT_BYTES_MAX) })
const FAULTS: Readonly<Record<string, Handler>> = {
  'status 500': status(500),
  'status 503': status(503),
  'status 429': status(429),
  'status 400': status(400),
  'status 204': status(204),
  redirect: status(302, { location: '/elsewhere' }),
  timeout: () => {},
  network: (request) => void request.socket.destroy(),
  'another DID': (_, response) => sendJson(response, didDocument(plcDid(8))),
  'not JSON': (_, response) => void response.end('<html>'),
  'not UTF-8': (_, response) => void response.end(Buffer.from([0xff, 0xfe])),
  'too-large': (_, response) => void response.end(huge),
  encoding: (_, response) => {
    response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(5_000_000)))
  },
}

test('whatever else a directory does, the next one is asked', async () => {
  for (const [fault, handler] of Object.entries(FAULTS)) {
    const { outcomes, asked } = await ask([handler, good])
    assert.equal(outcomes[0]?.kind, 'found', fault)
    assert.deepEqual(asked, [1, 1], fault)
    const alone = await ask([handler])
    const [outcome] = alone.outcomes
    assert.ok(outcome?.kind === 'unresolved', fault)
    assert.match(outcome.detail, new RegExp(fault))
  }
})

const endless: Handler = (_, response) => {
  const pump = (): void => {
    while (!response.destroyed && response.write(' '.repeat(16_384))) continue
    if (!response.destroyed) response.once('drain', pump)
  }
  pump()
}

test('an endless document is cut off', async () => {
  const { outcomes } = await ask([endless])
  assert.ok(outcomes[0]?.kind === 'unresolved' && /too-large/.test(outcomes[0].detail))
})

test('a directory that asks for patience gets it, and the DID is not to blame', async () => {
  const clock = createFakeClock()
  await using http = openHttp()
  await using server = await startLoopbackServer(status(429, { 'retry-after': '20' }))
  const plc = new PlcResolver({ directories: [server.origin], http, clock })
  const first = await plc.resolve(DID, never)
  assert.ok(first.kind === 'unresolved')
  assert.equal(first.retryAfterMs, 20_000)
  server.handle(good)
  clock.advance(19_000)
  const second = await plc.resolve(DID, never)
  assert.ok(second.kind === 'unresolved')
  assert.equal(second.retryAfterMs, 1_000)
  assert.equal(server.requests.length, 1)
  clock.advance(1_000)
  assert.equal((await plc.resolve(DID, never)).kind, 'found')
})

test('a directory that keeps failing is left alone, longer each time, and then tried', async () => {
  const clock = createFakeClock()
  await using http = openHttp()
  await using server = await startLoopbackServer(status(500))
  const plc = new PlcResolver({ directories: [server.origin], http, clock })
  for (let i = 0; i < 3; i++) {
    clock.advance(1)
    await plc.resolve(plcDid(i), never)
  }
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    const before = server.requests.length
    clock.advance(pauseMs - 1)
    assert.equal((await plc.resolve(DID, never)).kind, 'unresolved')
    assert.equal(server.requests.length, before)
    clock.advance(1)
    await plc.resolve(DID, never)
    assert.equal(server.requests.length, before + 1)
  }
  server.handle(good)
  clock.advance(30_000)
  assert.equal((await plc.resolve(DID, never)).kind, 'found')
})

test('failures together are one failure', async () => {
  await using http = openHttp()
  await using server = await startLoopbackServer(status(500))
  const plc = new PlcResolver({ directories: [server.origin], http, clock: createFakeClock() })
  const together = Array.from({ length: 8 }, (_, i) => plc.resolve(plcDid(i), never))
  await Promise.all(together)
  await plc.resolve(plcDid(8), never)
  assert.equal(server.requests.length, 9, 'one failure does not make a pause')
})

test('a directory is not asked more often than its rate', async () => {
  const clock = createFakeClock()
  await using http = openHttp()
  await using server = await startLoopbackServer(good)
  const plc = new PlcResolver({
    directories: [server.origin],
    http,
    clock,
    perSecond: 10,
    burst: 2,
  })
  const all = Array.from({ length: 4 }, (_, i) => plc.resolve(plcDid(i), never))
  const asked = async (): Promise<number> => {
    // A request that comes last: whatever was sent before it has arrived by then.
    await http.fetch(`${server.origin}/last`)
    return server.requests.filter((path) => path !== '/last').length
  }
  await Promise.all(all.slice(0, 2))
  assert.equal(await asked(), 2)
  clock.advance(100)
  await all[2]
  assert.equal(await asked(), 3)
  clock.advance(100)
  await all[3]
  assert.equal(await asked(), 4)
})

test('what is not a did:plc is not asked for, and bad options are errors', async () => {
  const bad = ['did:plc:short', `${DID}a`, 'did:plc:../../../../etc/passwd', DID.toUpperCase()]
  const { outcomes, asked } = await ask([good], { dids: bad })
  assert.ok(outcomes.every(({ kind }) => kind === 'missing'))
  assert.deepEqual(asked, [0])
  await using http = openHttp()
  for (const directories of [[], ['plc.directory'], ['ftp://plc.directory']]) {
    const make = (): PlcResolver => new PlcResolver({ directories, http, clock: systemClock })
    assert.throws(make, { code: 'OPTION_INVALID' })
  }
})

test('a base path of a mirror is kept', async () => {
  await using http = openHttp()
  await using server = await startLoopbackServer(status(404))
  const directories = [`${server.origin}/plc`]
  const plc = new PlcResolver({ directories, http, clock: systemClock })
  await plc.resolve(DID, never)
  assert.deepEqual(server.requests, [`/plc/${DID}`])
})

test('Retry-After in both forms, capped', () => {
  const now = Date.UTC(2026, 0, 1)
  assert.equal(parseRetryAfter('7', now), 7_000)
  assert.equal(parseRetryAfter(new Date(now + 9_000).toUTCString(), now), 9_000)
  assert.equal(parseRetryAfter(new Date(now - 9_000).toUTCString(), now), 0)
  assert.equal(parseRetryAfter('999999999', now), 300_000)
  for (const value of [undefined, '', 'soon', '-1', '1e9']) {
    const parsed = parseRetryAfter(value, now)
    assert.ok(parsed === null || (parsed >= 0 && parsed <= 300_000))
  }
})

test('did:web: the document of the host, over every fault, without redirects', async () => {
  await using http = openHttp()
  await using server = await startLoopbackServer(good)
  const did = `did:web:localhost%3A${server.port}`
  const options = { http, clock: systemClock, timeoutMs: 300 }
  const web = new DidWebResolver({ ...options, allowPrivateNetwork: true })
  server.handle((_, response) => sendJson(response, didDocument(did)))
  const found = await web.resolve(did, never)
  assert.ok(found.kind === 'found')
  assert.equal(found.document.did, did)
  assert.deepEqual(server.requests, ['/.well-known/did.json'])
  for (const [fault, handler] of Object.entries(FAULTS)) {
    server.handle(handler)
    const outcome = await web.resolve(did, never)
    assert.ok(outcome.kind === 'unresolved', fault)
    assert.equal(outcome.retryAfterMs, null)
  }
  for (const code of [404, 410]) {
    server.handle(status(code))
    assert.equal((await web.resolve(did, never)).kind, 'missing')
  }
  const before = server.requests.length
  const strict = new DidWebResolver(options)
  assert.equal((await strict.resolve(did, never)).kind, 'missing')
  assert.equal(server.requests.length, before)
})

function hostOf(did: string, allowPrivateNetwork = false): string | undefined {
  return parseWebDid(did, { allowPrivateNetwork })?.endpoint
}

test('did:web: hosts only', () => {
  assert.equal(hostOf('did:web:example.com'), 'https://example.com')
  assert.equal(hostOf('did:web:localhost%3A80', true), 'http://localhost')
  assert.equal(hostOf('did:web:localhost%3A8080', true), 'http://localhost:8080')
  const bad = ['did:web:', 'did:web:com', 'did:web:a.com:path', 'did:web:a.com%3A8080']
  const worse = ['did:web:a.com%2Fx', 'did:web:10.0.0.1', 'did:web:a.com/x', 'did:web:u@a.com']
  for (const did of [...bad, ...worse, 'did:web:localhost', 'did:plc:a', 'did:web:[::1]']) {
    assert.equal(hostOf(did), undefined, did)
  }
})
