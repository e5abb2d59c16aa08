import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'
import { ENTRY_BYTES, EntryTable, HEADER_BYTES, decodeHeader, encodeHeader } from './entry-codec.ts'
import { hashDid } from './did-hash.ts'

const event = {
  seq: 0x1f_ffff_ffff_fffe,
  kind: 'account',
  did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz',
  frame: new Uint8Array(0x1234),
  timeMs: 1_700_000_000_123,
  hostId: 0xffff_fffe,
  hostEpoch: 7,
  hostSeq: 2 ** 40 + 3,
} as const
const place = { offset: 2 ** 33 + 1, crc: 0xdeadbeef, batchPosition: 513, didHash: 2n ** 64n - 3n }

function oneEntry(): EntryTable {
  const table = new EntryTable(new Uint8Array(ENTRY_BYTES))
  table.set(0, event, place)
  return table
}

test('an entry stands in the bytes that the layout says', () => {
  const hex = Buffer.from(oneEntry().bytes).toString('hex')
  const expected = [
    'feffffffffff1f00', // seq
    '0100000002000000', // offset
    '34120000', // length
    'efbeadde', // crc
    '04000102', // kind, flags, position
    'feffffff', // host id
    '7b68e5cf8b010000', // time
    'fdffffffffffffff', // hash
    '0300000000010000', // host seq
    '07000000', // epoch
  ].join('')
  assert.equal(hex.slice(0, 120), expected)
})

test('an entry comes back as it went in', () => {
  assert.deepEqual(oneEntry().get(0), {
    seq: event.seq,
    kind: 'account',
    purged: false,
    offset: place.offset,
    length: 0x1234,
    crc: 0xdeadbeef,
    timeMs: event.timeMs,
    didHash: place.didHash,
    hostId: event.hostId,
    hostEpoch: 7,
    hostSeq: event.hostSeq,
  })
})

test('purging an entry changes its flag, and it stays whole', () => {
  const table = oneEntry()
  const before = table.get(0)
  table.markPurged(0)
  assert.ok(table.isWhole(0))
  assert.deepEqual(table.get(0), { ...before, purged: true })
})

test('no flipped bit and no blank entry is whole', () => {
  const whole = oneEntry()
  assert.ok(whole.isWhole(0))
  for (let bit = 0; bit < ENTRY_BYTES * 8; bit++) {
    const bytes = whole.bytes.slice()
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(new EntryTable(bytes).isWhole(0), false, `bit ${bit}`)
  }
  assert.equal(new EntryTable(new Uint8Array(ENTRY_BYTES)).isWhole(0), false)
})

test('a header comes back; cut or flipped it is damaged', () => {
  const header = { segment: 12, firstSeq: 2 ** 41, createdMs: 1_700_000_000_000 }
  const bytes = encodeHeader(header)
  assert.deepEqual(decodeHeader(bytes), header)
  for (let length = 0; length < HEADER_BYTES; length++) {
    assert.equal(decodeHeader(bytes.subarray(0, length)), 'damaged')
  }
  for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(decodeHeader(flipped), 'damaged', `bit ${bit}`)
  }
})

test('a header of a later version is told apart', () => {
  const bytes = encodeHeader({ segment: 1, firstSeq: 1, createdMs: 0 })
  const view = new DataView(bytes.buffer)
  view.setUint32(8, 2, true)
  view.setUint32(60, crc32c(bytes, 0, 60), true)
  assert.equal(decodeHeader(bytes), 'newer')
})

test('a DID hashes to the first 8 bytes of its SHA-256', () => {
  // FIPS 180-2, appendix B.1.
  assert.equal(hashDid('abc'), 0xba7816bf8f01cfean)
})
