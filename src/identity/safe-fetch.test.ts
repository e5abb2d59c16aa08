import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { fromUtf8 } from '../lib/bytes.ts'
import { SkeinError } from '../lib/errors.ts'
import type { ResolveAddresses } from './address-lookup.ts'
import { requestFailureOf } from './http-client.ts'
import type { RequestFailure, SafeRequest } from './http-client.ts'
import { createSafeFetch } from './safe-fetch.ts'
import type { SafeFetch, SafeFetchLimits } from './safe-fetch.ts'
import { startLoopbackServer } from './testing/loopback-server.ts'

const USER_AGENT = 'skein/0.0.0 (+https://relay.example)'

function openFetch(limits: Partial<SafeFetchLimits> = {}): SafeFetch {
  return createSafeFetch({ userAgent: USER_AGENT, allowPrivateNetwork: true, limits })
}

async function failureOf(
  client: SafeFetch,
  url: string,
  request?: SafeRequest,
): Promise<RequestFailure | null> {
  try {
    await client.fetch(url, request)
  } catch (error) {
    return requestFailureOf(error)
  }
  return null
}

test('a plain exchange', async () => {
  let seen: IncomingMessage['headers'] = {}
  await using server = await startLoopbackServer((request, response) => {
    seen = request.headers
    response.setHeader('x-two', ['a', 'b'])
    response.statusCode = 418
    response.end('hello')
  })
  await using client = openFetch()
  const response = await client.fetch(`${server.origin}/path?q=1`, { headers: { accept: 'a/b' } })
  assert.equal(response.status, 418)
  assert.equal(response.url, `${server.origin}/path?q=1`)
  assert.equal(fromUtf8(response.bytes), 'hello')
  assert.equal(response.headers.get('x-two'), 'a, b')
  assert.deepEqual(server.requests, ['/path?q=1'])
  assert.equal(seen['user-agent'], USER_AGENT)
  assert.equal(seen['accept-encoding'], 'identity')
  assert.equal(seen.accept, 'a/b')
})

test('a body is sent', async () => {
  let received = ''
  await using server = await startLoopbackServer((request, response) => {
    request.on('data', (chunk) => (received += String(chunk)))
    request.on('end', () => response.end(request.method))
  })
  await using client = openFetch()
  const headers = { 'content-type': 'application/json' }
  const response = await client.fetch(server.origin, { method: 'POST', body: '{"a":1}', headers })
  assert.equal(fromUtf8(response.bytes), 'POST')
  assert.equal(received, '{"a":1}')
})

test('bodies over the limit are cut off, announced or not', async () => {
  let written = 0
  await using server = await startLoopbackServer((request, response) => {
    if (request.url === '/announced') {
      response.setHeader('content-length', 10_000_000)
      response.write('x')
      return
    }
    const pump = (): void => {
      while (!response.destroyed && response.write('x'.repeat(16_384))) written += 16_384
      if (!response.destroyed) response.once('drain', pump)
    }
    pump()
  })
  await using client = openFetch()
  assert.equal(await failureOf(client, `${server.origin}/endless`), 'too-large')
  assert.equal(await failureOf(client, `${server.origin}/announced`), 'too-large')
  // The server got rid of little more than the limit and what the sockets hold.
  assert.ok(written < 16 * 1_024 * 1_024, String(written))
})

test('a limit is exact', async () => {
  await using server = await startLoopbackServer((_, response) => {
    response.write('x'.repeat(50))
    response.end('x'.repeat(50))
  })
  await using client = openFetch()
  assert.equal((await client.fetch(server.origin, { bytesMax: 100 })).bytes.length, 100)
  assert.equal(await failureOf(client, server.origin, { bytesMax: 99 }), 'too-large')
})

test('compressed bodies are refused unread', async () => {
  const bomb = gzipSync(Buffer.alloc(20_000_000))
  await using server = await startLoopbackServer((_, response) => {
    response.setHeader('content-encoding', 'gzip')
    response.end(bomb)
  })
  await using client = openFetch()
  assert.equal(await failureOf(client, server.origin), 'encoding')
})

test('the deadline covers headers that do not come and bodies that trickle', async () => {
  await using server = await startLoopbackServer((request, response) => {
    if (request.url !== '/trickle') return
    response.write('x')
    const timer = setInterval(() => response.write('x'), 20)
    response.on('close', () => clearInterval(timer))
  })
  await using client = openFetch()
  for (const path of ['/hang', '/trickle']) {
    const started = performance.now()
    assert.equal(await failureOf(client, server.origin + path, { timeoutMs: 150 }), 'timeout')
    assert.ok(performance.now() - started < 2_000)
  }
})

test('a caller can abort, and closing ends what is under way', async () => {
  await using server = await startLoopbackServer(() => {})
  const client = openFetch()
  const controller = new AbortController()
  const aborted = failureOf(client, server.origin, { signal: controller.signal })
  const stopped = failureOf(client, server.origin)
  controller.abort()
  assert.equal(await aborted, 'aborted')
  assert.equal(await failureOf(client, server.origin, { signal: controller.signal }), 'aborted')
  await client.close()
  assert.equal(await stopped, 'stopped')
  assert.equal(await failureOf(client, server.origin), 'stopped')
})

test('no server, a server that hangs up, nonsense and endless headers', async () => {
  await using server = await startLoopbackServer((request) => {
    if (request.url === '/nonsense') request.socket.end('nonsense\r\n\r\n')
    else if (request.url === '/headers') {
      request.socket.end(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`)
    } else request.socket.destroy()
  })
  await using client = openFetch()
  assert.equal(await failureOf(client, 'http://127.0.0.1:1/'), 'network')
  assert.equal(await failureOf(client, `${server.origin}/hang-up`), 'network')
  assert.equal(await failureOf(client, `${server.origin}/nonsense`), 'malformed')
  assert.equal(await failureOf(client, `${server.origin}/headers`), 'too-large')
})

function redirectTo(
  location: string,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    if (request.url === '/end') response.end(request.headers.authorization ?? 'none')
    else response.writeHead(302, { location }).end()
  }
}

test('redirects are refused by default, counted, and shown no secrets of others', async () => {
  await using server = await startLoopbackServer(redirectTo('/end'))
  await using other = await startLoopbackServer((request, response) => {
    response.end(request.headers.authorization ?? 'none')
  })
  await using client = openFetch()
  const headers = { authorization: 'secret' }
  const start = `${server.origin}/start`
  assert.equal(await failureOf(client, start), 'redirect')
  const same = await client.fetch(start, { redirectsMax: 1, headers })
  assert.equal(fromUtf8(same.bytes), 'secret')
  assert.equal(same.url, `${server.origin}/end`)
  assert.equal(await failureOf(client, start, { method: 'POST', redirectsMax: 3 }), 'redirect')

  server.handle(redirectTo(other.origin))
  const elsewhere = await client.fetch(start, { redirectsMax: 1, headers })
  assert.equal(fromUtf8(elsewhere.bytes), 'none')

  server.handle(redirectTo('/start'))
  const before = server.requests.length
  assert.equal(await failureOf(client, start, { redirectsMax: 100 }), 'redirect')
  assert.equal(server.requests.length - before, 4)
})

test('each redirect is checked', async () => {
  const targets = [
    'http://169.254.169.254/',
    'http://[fe80::1]/',
    'file:///etc/passwd',
    'http://0/',
  ]
  for (const target of targets) {
    await using server = await startLoopbackServer(redirectTo(target))
    await using client = openFetch()
    assert.equal(await failureOf(client, server.origin, { redirectsMax: 3 }), 'blocked')
  }
})

test('a public client reaches nothing on this machine, by any spelling', async () => {
  await using server = await startLoopbackServer((_, response) => response.end('reached'))
  await using client = createSafeFetch({ userAgent: USER_AGENT })
  const hosts = ['127.0.0.1', 'localhost', '0x7f000001', '127.1', '2130706433', '[::1]']
  for (const host of [...hosts, '[::ffff:127.0.0.1]', '0.0.0.0']) {
    for (const scheme of ['http', 'https']) {
      const url = `${scheme}://${host}:${server.port}/`
      assert.equal(await failureOf(client, url), 'blocked', url)
      if (host !== 'localhost') assert.equal(await failureOf(client, `https://${host}/`), 'blocked')
    }
  }
  assert.deepEqual(server.requests, [])
})

test('a name is judged by its addresses, and a second answer does not count', async () => {
  await using server = await startLoopbackServer((_, response) => response.end('reached'))
  let asked = 0
  const answers = ['169.254.169.254', '127.0.0.1', '169.254.169.254']
  const rebinding: ResolveAddresses = async () => [
    { address: answers[asked++] ?? '169.254.169.254', family: 4 },
  ]
  await using client = createSafeFetch({
    userAgent: USER_AGENT,
    allowPrivateNetwork: true,
    resolveAddresses: rebinding,
  })
  const url = `http://rebind.example:${server.port}/`
  assert.equal(await failureOf(client, url), 'blocked')
  assert.equal(asked, 1)
  assert.equal(fromUtf8((await client.fetch(url)).bytes), 'reached')
  assert.equal(asked, 2)
})

const toLoopback: ResolveAddresses = async () => [{ address: '127.0.0.1', family: 4 }]

test('a public name that leads to this machine is refused while connecting', async () => {
  await using client = createSafeFetch({ userAgent: USER_AGENT, resolveAddresses: toLoopback })
  assert.equal(await failureOf(client, 'https://pds.example.com/'), 'blocked')
})

test('https goes to the address that was checked, under the name that was asked for', async () => {
  const names: string[] = []
  const server = createTlsServer({
    SNICallback(name, callback) {
      names.push(name)
      callback(new Error('no certificate'))
    },
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    await using client = createSafeFetch({
      userAgent: USER_AGENT,
      allowPrivateNetwork: true,
      resolveAddresses: toLoopback,
    })
    assert.equal(await failureOf(client, `https://pds.example.com:${port}/`), 'network')
    assert.deepEqual(names, ['pds.example.com'])
  } finally {
    server.close()
  }
})

test('one host is asked so often and so much at a time, and told when to come again', async () => {
  await using server = await startLoopbackServer(() => {})
  await using client = openFetch({ inFlightPerHostMax: 2, perHostBurst: 3, perHostPerSecond: 0.1 })
  const hanging = [1, 2].map(() => failureOf(client, server.origin, { timeoutMs: 200 }))
  assert.equal(await failureOf(client, server.origin), 'limited')
  assert.deepEqual(await Promise.all(hanging), ['timeout', 'timeout'])
  server.handle((_, response) => response.end())
  await client.fetch(server.origin)
  await assert.rejects(client.fetch(server.origin), (error) => {
    assert.ok(error instanceof SkeinError)
    const wait = error.fields['retryAfterMs']
    return typeof wait === 'number' && wait > 1_000 && wait <= 10_000
  })
})
