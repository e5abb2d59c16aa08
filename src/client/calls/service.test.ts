import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isLoopbackName, parseService } from './service.ts'

const GOOD: readonly (readonly [string, string, string])[] = [
  ['relay.example', 'https://relay.example', 'wss://relay.example'],
  ['Relay.EXAMPLE/', 'https://relay.example', 'wss://relay.example'],
  ['relay.example:8443', 'https://relay.example:8443', 'wss://relay.example:8443'],
  ['https://relay.example', 'https://relay.example', 'wss://relay.example'],
  ['https://relay.example:443/', 'https://relay.example', 'wss://relay.example'],
  ['wss://relay.example', 'https://relay.example', 'wss://relay.example'],
  ['WSS://relay.example', 'https://relay.example', 'wss://relay.example'],
  ['http://relay.example', 'http://relay.example', 'ws://relay.example'],
  ['ws://10.0.0.7:2470', 'http://10.0.0.7:2470', 'ws://10.0.0.7:2470'],
  ['localhost:2470', 'http://localhost:2470', 'ws://localhost:2470'],
  ['localhost:443', 'http://localhost:443', 'ws://localhost:443'],
  ['localhost:80', 'http://localhost', 'ws://localhost'],
  ['pds.localhost', 'http://pds.localhost', 'ws://pds.localhost'],
  ['127.0.0.1:2583', 'http://127.0.0.1:2583', 'ws://127.0.0.1:2583'],
  ['[::1]:2583', 'http://[::1]:2583', 'ws://[::1]:2583'],
  ['https://localhost:2470', 'https://localhost:2470', 'wss://localhost:2470'],
  ['pds', 'https://pds', 'wss://pds'],
  ['bücher.example', 'https://xn--bcher-kva.example', 'wss://xn--bcher-kva.example'],
]

test('a service in each of its spellings', () => {
  for (const [text, origin, webSocketOrigin] of GOOD) {
    assert.deepEqual(parseService(text), { origin, webSocketOrigin }, text)
  }
  const url = new URL('https://relay.example/')
  assert.equal(parseService(url).origin, 'https://relay.example')
})

const BAD = [
  '',
  ' ',
  'https://',
  'https:relay.example',
  'ftp://relay.example',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'did:plc:ewvi7nxzyoun6zhxrhs64oiz',
  'https://relay.example/xrpc',
  'relay.example/xrpc/com.atproto.sync.getRepo',
  'relay.example?x=1',
  'relay.example#x',
  'https://user:secret@relay.example',
  'user@relay.example',
  'relay.example:0',
  'relay.example:65536',
  'relay.example:port',
  'relay example',
  'relay..example',
  'relay.example\\evil.example',
  'relay%2eexample',
  '-.-',
  '@',
  `${'a'.repeat(64)}.example`,
  'a'.repeat(600),
]

test('what is no service is refused, with a code', () => {
  for (const text of BAD) {
    assert.throws(() => parseService(text), { code: 'OPTION_INVALID' }, JSON.stringify(text))
  }
})

test('names of loopback', () => {
  for (const name of ['localhost', 'a.localhost', '127.0.0.1', '127.9.9.9', '[::1]']) {
    assert(isLoopbackName(name), name)
  }
  for (const name of ['localhost.example', 'notlocalhost', '128.0.0.1', '127.0.0.1.example']) {
    assert(!isLoopbackName(name), name)
  }
})
