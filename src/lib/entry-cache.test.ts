import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createEntryCache } from './entry-cache.ts'

test('the longest unused entry goes first', () => {
  const cache = createEntryCache<string, number>(2)
  cache.set('a', 1)
  cache.set('b', 2)
  assert.equal(cache.get('a'), 1)
  cache.set('c', 3)
  assert.deepEqual([...cache.keys()].sort(), ['a', 'c'])
})

test('an entry that is set again counts once', () => {
  const cache = createEntryCache<string, number>(2)
  for (let i = 0; i < 10; i++) cache.set('a', i)
  cache.set('b', 0)
  assert.equal(cache.size, 2)
  assert.equal(cache.get('a'), 9)
})

test('deleted entries make room', () => {
  const cache = createEntryCache<string, number>(2)
  for (let i = 0; i < 100; i++) {
    cache.set(`key ${i}`, i)
    if (i % 2 === 0) cache.delete(`key ${i}`)
  }
  assert.deepEqual([...cache.keys()].sort(), ['key 97', 'key 99'])
})

test('a large bound costs nothing before it is used', () => {
  const before = process.memoryUsage()
  const caches = Array.from({ length: 100 }, () => createEntryCache<string, number>(1_000_000))
  const after = process.memoryUsage()
  assert.equal(caches.length, 100)
  const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  assert(grown < 16 * 1024 * 1024, `${grown} bytes for empty caches`)
})
