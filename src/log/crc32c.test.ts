import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'

/** The definition, one bit at a time. */
function bitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

const iscsiRead = Buffer.from(
  '01c00000000000000000000000000000140000000000040000000014000000182800000000000000' +
    '0200000000000000',
  'hex',
)

const vectors: readonly (readonly [string, Uint8Array, number])[] = [
  ['123456789', Buffer.from('123456789'), 0xe3069283],
  ['RFC 3720 B.4: 32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
  ['RFC 3720 B.4: 32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['RFC 3720 B.4: 32 rising bytes', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ['RFC 3720 B.4: 32 falling bytes', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ['RFC 3720 B.4: an iSCSI read command', iscsiRead, 0xd9963a56],
  ['nothing', new Uint8Array(0), 0],
]

for (const [name, bytes, expected] of vectors) {
  test(`crc32c of ${name}`, () => assert.equal(crc32c(bytes), expected))
}

test('crc32c agrees with the definition at every length and alignment', () => {
  const source = Uint8Array.from({ length: 700 }, (_, i) => (i * 167 + (i >> 3)) & 255)
  for (let start = 0; start < 17; start++) {
    for (let length = 0; length < 400; length++) {
      const part = source.subarray(start, start + length)
      const expected = bitwise(part)
      assert.equal(crc32c(part), expected)
      assert.equal(crc32c(source, start, start + length), expected)
    }
  }
})
