import assert from 'node:assert/strict'
import { test } from 'node:test'

import { requestFailureOf } from './http-client.ts'
import { sendJson, startLoopbackServer } from './testing/loopback-server.ts'
import { WebHttp, type WebHttpOptions } from './web-http.ts'

const LIMITS = { responseTimeoutMs: 10_000, idleTimeoutMs: 10_000, bytesMax: 1_000 }

/** Why a request fails; null when it does not. */
async function failureOf(request: Promise<unknown>): Promise<string | null> {
  try {
    await request
    return null
  } catch (error) {
    return requestFailureOf(error)
  }
}

test('whole responses, redirects when they are asked for, and bounds', async () => {
  await using server = await startLoopbackServer((request, response) => {
    if (request.url === '/big') response.end('x'.repeat(2_000))
    else if (request.url === '/slow') response.flushHeaders()
    else if (request.url === '/done') sendJson(response, { done: true })
    else response.writeHead(302, { location: '/done' }).end()
  })
  const http = new WebHttp({ allowPrivateNetwork: true })
  const url = (path: string): string => server.origin + path
  const whole = await http.fetch(url('/done'))
  assert.equal(new TextDecoder().decode(whole.bytes), '{"done":true}')
  assert.equal(await failureOf(http.fetch(url('/'))), 'redirect')
  const followed = await http.fetch(url('/'), { redirectsMax: 1 })
  assert.equal(followed.url, url('/done'))
  assert.equal(await failureOf(http.fetch(url('/big'), { bytesMax: 1_999 })), 'too-large')
  assert.equal(await failureOf(http.fetch(url('/slow'), { timeoutMs: 50 })), 'timeout')
  const signal = AbortSignal.abort()
  assert.equal(await failureOf(http.fetch(url('/done'), { signal })), 'aborted')
})

test('only names of the public network are asked, unless others are allowed', async () => {
  let asked = 0
  const options: WebHttpOptions = {
    fetch: () => {
      asked++
      return Promise.resolve(new Response('{}'))
    },
  }
  const http = new WebHttp(options)
  for (const url of [
    'http://pds.example/',
    'https://localhost/',
    'https://10.0.0.1/',
    'https://[::1]/',
    'https://pds.example:8443/',
    'https://user@pds.example/',
    'https://pds/',
    'ftp://pds.example/',
    'nonsense',
  ]) {
    assert.equal(await failureOf(http.stream(url, LIMITS)), 'blocked', url)
  }
  assert.equal(asked, 0)
  assert.equal(await failureOf(http.stream('https://pds.example/x', LIMITS)), null)
  assert.equal(asked, 1)
})

/** What a browser gives for a redirect that it was told not to follow. */
function opaqueRedirect(): Response {
  const response = Response.error()
  Object.defineProperty(response, 'type', { value: 'opaqueredirect' })
  return response
}

test('where redirects are hidden they are followed, and their end is judged', async () => {
  const modes: (string | undefined)[] = []
  let end = 'https://other.example/done'
  const http = new WebHttp({
    fetch: (_url, init) => {
      modes.push(init?.redirect)
      if (init?.redirect === 'manual') return Promise.resolve(opaqueRedirect())
      const response = new Response('{}')
      Object.defineProperty(response, 'url', { value: end })
      return Promise.resolve(response)
    },
  })
  const response = await http.stream('https://pds.example/', LIMITS)
  assert.equal(response.url, 'https://other.example/done')
  end = 'http://192.168.0.1/'
  assert.equal(await failureOf(http.stream('https://pds.example/', LIMITS)), 'blocked')
  assert.deepEqual(modes, ['manual', 'follow', 'follow'])
})
