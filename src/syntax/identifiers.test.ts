import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fromBinary, fromString, toString } from '@atcute/cid'
import * as fc from 'fast-check'

import { SkeinError } from '../lib/errors.ts'
import { isAtIdentifier, parseAtIdentifier, toAtIdentifier } from './at-identifier.ts'
import { parseAtUri, splitAtUri, toAtUri } from './at-uri.ts'
import { isDaslCid, parseCidString, toCidString } from './cid-string.ts'
import { formatDatetime, isDatetime, parseDatetime, toDatetime } from './datetime.ts'
import {
  isAtprotoDid,
  isAtprotoWebDid,
  isDid,
  parseAtprotoDid,
  parseDid,
  toAtprotoDid,
  toDid,
} from './did.ts'
import { hasDisallowedTld, normalizeHandle, parseHandle, toHandle } from './handle.ts'
import { parseLanguage, toLanguage } from './language.ts'
import { parseNsid, toNsid } from './nsid.ts'
import { parseRecordKey, toRecordKey } from './record-key.ts'
import { parseTid, toTid } from './tid.ts'
import { parseUri, toUri } from './uri.ts'

interface Kind {
  readonly parse: (text: string) => string | null
  readonly require: (text: string) => string
  readonly good: string
}

const KINDS: Readonly<Record<string, Kind>> = {
  'AT identifier': { parse: parseAtIdentifier, require: toAtIdentifier, good: 'did:a:b' },
  'AT URI': { parse: parseAtUri, require: toAtUri, good: 'at://did:a:b/com.example.a/b' },
  CID: { parse: parseCidString, require: toCidString, good: `bafkrei${'a'.repeat(52)}` },
  datetime: { parse: parseDatetime, require: toDatetime, good: '1985-04-12T23:20:50.123Z' },
  DID: { parse: parseDid, require: toDid, good: 'did:example:1' },
  'atproto DID': { parse: parseAtprotoDid, require: toAtprotoDid, good: 'did:web:example.com' },
  handle: { parse: parseHandle, require: toHandle, good: 'alice.example.com' },
  language: { parse: parseLanguage, require: toLanguage, good: 'pt-BR' },
  NSID: { parse: parseNsid, require: toNsid, good: 'com.example.record' },
  'record key': { parse: parseRecordKey, require: toRecordKey, good: 'self' },
  TID: { parse: parseTid, require: toTid, good: '3jzfcijpj2z2a' },
  URI: { parse: parseUri, require: toUri, good: 'https://example.com' },
}

for (const [name, kind] of Object.entries(KINDS)) {
  test(`${name}: parse gives the text or null, to gives the text or throws`, () => {
    assert.equal(kind.parse(kind.good), kind.good)
    assert.equal(kind.require(kind.good), kind.good)
    for (const bad of ['', ` ${kind.good}`, `${kind.good}\n`, 'é', '\0', '/'.repeat(100_000)]) {
      assert.equal(kind.parse(bad), null)
      assert.throws(
        () => kind.require(bad),
        (thrown) =>
          thrown instanceof SkeinError &&
          thrown.code === 'SYNTAX_INVALID' &&
          thrown.message.includes(name) &&
          thrown.message.length < 700,
      )
    }
  })

  test(`${name}: any text is an outcome`, () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
        const parsed = kind.parse(text)
        assert.ok(parsed === null || parsed === text)
      }),
    )
    for (let length = 0; length < kind.good.length; length++) kind.parse(kind.good.slice(0, length))
  })
}

test('values that are not strings are not identifiers', () => {
  for (const value of [null, undefined, 1, {}, [], ['did:a:b'], new String('did:a:b')]) {
    assert.equal(isDid(value), false)
    assert.equal(isAtprotoDid(value), false)
    assert.equal(isAtIdentifier(value), false)
    assert.equal(isDatetime(value), false)
  }
})

test('DIDs that may name an account', () => {
  const good = [
    'did:plc:7iza6de2dwap2sbkpav7c6c6',
    'did:web:example.com',
    'did:web:a-b.c0.xn--bcher-kva.test',
    'did:web:localhost',
    'did:web:localhost%3A1',
    'did:web:localhost%3A65535',
  ]
  const bad = [
    'did:plc:7iza6de2dwap2sbkpav7c6c',
    'did:plc:7iza6de2dwap2sbkpav7c6c66',
    'did:plc:7IZA6DE2DWAP2SBKPAV7C6C6',
    'did:plc:7iza6de2dwap2sbkpav7c6c1',
    'did:plc:7iza6de2dwap2sbkpav7c6c6#atproto',
    'did:web:example',
    'did:web:Example.com',
    'did:web:example.com%3A443',
    'did:web:example.com:443',
    'did:web:example.com:user',
    'did:web:example.com%2Fuser',
    'did:web:127.0.0.1',
    'did:web:[::1]',
    'did:web:.com',
    'did:web:example..com',
    'did:web:-a.com',
    'did:web:user@example.com',
    'did:web:localhost%3a80',
    'did:web:localhost%3A0',
    'did:web:localhost%3A080',
    'did:web:localhost%3A65536',
    'did:web:localhost%3A',
    'did:web:localhost:80',
    'did:web:',
    `did:web:${'a.'.repeat(200)}com`,
    'did:key:zQ3shZc2QzApp2oymGvQbzP8eKheVshBHbU4ZYjeXqwSKEn6N',
    'DID:plc:7iza6de2dwap2sbkpav7c6c6',
  ]
  for (const text of good) assert.equal(isAtprotoDid(text), true, text)
  for (const text of bad) assert.equal(isAtprotoDid(text), false, text)
  for (const text of good) assert.equal(isDid(text), true, `${text} is a DID of some method`)
  assert.equal(isAtprotoWebDid('did:plc:7iza6de2dwap2sbkpav7c6c6'), false)
})

test('handles: one spelling to compare, and the top-level domains that are not allowed', () => {
  assert.equal(normalizeHandle(toHandle('Alice.EXAMPLE.com')), 'alice.example.com')
  for (const host of ['a.local', 'a.ARPA', 'a.onion', 'localhost', 'x.example']) {
    assert.equal(hasDisallowedTld(host), true, host)
  }
  for (const host of ['a.test', 'example.com', 'local.com']) {
    assert.equal(hasDisallowedTld(host), false, host)
  }
})

test('AT URIs split into their parts', () => {
  assert.deepEqual(splitAtUri(toAtUri('at://did:a:b/com.example.record/self')), {
    authority: 'did:a:b',
    collection: 'com.example.record',
    rkey: 'self',
  })
  assert.deepEqual(splitAtUri(toAtUri('at://alice.test/com.example.record')), {
    authority: 'alice.test',
    collection: 'com.example.record',
    rkey: null,
  })
  assert.deepEqual(splitAtUri(toAtUri('at://alice.test')), {
    authority: 'alice.test',
    collection: null,
    rkey: null,
  })
})

const HEADERS = [
  [0x01, 0x71, 0x12, 0x20],
  [0x01, 0x55, 0x12, 0x20],
] as const

test('CIDs of repositories are exactly what the codec writes', () => {
  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
  fc.assert(
    fc.property(fc.constantFrom(...HEADERS), digest, (header, bytes) => {
      const binary = Uint8Array.of(0, ...header, ...bytes)
      assert.equal(isDaslCid(toString(fromBinary(binary))), true)
    }),
  )
})

test('a changed character of such a CID is accepted only when the codec reads and writes it so', () => {
  const text = toString(
    fromBinary(Uint8Array.of(0, ...HEADERS[0], ...new Uint8Array(32).fill(0xa5))),
  )
  let accepted = 0
  for (let i = 0; i < text.length; i++) {
    for (const other of 'abcdefghijklmnopqrstuvwxyz234567A018=') {
      const changed = text.slice(0, i) + other + text.slice(i + 1)
      let canonical = false
      try {
        canonical = toString(fromString(changed)) === changed
      } catch {
        canonical = false
      }
      assert.equal(isDaslCid(changed), canonical, changed)
      if (canonical) accepted++
    }
  }
  assert.ok(accepted > 1_000)
})

test('datetimes: exactly the days of the calendar', () => {
  for (const year of [1900, 1999, 2000, 2004, 2023, 2100]) {
    for (let month = 0; month <= 13; month++) {
      for (let day = 0; day <= 32; day++) {
        const date = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
        const shown = new Date(Date.UTC(year, month - 1, day)).toISOString().slice(0, 10)
        assert.equal(isDatetime(`${date}T00:00:00Z`), shown === date, date)
      }
    }
  }
})

test('datetimes: zones, length, and the start of time', () => {
  const good = [
    '2020-01-01T00:00:00+23:59',
    '0000-01-01T01:00:00+01:00',
    '0000-01-01T00:00:00-01:00',
    '0000-01-02T00:00:00+23:59',
    `2020-01-01T00:00:00.${'1'.repeat(43)}Z`,
  ]
  const bad = [
    '2020-01-01T00:00:00-00:00',
    '0000-01-01T00:59:59+01:00',
    '2020-01-01T24:00:00Z',
    '2020-01-01T23:59:60Z',
    '2020-01-01T00:00:00+24:00',
    `2020-01-01T00:00:00.${'1'.repeat(44)}Z`,
  ]
  for (const text of good) assert.equal(isDatetime(text), true, text)
  for (const text of bad) assert.equal(isDatetime(text), false, text)
  assert.equal(formatDatetime(482_196_050_123), '1985-04-12T23:20:50.123Z')
})
