import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { codeOf } from '../lib/errors.ts'
import { checkedConnectOptions, createAddressPolicy, isBlocked } from './address-policy.ts'
import type { ResolveAddresses } from './address-lookup.ts'

/** Address, and whether a private network may use it. From the IANA special-purpose registries. */
const NOT_PUBLIC: readonly (readonly [string, boolean])[] = [
  ['127.0.0.1', true],
  ['127.255.255.254', true],
  ['10.0.0.1', true],
  ['172.16.0.1', true],
  ['172.31.255.255', true],
  ['192.168.1.1', true],
  ['::1', true],
  ['fc00::1', true],
  ['fd12:3456::1', true],
  ['::ffff:127.0.0.1', true],
  ['::ffff:10.0.0.1', true],
  ['0.0.0.0', false],
  ['0.1.2.3', false],
  ['100.64.0.1', false],
  ['100.127.255.255', false],
  ['169.254.169.254', false],
  ['192.0.0.1', false],
  ['192.0.2.1', false],
  ['192.88.99.1', false],
  ['198.18.0.1', false],
  ['198.51.100.1', false],
  ['203.0.113.1', false],
  ['224.0.0.1', false],
  ['240.0.0.1', false],
  ['255.255.255.255', false],
  ['::', false],
  ['::ffff:169.254.169.254', false],
  ['::ffff:0:127.0.0.1', false],
  ['::127.0.0.1', false],
  ['::8.8.8.8', false],
  ['64:ff9b::7f00:1', false],
  ['64:ff9b::8.8.8.8', false],
  ['64:ff9b:1::1', false],
  ['100::1', false],
  ['2001::1', false],
  ['2001:db8::1', false],
  ['2001:2::1', false],
  ['2001:10::1', false],
  ['2001:20::1', false],
  ['2002:7f00:1::', false],
  ['3fff::1', false],
  ['5f00::1', false],
  ['4000::1', false],
  ['fe80::1', false],
  ['fe80::1%lo', false],
  ['fec0::1', false],
  ['ff02::1', false],
]
const PUBLIC = ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00::1']

const publicPolicy = createAddressPolicy()
const privatePolicy = createAddressPolicy({ allowPrivateNetwork: true })

test('only public addresses, or private ones where they are allowed', () => {
  for (const [address, isPrivate] of NOT_PUBLIC) {
    assert.notEqual(publicPolicy.checkAddress(address), null, address)
    assert.equal(privatePolicy.checkAddress(address) === null, isPrivate, address)
  }
  for (const address of [...PUBLIC, '::ffff:8.8.8.8']) {
    assert.equal(publicPolicy.checkAddress(address), null, address)
    assert.equal(privatePolicy.checkAddress(address), null, address)
  }
  for (const text of ['', 'localhost', '1.2.3.4.5', 'gggg::']) {
    assert.notEqual(privatePolicy.checkAddress(text), null, text)
  }
})

test('no spelling of an address in a URL gets past the check', () => {
  const loopback = ['127.0.0.1', '127.1', '0x7f000001', '0x7f.1', '2130706433', '017700000001']
  const more = ['127.0.0.1.', '0177.0.0.1', '①②⑦.0.0.1', '127。0。0。1', '%31%32%37.0.0.1']
  const v6 = [
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
  ]
  for (const scheme of ['https', 'wss']) {
    for (const host of [...loopback, ...more, ...v6, '0', '169.254.169.254', '[64:ff9b::7f00:1]']) {
      const checked = publicPolicy.checkUrl(`${scheme}://${host}/`)
      assert.ok(!checked.ok, host)
      assert.equal(checked.reason, 'request-blocked')
    }
  }
})

test('schemes, ports and user names', () => {
  const refusedAnywhere = [
    'ftp://a.com',
    'file:///etc/passwd',
    'data:,x',
    'https://u@a.com',
    '',
    'a',
  ]
  for (const url of [...refusedAnywhere, 'https://:pw@a.com', 'https://169.254.169.254/']) {
    assert.ok(!publicPolicy.checkUrl(url).ok, url)
    assert.ok(!privatePolicy.checkUrl(url).ok, url)
  }
  const needLeave = ['http://a.com', 'ws://a.com', 'https://a.com:8443', 'https://a.com:22']
  for (const url of [...needLeave, 'http://127.0.0.1:2583', 'http://[fd00::1]:80']) {
    assert.ok(!publicPolicy.checkUrl(url).ok, url)
    assert.ok(privatePolicy.checkUrl(url).ok, url)
  }
  for (const url of [
    'https://a.com',
    'wss://a.com:443/x?y',
    'https://a.com:80',
    'https://8.8.8.8',
  ]) {
    assert.ok(publicPolicy.checkUrl(url).ok, url)
  }
})

interface LookupAnswer {
  readonly error: unknown
  readonly address: unknown
}

function lookUp(
  resolveAddresses: ResolveAddresses,
  options: { readonly all?: boolean; readonly family?: number } = { all: true },
): Promise<LookupAnswer> {
  const { lookup } = createAddressPolicy({ resolveAddresses })
  return new Promise((resolve) => {
    lookup('name.example', options, (error, address) => resolve({ error, address }))
  })
}

const GOOD: LookupAddress = { address: '8.8.8.8', family: 4 }
const GOOD_V6: LookupAddress = { address: '2606:4700::1111', family: 6 }
const BAD: LookupAddress = { address: '10.0.0.1', family: 4 }

test('a look-up fails when any address is refused', async () => {
  assert.deepEqual(await lookUp(async () => [GOOD, GOOD_V6]), {
    error: null,
    address: [GOOD, GOOD_V6],
  })
  for (const answer of [[BAD], [GOOD, BAD], [GOOD_V6, { address: '::ffff:7f00:1', family: 6 }]]) {
    const { error } = await lookUp(async () => answer)
    assert.equal(codeOf(error), 'REQUEST_BLOCKED')
    assert.ok(isBlocked(new Error('outer', { cause: error })))
  }
})

test('a look-up honours the family, one address, and failure', async () => {
  const both: ResolveAddresses = async () => [GOOD, GOOD_V6]
  assert.deepEqual(await lookUp(both, {}), { error: null, address: GOOD.address })
  assert.deepEqual(await lookUp(both, { family: 6 }), { error: null, address: GOOD_V6.address })
  assert.equal(codeOf((await lookUp(async () => [])).error), 'REQUEST_FAILED')
  const failure = new Error('no such name')
  assert.equal((await lookUp(() => Promise.reject(failure))).error, failure)
  const many = Array.from({ length: 5_000 }, () => GOOD)
  const { address } = await lookUp(async () => many)
  assert.ok(Array.isArray(address) && address.length <= 16)
})

const toLoopback: ResolveAddresses = async () => [{ address: '127.0.0.1', family: 4 }]

test('ws: literals are refused before, names while connecting, allowed ones connect', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  let connections = 0
  server.on('connection', () => connections++)
  try {
    assert.ok(!checkedConnectOptions(`wss://127.0.0.1:${port}`, publicPolicy).ok)
    assert.ok(!checkedConnectOptions(`wss://127.0.0.1`, publicPolicy).ok)
    // Only the address check stands between this name and the server.
    const { lookup } = createAddressPolicy({ resolveAddresses: toLoopback })
    const refused = new WebSocket(`ws://name.example:${port}`, { lookup })
    const [error] = await once(refused, 'error')
    assert.ok(isBlocked(error))
    assert.equal(connections, 0)

    const policy = createAddressPolicy({ allowPrivateNetwork: true, resolveAddresses: toLoopback })
    const allowed = checkedConnectOptions(`ws://name.example:${port}`, policy)
    assert.ok(allowed.ok)
    const socket = new WebSocket(allowed.value.url, allowed.value.options)
    await once(socket, 'open')
    assert.equal(connections, 1)
    socket.terminate()
  } finally {
    for (const client of server.clients) client.terminate()
    server.close()
  }
})
