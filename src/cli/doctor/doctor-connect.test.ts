import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'

import type { ResolveAddresses } from '../../identity/address-lookup.ts'
import { createSafeFetch } from '../../identity/safe-fetch.ts'
import { systemClock } from '../../lib/clock.ts'
import { startKit } from '../testing/doctor-kit.ts'
import { EXPIRED, OTHER_NAME, SELF_SIGNED, TEST_KEY } from '../testing/test-certificates.ts'

const SHORT = { timeoutMs: 300 }
/** A day in the days of the tests' certificates, near their end. */
const LATE_MS = Date.UTC(2119, 11, 28)

async function connects(cert: string, trusted: readonly string[], nowMs?: number): Promise<string> {
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, ...trusted])
  try {
    await using kit = await startKit({ cert, key: TEST_KEY })
    const clock = { ...systemClock, nowMs: () => nowMs ?? systemClock.nowMs() }
    const target = { kind: 'host', host: kit.host.endpoint } as const
    const walk = await kit.walk(target, { relays: [], clock })
    return walk.outcome('connect').problem ?? 'ok'
  } finally {
    setDefaultCACertificates(before)
  }
}

/** What the steps say of a server that does with its sockets what it likes. */
async function overTcp(onSocket: (socket: Socket) => void): Promise<string> {
  await using kit = await startKit()
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const target = { kind: 'host', host: `https://localhost:${port}` } as const
  const walk = await kit.walk(target, { relays: [], ...SHORT })
  for (const socket of open) socket.destroy()
  server.close()
  return walk.outcome('connect').problem ?? 'ok'
}

const resolveAddresses: ResolveAddresses = () =>
  Promise.resolve([{ address: '127.0.0.1', family: 4 }])

/** What the steps say when connecting goes as `look` lets it; the name itself is known. */
async function throughLookup(look: () => Promise<never>): Promise<string> {
  await using kit = await startKit()
  await using http = createSafeFetch({
    userAgent: 'test',
    allowPrivateNetwork: true,
    resolveAddresses: look,
  })
  const target = { kind: 'host', host: 'https://pds.example.com' } as const
  const walk = await kit.walk(target, { relays: [], http, resolveAddresses, ...SHORT })
  assert.equal(walk.outcome('name').outcome, 'ok')
  return walk.outcome('connect').problem ?? 'ok'
}

describe('connections', () => {
  test('an address that never answers', async () => {
    assert.equal(await throughLookup(() => new Promise(() => {})), 'connect-timeout')
  })
  test('an address without a route', async () => {
    const error = Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' })
    assert.equal(await throughLookup(() => Promise.reject(error)), 'connect-failed')
  })

  test('a good certificate', async () => {
    assert.equal(await connects(SELF_SIGNED, [SELF_SIGNED]), 'ok')
  })
  test('a self-signed certificate', async () => {
    assert.equal(await connects(SELF_SIGNED, []), 'tls-untrusted')
  })
  test('an expired certificate', async () => {
    assert.equal(await connects(EXPIRED, [EXPIRED]), 'tls-expired')
  })
  test('a certificate for another name', async () => {
    assert.equal(await connects(OTHER_NAME, [OTHER_NAME]), 'tls-wrong-name')
  })
  test('a certificate that ends soon', async () => {
    assert.equal(await connects(SELF_SIGNED, [SELF_SIGNED], LATE_MS), 'tls-expires-soon')
  })

  test('a port that speaks no TLS', async () => {
    assert.equal(await overTcp((socket) => socket.end('HTTP/1.1 400 Bad\r\n\r\n')), 'tls-failed')
  })
  test('a port that says nothing', async () => {
    assert.equal(await overTcp(() => undefined), 'tls-failed')
  })
})
