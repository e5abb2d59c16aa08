import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

import { BytesWrapper, decode, encode } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import * as fc from 'fast-check'

import { toHex } from '../lib/bytes.ts'
import { DRISL_DEPTH_MAX } from '../lib/limits.ts'
import { cidFromString, cidOf, CODEC_DAG_CBOR, CODEC_RAW } from './cid.ts'
import { type DataJsonLimits, fromDataJson, toDataJson } from './data-json.ts'
import { encodeDrisl } from './drisl-encode.ts'

const DIRECTORY = new URL('../../../shared/vectors/interop/data-model/', import.meta.url)
const VECTORS = {
  skip: existsSync(DIRECTORY) ? false : 'the vectors are absent (../shared/vectors)',
}

interface Case {
  readonly note?: string
  readonly json: unknown
  readonly cbor_base64?: string
}

function readCases(name: string): readonly Case[] {
  return JSON.parse(readFileSync(new URL(name, DIRECTORY), 'utf8')) as Case[]
}

function reasonOf(value: unknown, limits: DataJsonLimits = {}): string {
  const read = fromDataJson(value, limits)
  return read.ok ? 'ok' : read.reason
}

describe('vectors of the data model', VECTORS, () => {
  test('JSON becomes the bytes of the fixture, and back', () => {
    const fixtures = readCases('data-model-fixtures.json')
    assert.ok(fixtures.length > 2)
    for (const { json, cbor_base64: base64 = '' } of fixtures) {
      const read = fromDataJson(json)
      assert.ok(read.ok)
      const bytes = Buffer.from(base64, 'base64')
      assert.deepEqual(Buffer.from(encodeDrisl(read.value)), bytes)
      assert.deepEqual(toDataJson(decode(bytes)), json)
    }
  })

  test('what is not valid, but for $type and blobs, which are for schemas', () => {
    const cases = readCases('data-model-invalid.json')
    const accepted = cases
      .filter(({ json }) => reasonOf(json) === 'ok')
      .map(({ note = '' }) => note)
    assert.ok(cases.length - accepted.length >= 4)
    assert.deepEqual(
      accepted.filter((note) => !/\$type|blob|top-level/.test(note)),
      [],
    )
  })
})

test('decoded values come back as they were', () => {
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(null, true, false, 0, -1, Number.MAX_SAFE_INTEGER),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => new BytesWrapper(bytes)),
    fc
      .tuple(fc.constantFrom(CODEC_DAG_CBOR, CODEC_RAW), fc.uint8Array({ maxLength: 4 }))
      .map(([codec, block]) => new CidLinkWrapper(cidOf(codec, block))),
  )
  const key = fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('__proto__', '$type', 'link'))
  const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(
        key.filter((name) => name !== '$link' && name !== '$bytes'),
        tie('value'),
        { maxKeys: 5, noNullPrototype: true },
      ),
    ),
  }))
  fc.assert(
    fc.property(anyValue, (value) => {
      const json: unknown = JSON.parse(JSON.stringify(toDataJson(value)))
      const read = fromDataJson(json)
      assert.ok(read.ok)
      assert.deepEqual(encodeDrisl(read.value), new Uint8Array(encode(value)))
    }),
    { numRuns: 400 },
  )
})

const CID = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm'

test('links and bytes must be exactly that', () => {
  for (const value of [
    { $link: 5 },
    { $link: '' },
    { $link: CID.slice(1) },
    { $link: CID, more: 1 },
    { $link: 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi' },
  ]) {
    assert.equal(reasonOf([value]), 'link', JSON.stringify(value))
  }
  for (const value of [
    { $bytes: 5 },
    { $bytes: 'a' },
    { $bytes: 'AB' },
    { $bytes: 'AQ ID' },
    { $bytes: 'A-_D' },
    { $bytes: 'AQ=' },
    { $bytes: 'AQID', more: 1 },
  ]) {
    assert.equal(reasonOf([value]), 'bytes', JSON.stringify(value))
  }
  const read = fromDataJson([{ $link: CID }, { $bytes: 'AQ==' }, { $bytes: 'AQ' }])
  assert.ok(read.ok && Array.isArray(read.value))
  const [link, ...bytes] = read.value as [CidLinkWrapper, ...BytesWrapper[]]
  assert.deepEqual(link.bytes, cidFromString(CID))
  assert.deepEqual(
    bytes.map(({ buf }) => toHex(buf)),
    ['01', '01'],
  )
})

function nested(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value }
  return value
}

test('what stands for nothing, or for too much', () => {
  assert.equal(reasonOf(1.5), 'number')
  assert.equal(reasonOf(2 ** 53), 'number')
  assert.equal(reasonOf(Number.NaN), 'number')
  assert.equal(reasonOf('\ud800'), 'text')
  assert.equal(reasonOf({ '\udc00': 1 }), 'text')
  assert.equal(reasonOf([undefined]), 'not-json')
  assert.equal(reasonOf(10n), 'not-json')
  assert.equal(reasonOf(nested(DRISL_DEPTH_MAX)), 'ok')
  assert.equal(reasonOf(nested(DRISL_DEPTH_MAX + 1)), 'too-deep')
  assert.equal(reasonOf([1, 2], { itemsMax: 3 }), 'ok')
  assert.equal(reasonOf([1, 2], { itemsMax: 2 }), 'too-many-items')
  assert.equal(reasonOf({ ab: 'cd' }, { bytesMax: 4 }), 'ok')
  assert.equal(reasonOf({ ab: 'cd' }, { bytesMax: 3 }), 'too-large')
  assert.equal(reasonOf({ a: { $bytes: 'AQIDBA' } }, { bytesMax: 5 }), 'ok')
  assert.equal(reasonOf({ a: { $bytes: 'AQIDBA' } }, { bytesMax: 4 }), 'too-large')
})

test('values that decoding does not give are the caller’s mistake', () => {
  for (const value of [undefined, 1n, () => 1, nested(DRISL_DEPTH_MAX + 1)]) {
    assert.throws(() => toDataJson([value]), { code: 'ENCODE_UNSUPPORTED' })
  }
})
