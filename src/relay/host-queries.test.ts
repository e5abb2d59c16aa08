import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpClient, SafeRequest } from '../identity/http-client.ts'
import { utf8 } from '../lib/bytes.ts'
import { askRepoStatus, probeHost } from './host-queries.ts'

interface Asked {
  readonly url: string
  readonly request: SafeRequest
}

/** A client that gives one answer, and remembers what it was asked. */
function answering(
  body: string | Uint8Array | Error,
  options: { readonly status?: number; readonly server?: string } = {},
): HttpClient & { readonly asked: Asked[] } {
  const asked: Asked[] = []
  return {
    asked,
    fetch(url, request = {}) {
      asked.push({ url: String(url), request })
      if (body instanceof Error) return Promise.reject(body)
      const { status = 200, server = 'pds' } = options
      const bytes = typeof body === 'string' ? utf8(body) : body
      return Promise.resolve({ url: '', status, headers: new Map([['server', server]]), bytes })
    },
  }
}

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const ENDPOINT = 'https://a.example.com'

test('a host’s word on an account is taken only when it is one', async () => {
  const good = answering(JSON.stringify({ did: DID, active: true, rev: 'x' }))
  assert.equal((await askRepoStatus(good, ENDPOINT, DID))?.active, true)
  const [asked] = good.asked
  assert.equal(
    asked?.url,
    `${ENDPOINT}/xrpc/com.atproto.sync.getRepoStatus?did=${encodeURIComponent(DID)}`,
  )
  assert.ok((asked?.request.timeoutMs ?? Infinity) <= 10_000, 'I9: bounded in time')
  assert.ok((asked?.request.bytesMax ?? Infinity) <= 100_000, 'I9: bounded in size')
  const inactive = answering(JSON.stringify({ did: DID, active: false }))
  assert.equal((await askRepoStatus(inactive, ENDPOINT, DID))?.active, false)
  const useless: (string | Uint8Array | Error)[] = [
    '',
    '{',
    'null',
    '[]',
    '"active"',
    JSON.stringify({ did: 'did:plc:other', active: true }),
    JSON.stringify({ did: DID, active: 'yes' }),
    JSON.stringify({ did: DID }),
    Uint8Array.of(0xff, 0xfe),
    new Error('time-out'),
  ]
  for (const body of useless) {
    assert.equal(await askRepoStatus(answering(body), ENDPOINT, DID), null, String(body))
  }
  const refused = answering(JSON.stringify({ did: DID, active: true }), { status: 400 })
  assert.equal(await askRepoStatus(refused, ENDPOINT, DID), null)
})

test('a host can be crawled if it answers as one and is not a relay', async () => {
  const body = JSON.stringify({ did: 'did:web:a.example.com', availableUserDomains: [] })
  const good = answering(body)
  assert.deepEqual(await probeHost(good, ENDPOINT), { ok: true })
  assert.equal(good.asked[0]?.url, `${ENDPOINT}/xrpc/com.atproto.server.describeServer`)
  const bad: [HttpClient, RegExp][] = [
    [answering(body, { status: 404 }), /status 404/u],
    [answering(body, { server: 'indigo-relay/x (atproto-relay)' }), /is a relay/u],
    [answering(body, { server: 'ATProto-Relay', status: 501 }), /is a relay/u],
    [answering('{}'), /server DID/u],
    [answering('nonsense'), /server DID/u],
    [answering(new Error('x'.repeat(10_000))), /could not be reached/u],
  ]
  for (const [client, message] of bad) {
    const outcome = await probeHost(client, ENDPOINT)
    assert.equal(outcome.ok, false)
    if (outcome.ok) continue
    assert.match(outcome.message, message)
    assert.ok(outcome.message.length < 300)
  }
})
