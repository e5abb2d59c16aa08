import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseByteRange } from './byte-range.ts'
import { isKnownTag, isSameEntity } from './entity-tag.ts'

/** `whole`, `unsatisfiable`, or `start-end` with `end` exclusive. */
function read(header: string | null, size: number): string {
  const range = parseByteRange(header, size)
  return range.kind === 'part' ? `${range.start}-${range.end}` : range.kind
}

test('one range is understood, of what there is', () => {
  // RFC 9110, section 14.1.2, gives the first of these for 10,000 bytes.
  const cases: [string, number, string][] = [
    ['bytes=0-499', 10_000, '0-500'],
    ['bytes=500-999', 10_000, '500-1000'],
    ['bytes=-500', 10_000, '9500-10000'],
    ['bytes=9500-', 10_000, '9500-10000'],
    ['bytes=0-0', 10_000, '0-1'],
    ['bytes=9999-9999', 10_000, '9999-10000'],
    ['bytes=9999-99999999999999999999', 10_000, '9999-10000'],
    ['bytes=-99999', 10_000, '0-10000'],
    ['bytes=0-', 1, '0-1'],
    ['Bytes= 1-2 ', 10, '1-3'],
  ]
  for (const [header, size, expected] of cases) assert.equal(read(header, size), expected, header)
})

test('what lies beyond the end is unsatisfiable', () => {
  for (const header of ['bytes=10-', 'bytes=10-10', 'bytes=999999999999999999999-', 'bytes=-0']) {
    assert.equal(read(header, 10), 'unsatisfiable', header)
  }
})

test('what is not one range is ignored', () => {
  const headers = [
    null,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=5-4',
    'bytes=a-b',
    'bytes=1-2,4-5',
    'bytes=1-2,',
    'bytes=-1-2',
    'bytes=+1-2',
    'bytes=1.5-2',
    'bytes=0x1-2',
    'items=0-1',
    'bytes 0-1',
    ' ',
    `bytes=${' '.repeat(8_000)}x`,
  ]
  for (const header of headers) assert.equal(read(header, 10), 'whole', String(header))
})

test('of an empty body there is no part', () => {
  for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) {
    assert.equal(read(header, 0), 'whole', header)
  }
})

test('entity tags', () => {
  const tag = '"abc"'
  for (const known of ['"abc"', 'W/"abc"', '"x", "abc"', '"x" ,W/"abc"', '*', ' * ']) {
    assert.equal(isKnownTag(known, tag), true, known)
  }
  for (const unknown of [null, '', 'abc', '"x"', '"abc', '"abcd"', 'w/"abc"', '"x", *']) {
    assert.equal(isKnownTag(unknown, tag), false, String(unknown))
  }
  assert.equal(isSameEntity(null, tag), true)
  assert.equal(isSameEntity(' "abc" ', tag), true)
  for (const other of ['W/"abc"', '"x"', '*', '', 'Sat, 21 Nov 2026 00:00:00 GMT']) {
    assert.equal(isSameEntity(other, tag), false, other)
  }
})
