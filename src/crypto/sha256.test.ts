import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { toHex, utf8 } from '../lib/bytes.ts'
import { runtime as nodeRuntime } from './runtime.node.ts'
import type { Runtime } from './runtime.ts'
import { runtime as webRuntime } from './runtime.web.ts'
import { sha256, sha256Latin1 } from './sha256.ts'

/** FIPS 180-4 examples. */
const EXAMPLES = [
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
] as const

const RUNTIMES: readonly Runtime[] = [nodeRuntime, webRuntime]

test('the standard examples', () => {
  for (const [text, expected] of EXAMPLES) {
    assert.equal(toHex(sha256(utf8(text))), expected)
    for (const runtime of RUNTIMES) assert.equal(toHex(runtime.sha256(utf8(text))), expected)
  }
})

test('every length to 200 agrees with a streaming hash, as bytes and as Latin-1', () => {
  for (let length = 0; length <= 200; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff)
    const expected = createHash('sha256').update(bytes).digest()
    for (const runtime of RUNTIMES) {
      const digest = runtime.sha256(bytes)
      assert.equal(Object.getPrototypeOf(digest), Uint8Array.prototype)
      assert.deepEqual(digest, new Uint8Array(expected))
      assert.equal(runtime.sha256Latin1(bytes), expected.toString('latin1'))
    }
  }
})

test('a view into a larger buffer hashes only what it shows', () => {
  const whole = utf8('xxabcxx')
  assert.equal(toHex(sha256(whole.subarray(2, 5))), EXAMPLES[1][1])
  assert.equal(sha256Latin1(whole.subarray(2, 5)).length, 32)
})

test('what comes in pieces hashes as if it came at once', () => {
  const bytes = Uint8Array.from({ length: 1_000 }, (_, i) => (i * 13) & 0xff)
  const expected = createHash('sha256').update(bytes).digest('hex')
  for (const runtime of RUNTIMES) {
    for (const size of [1, 63, 64, 65, 1_000]) {
      const hash = runtime.createSha256()
      for (let start = 0; start < bytes.length; start += size) {
        hash.update(bytes.subarray(start, start + size))
      }
      const digest = hash.digest()
      assert.equal(Object.getPrototypeOf(digest), Uint8Array.prototype)
      assert.equal(toHex(digest), expected)
    }
  }
})
