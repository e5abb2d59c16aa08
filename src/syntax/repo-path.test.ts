import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { utf8 } from '../lib/bytes.ts'
import { toNsid } from './nsid.ts'
import { toRecordKey } from './record-key.ts'
import { formatRepoPath, isRepoPathBytes, parseRepoPath } from './repo-path.ts'

/** The regular expressions of the NSID and record key specifications, and their lengths. */
const NSID =
  /^[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+(\.[a-zA-Z]([a-zA-Z0-9]{0,62})?)$/
const RECORD_KEY = /^[a-zA-Z0-9_~.:-]{1,512}$/

function isPathByModel(text: string): boolean {
  const parts = text.split('/')
  const [collection = '', rkey = ''] = parts
  if (parts.length !== 2 || collection.length > 317 || !NSID.test(collection)) return false
  return RECORD_KEY.test(rkey) && rkey !== '.' && rkey !== '..'
}

/** All three answers about `text`, the bytes in the middle of others. */
function agree(text: string): boolean {
  const bytes = utf8(text)
  const expected = isPathByModel(text)
  assert.equal(parseRepoPath(text) !== null, expected, text)
  assert.equal(isRepoPathBytes(bytes, 0, bytes.length), expected, text)
  const larger = Uint8Array.of(0x61, 0x2f, ...bytes, 0x61, 0x2e)
  assert.equal(isRepoPathBytes(larger, 2, 2 + bytes.length), expected, text)
  return expected
}

const label = fc.oneof(
  fc.stringMatching(/^[a-z][a-zA-Z0-9]{0,5}$/),
  fc.stringMatching(/^[a-zA-Z0-9-]{1,5}$/),
)
const nearlyCollection = fc
  .array(label, { minLength: 2, maxLength: 5 })
  .map((labels) => labels.join('.'))
const nearlyKey = fc.stringMatching(/^[a-zA-Z0-9_~.:-]{0,6}$/)
const nearlyPath = fc.tuple(nearlyCollection, nearlyKey).map(([a, b]) => `${a}/${b}`)

test('the text check, the byte check and the specification agree on paths and near misses', () => {
  let accepted = 0
  fc.assert(
    fc.property(nearlyPath, (path) => {
      if (agree(path)) accepted++
    }),
    { numRuns: 3_000 },
  )
  assert.ok(accepted > 100, `only ${accepted} of the paths tried are good`)
})

test('they agree on any short text of the characters that matter', () => {
  const characters = fc.constantFrom(...'aZ09-._~:/ %é\0'.split(''))
  const text = fc.string({ unit: characters, maxLength: 16 })
  fc.assert(
    fc.property(text, (value) => void agree(value)),
    { numRuns: 3_000 },
  )
})

test('they agree on a good path with any byte in any place, and cut anywhere', () => {
  const path = 'com.ex-ample.record/3jzfcijpj2z2a'
  assert.ok(agree(path))
  for (let i = 0; i <= path.length; i++) {
    agree(path.slice(0, i))
    agree(path.slice(i))
    for (let code = 0; code < 256; code++) {
      agree(path.slice(0, i) + String.fromCharCode(code) + path.slice(i + 1))
    }
  }
})

test('bytes that are not ASCII are refused, whatever text they would be', () => {
  const path = utf8('com.example.record/self')
  for (let i = 0; i < path.length; i++) {
    for (let byte = 0x80; byte < 0x100; byte++) {
      const changed = new Uint8Array(path)
      changed[i] = byte
      assert.equal(isRepoPathBytes(changed, 0, changed.length), false)
    }
  }
})

function filler(length: number): string {
  return 'o'.repeat(length)
}

test('they agree at every length limit', () => {
  for (const length of [1, 62, 63, 64]) {
    agree(`com.${filler(length)}.record/a`)
    agree(`${filler(length)}.com.record/a`)
    agree(`com.example.${filler(length)}/a`)
  }
  for (const length of [1, 2, 511, 512, 513]) {
    agree(`com.example.record/${filler(length)}`)
    agree(`com.example.record/${'.'.repeat(length)}`)
  }
  const longest = `${`${filler(63)}.`.repeat(4)}${filler(61)}`
  assert.equal(longest.length, 317)
  assert.ok(agree(`${longest}/a`))
  assert.ok(!agree(`${longest}o/a`))
  assert.ok(agree(`${longest}/${filler(512)}`))
})

test('paths split and join', () => {
  const path = { collection: toNsid('com.example.record'), rkey: toRecordKey('a:b') }
  assert.equal(formatRepoPath(path.collection, path.rkey), 'com.example.record/a:b')
  assert.deepEqual(parseRepoPath('com.example.record/a:b'), path)
  for (const bad of [
    '/',
    'com.example.record',
    'com.example.record/',
    '/a',
    'com.example.record/a/b',
  ])
    assert.equal(parseRepoPath(bad), null, bad)
})
