/** Services that are down, silent, lying, or send what they should not: a code, and no growth. */
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { type LoopbackServer, startLoopbackServer } from '../../identity/testing/loopback-server.ts'
import type { CallErrorCode } from './call-error.ts'
import type { SyncClientOptions } from './client-options.ts'
import { Governor } from './governor.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { clientOf, codeOf, errorOf, startRawService } from '../testing/service-kit.ts'
import type { SyncClient } from './sync-client.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const JSON_TYPE = 'application/json'
const CAR_TYPE = 'application/vnd.ipld.car'
const GOOD = JSON.stringify({
  cid: 'bafyreidmnw5sp7whsilzej6mebkazvreu7rbthgotvb2rktald7g7twv24',
  rev: '3n2ucrwglqkl2',
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Both ways out: connections of our own, and a `fetch` that is brought. */
const WAYS: readonly SyncClientOptions[] = [{}, { fetch }]

function answer(type: string, body: string | Uint8Array, headers = {}, status = 200): Handler {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': type, ...headers })
    response.end(body)
  }
}

/** Asks for JSON. */
const ask = (client: SyncClient): Promise<unknown> => client.getLatestCommit({ did: DID })
/** Asks for a CAR and reads it. */
const load = async (client: SyncClient): Promise<unknown> =>
  (await client.getRepo({ did: DID })).bytes()

/** What a call ends with against a handler, which must be the same by both ways. */
async function outcome(
  handler: Handler,
  call: (client: SyncClient) => Promise<unknown>,
  options: SyncClientOptions = {},
): Promise<CallErrorCode | 'none'> {
  await using server = await startLoopbackServer(handler)
  const codes: (CallErrorCode | 'none')[] = []
  for (const way of WAYS) {
    codes.push(await codeOf(call(clientOf(server.origin, { ...way, ...options }))))
  }
  assert.equal(codes[0], codes[1], 'the same by both ways')
  return codes[0] ?? 'none'
}

test('a good answer is given out, by both ways', async () => {
  assert.equal(await outcome(answer(JSON_TYPE, GOOD), ask), 'none')
  assert.equal(await outcome(answer('application/json; charset=utf-8', GOOD), ask), 'none')
})

test('down, hanging up, or not speaking HTTP', async () => {
  for (const way of WAYS) {
    assert.equal(await codeOf(ask(clientOf('http://127.0.0.1:1', way))), 'Unreachable')
  }
  assert.equal(await outcome((request) => request.socket.destroy(), ask), 'Unreachable')
  await using garbage = await startRawService((socket) => socket.end('what?\r\n\r\n'))
  assert.equal(await codeOf(ask(clientOf(garbage.origin))), 'InvalidResponse')
})

const stalls: Handler = (_request, response) => {
  response.writeHead(200, { 'content-type': CAR_TYPE })
  response.write('\u0001')
}

const drips: Handler = (_request, response) => {
  response.setHeader('content-type', JSON_TYPE)
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}

test('silent before the answer, within it, or dripping', async () => {
  assert.equal(await outcome(() => {}, ask), 'Timeout')
  assert.equal(await outcome(stalls, load), 'Timeout')
  // No pause is long enough to be one of silence; the answer as a whole is.
  assert.equal(await outcome(drips, ask), 'Timeout')
  const failsSlowly: Handler = (request, response) => {
    response.statusCode = 503
    drips(request, response)
  }
  assert.equal(await outcome(failsSlowly, ask), 'ServerError')
})

test('answers of another type, and those that are not what they say', async () => {
  const html = '<!doctype html><h1>502 Bad Gateway</h1>'
  assert.equal(await outcome(answer('text/html', html), ask), 'InvalidResponse')
  assert.equal(await outcome(answer('text/html', html), load), 'InvalidResponse')
  assert.equal(await outcome(answer(JSON_TYPE, html), ask), 'InvalidResponse')
  assert.equal(await outcome(answer(JSON_TYPE, '{}'), load), 'InvalidResponse')
  assert.equal(await outcome(answer(CAR_TYPE, html), load), 'InvalidResponse')
  const noType: Handler = (_request, response) => response.end(GOOD)
  assert.equal(await outcome(noType, ask), 'InvalidResponse')
  for (const body of [
    '',
    'null',
    '[]',
    '{}',
    '{"cid":1,"rev":"x"}',
    GOOD.replace('3n2', '!'),
    GOOD.slice(0, -1),
    '['.repeat(100_000),
    `${GOOD.slice(0, -1)},"more":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    `${GOOD.slice(0, -1)},"more":${'{"a":'.repeat(500)}0${'}'.repeat(500)}}`,
  ]) {
    const code = await outcome(answer(JSON_TYPE, body), ask)
    assert.equal(code, 'InvalidResponse', body.slice(0, 20))
  }
  const notUtf8 = new Uint8Array([0x22, 0xff, 0x22])
  assert.equal(await outcome(answer(JSON_TYPE, notUtf8), ask), 'InvalidResponse')
  assert.equal(await outcome(answer(JSON_TYPE, GOOD, {}, 206), ask), 'InvalidResponse')
})

const announced: Handler = (_request, response) => {
  response.writeHead(200, { 'content-type': JSON_TYPE, 'content-length': String(2 ** 40) })
  response.write(' ')
}

test('a gigabyte that keeps coming is cut off at the limit', async () => {
  const written: number[] = []
  const floods: Handler = (_request, response) => {
    response.writeHead(200, { 'content-type': JSON_TYPE })
    let bytes = 0
    const more = (): void => {
      while (bytes < 2 ** 30 && !response.destroyed) {
        bytes += 65_536
        if (!response.write(' '.repeat(65_536))) {
          response.once('drain', more)
          return
        }
      }
    }
    response.on('close', () => written.push(bytes))
    more()
  }
  const before = process.memoryUsage.rss()
  assert.equal(await outcome(floods, ask, { limits: { jsonBytesMax: 1_048_576 } }), 'TooLarge')
  await eventually(() => (written.length === 2 ? true : null), 'both connections are closed')
  assert(
    written.every((bytes) => bytes < 64 * 1_048_576),
    written.join(),
  )
  assert(process.memoryUsage.rss() - before < 256 * 1_048_576)
  assert.equal(await outcome(announced, ask), 'TooLarge')
})

const bomb = gzipSync(new Uint8Array(32 * 1_048_576).fill(0x20))

test('a compressed bomb is refused, or counted by what it unpacks to', async () => {
  await using server = await startLoopbackServer(
    answer(JSON_TYPE, bomb, { 'content-encoding': 'gzip' }),
  )
  assert.equal(await codeOf(ask(clientOf(server.origin))), 'InvalidResponse')
  const limits = { jsonBytesMax: 1_048_576 }
  assert.equal(await codeOf(ask(clientOf(server.origin, { fetch, limits }))), 'TooLarge')
  let asked: string | undefined
  server.handle((request, response) => {
    asked = request.headers['accept-encoding']
    answer(JSON_TYPE, GOOD)(request, response)
  })
  for (const way of WAYS) {
    assert.equal(await codeOf(ask(clientOf(server.origin, way))), 'none')
    assert.equal(asked, 'identity')
  }
})

const endless: Handler = (request) => {
  request.socket.write('HTTP/1.1 200 OK\r\n')
  const timer = setInterval(() => request.socket.write(`x-y: ${'z'.repeat(8_000)}\r\n`), 1)
  request.socket.on('close', () => clearInterval(timer))
  request.socket.on('error', () => {})
}

test('headers without end', async () => {
  await using server = await startLoopbackServer(endless)
  assert.equal(await codeOf(ask(clientOf(server.origin))), 'TooLarge')
  assert.notEqual(await codeOf(ask(clientOf(server.origin, { fetch }))), 'none')
})

const send = (length: number, body: string, type: string) =>
  startRawService((socket) => {
    const head = `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`
    socket.end(head + body)
  })

test('an announced length that is not kept', async () => {
  await using short = await send(5_000, GOOD, JSON_TYPE)
  await using shortCar = await send(5_000, '', CAR_TYPE)
  await using long = await send(GOOD.length - 1, GOOD, JSON_TYPE)
  for (const way of WAYS) {
    assert.equal(await codeOf(ask(clientOf(short.origin, way))), 'Truncated')
    assert.equal(await codeOf(load(clientOf(shortCar.origin, way))), 'Truncated')
    assert.notEqual(await codeOf(ask(clientOf(long.origin, way))), 'none')
  }
  const chunked = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked'
  await using cut = await startRawService((socket) => socket.end(`${chunked}\r\n\r\n40\r\n{"a`))
  for (const way of WAYS) {
    assert.equal(await codeOf(ask(clientOf(cut.origin, way))), 'Truncated')
  }
})

/** A server that redirects all but `/done` to where `to` says. */
async function redirecting(to: (hop: number) => string, status = 302): Promise<LoopbackServer> {
  let hop = 0
  return startLoopbackServer((request, response) => {
    if (request.url === '/done') answer(JSON_TYPE, GOOD)(request, response)
    else response.writeHead(status, { location: to(hop++) }).end()
  })
}

test('redirects: three are followed, loops and private places are not', async () => {
  for (const way of WAYS) {
    await using three = await redirecting((hop) => (hop < 2 ? `/hop${hop}` : '/done'))
    assert.equal(await codeOf(ask(clientOf(three.origin, way))), 'none')
    assert.equal(three.requests.length, 4)
    await using loop = await redirecting(() => '/again')
    assert.equal(await codeOf(ask(clientOf(loop.origin, way))), 'Blocked')
    assert.equal(loop.requests.length, 4)
    await using inner = await startLoopbackServer(answer(JSON_TYPE, GOOD))
    for (const location of [
      `${inner.origin}/done`,
      inner.origin.replace('127.0.0.1', 'localhost'),
      inner.origin.replace('127.0.0.1', '[::ffff:127.0.0.1]'),
      inner.origin.replace('127.0.0.1', '2130706433'),
      'http://169.254.169.254/latest/meta-data',
      'https://10.0.0.1/',
      'file:///etc/passwd',
      'ftp://relay.example/',
      'http://user:secret@127.0.0.1/',
      'https://',
    ]) {
      await using outer = await redirecting(() => location)
      assert.equal(await codeOf(ask(clientOf(outer.origin, way))), 'Blocked', location)
    }
    assert.deepEqual(inner.requests, [], 'nobody was asked')
    await using allowed = await redirecting(() => `${inner.origin}/done`)
    const options = { ...way, allowPrivateNetwork: true }
    assert.equal(await codeOf(ask(clientOf(allowed.origin, options))), 'none')
  }
})

test('what was meant for the service is not shown to where it redirects; nothing is posted on', async () => {
  const seen: (string | undefined)[] = []
  const tell: Handler = (request, response) => {
    seen.push(request.headers.authorization, request.headers['user-agent'])
    answer(JSON_TYPE, GOOD)(request, response)
  }
  await using inner = await startLoopbackServer(tell)
  await using outer = await redirecting(() => `${inner.origin}/done`)
  const headers = { Authorization: 'Bearer secret', 'User-Agent': 'mine/1.0' }
  const client = clientOf(outer.origin, { headers, allowPrivateNetwork: true })
  assert.equal(await codeOf(ask(client)), 'none')
  assert.equal(await codeOf(ask(clientOf(inner.origin, { headers }))), 'none')
  assert.equal(seen[0], undefined)
  assert.match(seen[1] ?? '', /^skein\//)
  assert.deepEqual(seen.slice(2), ['Bearer secret', 'mine/1.0'])
  assert.throws(() => clientOf(inner.origin, { headers: { 'x y': '' } }), {
    code: 'OPTION_INVALID',
  })
  assert.equal(await codeOf(client.requestCrawl({ hostname: 'pds.example' })), 'Blocked')
})

test('pages without end and cursors in circles', async () => {
  let page = 0
  const repo = { did: DID, head: JSON.parse(GOOD).cid, rev: JSON.parse(GOOD).rev }
  await using server = await startLoopbackServer((request, response) => {
    const cursor = request.url?.includes('com.atproto.sync.listRepos') === true ? page++ % 3 : 0
    answer(JSON_TYPE, JSON.stringify({ repos: [repo], cursor: `c${cursor}` }))(request, response)
  })
  const all = async (client: SyncClient): Promise<void> => {
    for await (const { did } of client.listRepos()) assert.equal(did, DID)
  }
  assert.equal(await codeOf(all(clientOf(server.origin))), 'InvalidResponse')
  assert(server.requests.length < 12)
  server.handle((request, response) =>
    answer(JSON_TYPE, JSON.stringify({ repos: [repo], cursor: `c${page++}` }))(request, response),
  )
  const limits = { pagesMax: 20 }
  assert.equal(await codeOf(all(clientOf(server.origin, { limits }))), 'TooLarge')
})

test('statuses and names of errors', async () => {
  const cases: readonly (readonly [number, string | null, CallErrorCode])[] = [
    [400, 'RepoNotFound', 'RepoNotFound'],
    [404, 'RepoNotFound', 'RepoNotFound'],
    [400, 'RepoTakendown', 'RepoTakendown'],
    [400, 'InvalidRequest', 'InvalidRequest'],
    [400, 'SomethingNew', 'OtherError'],
    [400, null, 'InvalidRequest'],
    [401, 'AuthMissing', 'AuthenticationRequired'],
    [403, null, 'Forbidden'],
    [404, null, 'NotFound'],
    [418, 'Teapot', 'OtherError'],
    [429, 'RateLimitExceeded', 'RateLimited'],
    [429, 'RepoNotFound', 'RateLimited'],
    [500, 'RepoNotFound', 'ServerError'],
    [501, 'MethodNotImplemented', 'MethodNotImplemented'],
    [502, null, 'ServerError'],
    [503, null, 'ServerError'],
    [304, null, 'InvalidResponse'],
  ]
  for (const [status, error, code] of cases) {
    const body = error === null ? '<html>' : JSON.stringify({ error, message: 'm'.repeat(5_000) })
    await using server = await startLoopbackServer((_request, response) => {
      response.writeHead(status, { 'content-type': JSON_TYPE, 'retry-after': '7' })
      response.end(status === 304 ? undefined : body)
    })
    const found = await errorOf(ask(clientOf(server.origin)))
    assert.equal(found?.code, code, `${status} ${error ?? ''}`)
    assert.equal(found?.status, status)
    assert.equal(found?.error, error)
    assert.equal(found?.retryAfterMs, 7_000)
  }
  await using huge = await startLoopbackServer(answer(JSON_TYPE, 'x'.repeat(10 ** 6), {}, 400))
  assert.equal(await codeOf(ask(clientOf(huge.origin))), 'InvalidRequest')
})

test('what a service says is harmless to a terminal in the message, and as sent in its field', async () => {
  const said = { error: 'X\u001b[2J', message: '\u009b31m\r\u202eabc' }
  await using server = await startLoopbackServer(answer(JSON_TYPE, JSON.stringify(said), {}, 400))
  const error = await errorOf(ask(clientOf(server.origin)))
  assert.equal(error?.error, said.error)
  // oxlint-disable-next-line no-control-regex -- these must not be there
  assert.doesNotMatch(error?.message ?? '', /[\u0000-\u001f\u007f-\u009f\u202e]/)
  assert.match(error?.message ?? '', /X\\u001b\[2J: \\u009b31m\\u000d\\u202eabc/)
})

test('what passes is tried again, what is final is not', async () => {
  let failures = 2
  await using server = await startLoopbackServer((request, response) => {
    if (failures-- > 0) answer('text/html', 'busy', {}, 503)(request, response)
    else answer(JSON_TYPE, GOOD)(request, response)
  })
  const retry = { attemptsMax: 3, pauseMs: 1, pauseMsMax: 2 }
  assert.equal(await codeOf(ask(clientOf(server.origin, { retry }))), 'none')
  assert.equal(server.requests.length, 3)
  failures = 3
  assert.equal(await codeOf(ask(clientOf(server.origin, { retry }))), 'ServerError')
  assert.equal(server.requests.length, 6)
  const gone = JSON.stringify({ error: 'RepoTakendown', message: '' })
  server.handle(answer(JSON_TYPE, gone, {}, 400))
  assert.equal(await codeOf(ask(clientOf(server.origin, { retry }))), 'RepoTakendown')
  server.handle(answer(JSON_TYPE, gone, { 'retry-after': '999999' }, 429))
  assert.equal(await codeOf(ask(clientOf(server.origin, { retry }))), 'RateLimited')
  assert.equal(server.requests.length, 8, 'nobody waits for days')
})

test('clients that share a governor heed what one of them was told', async () => {
  await using server = await startLoopbackServer(
    answer(JSON_TYPE, '{}', { 'retry-after': '3600' }, 429),
  )
  const governor = new Governor({ limits: { waitMsMax: 1 } })
  const first = await errorOf(ask(clientOf(server.origin, { governor })))
  assert.equal(first?.status, 429)
  assert(governor.pace(server.origin).pausedMs > 0)
  const second = await errorOf(ask(clientOf(server.origin, { governor })))
  assert.deepEqual([second?.code, second?.status], ['RateLimited', null])
  assert.equal(server.requests.length, 1, 'nobody was asked again')
  assert.equal(await codeOf(ask(clientOf(server.origin))), 'RateLimited')
  assert.equal(server.requests.length, 2, 'another governor knows nothing of it')
})

test('a signal ends every wait: for the answer, in the body, between attempts, for leave', async () => {
  await using silent = await startLoopbackServer(() => {})
  for (const way of WAYS) {
    const control = new AbortController()
    const limits = { responseTimeoutMs: 60_000, idleTimeoutMs: 60_000, answerTimeoutMs: 60_000 }
    const client = clientOf(silent.origin, { ...way, limits, signal: control.signal })
    const waiting = ask(client)
    silent.handle(() => control.abort())
    assert.equal(await codeOf(Promise.race([waiting, ask(client)])), 'Aborted')
    assert.equal(await codeOf(waiting), 'Aborted')
    assert.equal(await codeOf(ask(client)), 'Aborted')
    const inBody = new AbortController()
    silent.handle((_request, response) => {
      response.writeHead(200, { 'content-type': CAR_TYPE })
      response.write('\u0009')
    })
    const stream = await clientOf(silent.origin, { ...way, limits }).getRepo(
      { did: DID },
      { signal: inBody.signal },
    )
    const reading = stream.bytes()
    inBody.abort()
    assert.equal(await codeOf(reading), 'Aborted')
    silent.handle(() => {})
  }
  const between = new AbortController()
  await using failing = await startLoopbackServer((request, response) => {
    answer('text/html', 'no', { 'retry-after': '50' }, 503)(request, response)
    response.on('finish', () => between.abort())
  })
  const client = clientOf(failing.origin, { retry: { attemptsMax: 2 }, signal: between.signal })
  assert.equal(await codeOf(ask(client)), 'Aborted')
})

test('parameters are checked before anything is sent', async () => {
  await using server = await startLoopbackServer(answer(JSON_TYPE, GOOD))
  const client = clientOf(server.origin)
  const cid: string = JSON.parse(GOOD).cid
  const calls: readonly Promise<unknown>[] = [
    client.getRepo({ did: 'alice.example' }),
    client.getRepo({ did: DID, since: 'yesterday' }),
    client.getRecord({ did: DID, collection: 'nsid', rkey: 'a' }),
    client.getRecord({ did: DID, collection: 'org.example.note', rkey: '..' }),
    client.verified.getRecord({ did: DID, collection: 'org.example.note', rkey: '..' }),
    client.verified.getRepo({ did: DID }, { collections: ['nonsense'] }),
    client.getBlocks({ did: DID, cids: [] }),
    client.getBlocks({ did: DID, cids: Array.from({ length: 200 }, () => cid) }),
    client.getBlob({ did: DID, cid: 'Qm' }),
    client.listReposPage({ limit: 1_001 }),
    client.subscribeRepos({ cursor: -1 })[Symbol.asyncIterator]().next(),
  ]
  for (const call of calls) assert.equal(await codeOf(call), 'InvalidRequest')
  assert.deepEqual(server.requests, [])
})
