import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHostname } from './hostname.ts'

const PUBLIC_FORMS: readonly (readonly [string, string])[] = [
  ['pds.example.com', 'pds.example.com'],
  ['PDS.Example.COM', 'pds.example.com'],
  ['https://pds.example.com', 'pds.example.com'],
  ['https://pds.example.com/', 'pds.example.com'],
  ['wss://pds.example.com', 'pds.example.com'],
  ['HTTPS://PDS.example.com:443', 'pds.example.com'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ['pds。example。com', 'pds.example.com'],
  ['1.pds.example.com', '1.pds.example.com'],
  [`${'a'.repeat(63)}.com`, `${'a'.repeat(63)}.com`],
]

test('a host name has one spelling', () => {
  for (const [text, hostname] of PUBLIC_FORMS) {
    const parsed = parseHostname(text)
    assert.ok(parsed.ok, text)
    const endpoint = `https://${hostname}`
    assert.deepEqual(parsed.value, { hostname, endpoint, webSocketUrl: `wss://${hostname}` })
    const again = parseHostname(parsed.value.hostname)
    assert.deepEqual(again, parsed, 'normalising twice changes nothing')
  }
})

const REFUSED_ANYWHERE = [
  ['', ' ', '.', '..', 'com', 'pds', '-a.com', 'a-.com', 'a..com', '.a.com', 'a.com.'],
  ['a_b.example.com', 'a b.com', 'exa\tmple.com', 'exa\nmple.com', ' a.com', 'a.com '],
  ['a.com\0', 'a.com/x', 'a.com?', 'a.com?q', 'a.com#', 'a.com//', 'a.com\\', 'a.com:'],
  ['user@a.com', 'user:pw@a.com', 'https://user@a.com', 'https:/a.com', 'https:a.com'],
  ['ftp://a.com', 'file:///etc/passwd', 'javascript:alert(1)', '//a.com', 'a%2ecom', 'a.%63om'],
  ['10.0.0.1', '8.8.8.8', '127.1', '0x7f000001', '2130706433', '017700000001', '1.2.3', 'a.1'],
  ['[::1]', '::1', '[::ffff:127.0.0.1]', 'https://[2606:4700::1]', '①②⑦.0.0.1', '0'],
  ['a.com:0', 'a.com:65536', 'a.com:999999', 'a.com:80a', 'a.com:-1', 'a.com:443:443'],
  [`${'a'.repeat(64)}.com`, `${'a.'.repeat(130)}com`, 'a'.repeat(100_000)],
].flat()

test('what is not a plain host name is refused with a sentence, on every network', () => {
  for (const text of REFUSED_ANYWHERE) {
    for (const allowPrivateNetwork of [false, true]) {
      const parsed = parseHostname(text, { allowPrivateNetwork })
      assert.ok(!parsed.ok, JSON.stringify(text.slice(0, 80)))
      assert.equal(parsed.reason, 'hostname-invalid')
      assert.ok(parsed.detail.length < 300)
    }
  }
})

const PRIVATE_FORMS: readonly (readonly [string, string, string])[] = [
  ['localhost', 'localhost', 'http://localhost'],
  ['localhost:2583', 'localhost:2583', 'http://localhost:2583'],
  ['http://LOCALHOST:2583', 'localhost:2583', 'http://localhost:2583'],
  ['ws://localhost:2583', 'localhost:2583', 'http://localhost:2583'],
  ['https://localhost:2583', 'localhost:2583', 'https://localhost:2583'],
  ['127.0.0.1:2583', '127.0.0.1:2583', 'http://127.0.0.1:2583'],
  ['http://pds.example.com', 'pds.example.com', 'http://pds.example.com'],
  ['http://pds.example.com:80', 'pds.example.com', 'http://pds.example.com'],
  ['pds.example.com:8443', 'pds.example.com:8443', 'https://pds.example.com:8443'],
]

test('ports, plain HTTP and this machine need leave', () => {
  for (const [text, hostname, endpoint] of PRIVATE_FORMS) {
    assert.ok(!parseHostname(text).ok, text)
    const parsed = parseHostname(text, { allowPrivateNetwork: true })
    assert.ok(parsed.ok, text)
    const webSocketUrl = endpoint.replace(/^http/, 'ws')
    assert.deepEqual(parsed.value, { hostname, endpoint, webSocketUrl })
  }
})

test('no spelling of this machine but the two plain ones', () => {
  for (const text of ['127.0.0.2', '[::1]:80', '0.0.0.0:80', '127.0.0.1.', 'localhost.']) {
    assert.ok(!parseHostname(text, { allowPrivateNetwork: true }).ok, text)
  }
})
