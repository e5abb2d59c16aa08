import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'

import { isRecordKey } from '../../syntax/record-key.ts'
import { recordFile } from '../repo/export-index.ts'
import { safeName } from './safe-name.ts'

test('usual names stay as they are', () => {
  for (const name of ['self', '3l4examplekey', 'app.bsky.feed.post', 'a-b_c', '0'])
    assert.equal(safeName(name), name)
})

test('others are readable, and safe', () => {
  const hostile = ['..', '.', '...', '-rf', '.hidden', 'a.', 'con', 'nul.txt', 'COM1', 'a:b', '~']
  for (const name of [...hostile, '', '../../etc/passwd', 'a/b', 'a\\b', 'a\0b', 'x'.repeat(512)]) {
    const safe = safeName(name)
    assert.match(safe, /^[A-Za-z0-9_-]*~[0-9a-f]{20}$/, name)
    assert.ok(safe.length <= 120)
  }
  assert.match(safeName('fooBar'), /^fooBar~/)
})

test('no two texts share a name, whatever the file system makes of case', () => {
  const key = fc.string({ unit: fc.constantFrom(...'aAbB.-_:~01nulNUL'.split('')), maxLength: 12 })
  fc.assert(
    fc.property(key, key, (a, b) => {
      fc.pre(a !== b)
      assert.notEqual(safeName(a).toLowerCase(), safeName(b).toLowerCase())
    }),
    { numRuns: 2_000 },
  )
})

test('every record stays in its folder', () => {
  const rkey = fc
    .string({ unit: fc.constantFrom(...'aZ0.-_:~'.split('')), minLength: 1, maxLength: 40 })
    .filter((text) => isRecordKey(text))
  fc.assert(
    fc.property(rkey, (key) => {
      const parts = recordFile(`org.example.thing/${key}`).split('/')
      assert.equal(parts.length, 3)
      assert.ok(!parts.includes('..') && !parts.includes('.') && parts[2]?.endsWith('.json'))
    }),
  )
})
