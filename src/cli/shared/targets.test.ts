import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SkeinError } from '../../lib/errors.ts'
import { parseTarget } from './targets.ts'

const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'

/** Account, collection, rkey, service; or the path of a file. */
function shape(text: string): unknown {
  const target = parseTarget(text)
  if (target.kind === 'car') return target.path
  const { account, collection, rkey, service } = target
  return [account, collection, rkey, service]
}

const GOOD: readonly (readonly [string, unknown])[] = [
  [DID, [DID, null, null, null]],
  ['did:web:pds.example.com', ['did:web:pds.example.com', null, null, null]],
  ['Alice.Example.COM', ['alice.example.com', null, null, null]],
  ['@alice.example.com', ['alice.example.com', null, null, null]],
  [`at://${DID}`, [DID, null, null, null]],
  [`at://${DID}/`, [DID, null, null, null]],
  [
    'at://alice.example.com/app.bsky.feed.post',
    ['alice.example.com', 'app.bsky.feed.post', null, null],
  ],
  [`at://${DID}/app.bsky.feed.post/3kabc`, [DID, 'app.bsky.feed.post', '3kabc', null]],
  [
    `http://localhost:2583/xrpc/com.atproto.sync.getRepo?did=${DID}`,
    [DID, null, null, 'http://localhost:2583'],
  ],
  ['https://bsky.app/profile/alice.example.com', ['alice.example.com', null, null, null]],
  [
    `https://pdsls.example/at://${DID}/app.bsky.feed.post/3kabc`,
    [DID, 'app.bsky.feed.post', '3kabc', null],
  ],
  ['repo.car', 'repo.car'],
  ['./alice.example.com', './alice.example.com'],
  ['/tmp/x', '/tmp/x'],
  ['file:///tmp/a%20b.car', '/tmp/a b.car'],
  // A file that is there.
  ['package.json', 'package.json'],
]

for (const [text, expected] of GOOD) {
  test(`${text} is understood`, () => assert.deepEqual(shape(text), expected))
}

const BAD = [
  '',
  'alice',
  'did:key:zQ3sh',
  'did:plc:short',
  'at://',
  'at://alice',
  `at://${DID}/not-an-nsid`,
  'https://example.com/nothing',
  'https://[',
  'http://localhost/xrpc/com.atproto.sync.getRepo?did=nobody',
  'x'.repeat(10_000),
  'a\u001b[2J.example.com',
]

for (const text of BAD) {
  test(`${JSON.stringify(text.slice(0, 60))} is refused with a code`, () => {
    assert.throws(
      () => parseTarget(text),
      (error) => error instanceof SkeinError && error.code === 'OPTION_INVALID',
    )
  })
}
