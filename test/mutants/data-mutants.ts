import type { Mutant } from './mutant.ts'

const DRISL = 'src/data/drisl.ts'
const DRISL_TESTS = ['src/data/drisl.test.ts', 'src/data/drisl-fuzz.test.ts']

/** Bugs in reading bytes: DRISL, CIDs, CARs. */
export const DATA_MUTANTS: readonly Mutant[] = [
  {
    name: 'cid-hash-unchecked',
    models: 'A reader that believes the CIDs of a CAR: a host gives other bytes under a known CID.',
    invariants: ['I3'],
    file: 'src/data/car.ts',
    find: 'return readCar(source, limits, hashMatches)',
    replace: 'return readCar(source, limits, () => true)',
    tests: ['src/data/car.test.ts'],
  },
  {
    name: 'cid-codec-not-compared',
    models: 'A raw CID and a dag-cbor CID of the same bytes are taken for one.',
    invariants: ['I3'],
    file: 'src/data/cid.ts',
    find: 'return a[aOffset + 1] === b[bOffset + 1]',
    replace: 'return true',
    tests: ['src/data/cid.test.ts'],
  },
  {
    name: 'car-stream-blocks-unbounded',
    models: 'A stream of tiny blocks without end is read for as long as it comes.',
    invariants: ['I5', 'I9'],
    file: 'src/data/car-stream.ts',
    find: 'if (count === limits.blocksMax) {',
    replace: 'if (count > limits.blocksMax * 2) {',
    tests: ['src/data/car-stream.test.ts'],
  },
  {
    name: 'drisl-keys-unsorted',
    models: 'Maps with their keys in another order pass: two encodings of one commit, two hashes.',
    invariants: ['I3'],
    file: DRISL,
    find: 'if (order <= 0) return MAP_KEY_ORDER',
    replace: 'if (order === 0) return MAP_KEY_ORDER',
    tests: DRISL_TESTS,
  },
  {
    name: 'drisl-keys-twice',
    models: 'A map with a key twice passes: readers differ in which value they take.',
    invariants: ['I3'],
    file: DRISL,
    find: 'if (order <= 0) return MAP_KEY_ORDER',
    replace: 'if (order < 0) return MAP_KEY_ORDER',
    tests: DRISL_TESTS,
  },
  {
    name: 'drisl-long-integers',
    models: 'Integers in more bytes than they need pass, as many CBOR libraries let them.',
    invariants: ['I3'],
    file: DRISL,
    find: 'if (argument < least) return NOT_MINIMAL',
    replace: '',
    tests: DRISL_TESTS,
  },
  {
    name: 'drisl-depth-unbounded',
    models: 'A value nested thousands of levels deep ends the process by its stack.',
    invariants: ['I5', 'I9'],
    file: DRISL,
    find: 'if (depth === DRISL_DEPTH_MAX) return TOO_DEEP\n      pos = headEnd',
    replace: 'pos = headEnd',
    tests: DRISL_TESTS,
  },
  {
    name: 'drisl-key-cache-collides',
    models: 'Two keys of one hash are taken for each other once one of them is remembered.',
    invariants: ['I5'],
    file: 'src/data/drisl-decode.ts',
    find: 'if (known !== null && isHere(known.bytes, length)) {',
    replace: 'if (known !== null && known.bytes.length === length) {',
    tests: DRISL_TESTS,
  },
  {
    name: 'drisl-proto-key',
    models: 'A key named __proto__ changes what the decoded object inherits.',
    invariants: ['I5'],
    file: 'src/data/drisl-decode.ts',
    find: "if (key !== '__proto__') out[key] = value",
    replace: "if (key !== '') out[key] = value",
    tests: DRISL_TESTS,
  },
  {
    name: 'utf8-surrogates',
    models: 'Halves of surrogate pairs pass as UTF-8, which no other reader can decode.',
    invariants: ['I5'],
    file: 'src/data/utf8.ts',
    find: 'if (lead === 0xed) return second <= 0x9f ? 3 : 0',
    replace: 'if (lead === 0xed) return 3',
    tests: ['src/data/utf8.test.ts'],
  },
]

/** Bugs in keys and signatures. */
export const CRYPTO_MUTANTS: readonly Mutant[] = [
  {
    name: 'high-s-accepted',
    models: 'A relay that accepts high-S signatures: anybody can make a second one of a commit.',
    invariants: ['I3'],
    file: 'src/crypto/signature-form.ts',
    find: "if (compareScalar(signature, SCALAR_BYTES, halfOrder) > 0) return 'signature-high-s'",
    replace: '',
    tests: ['src/crypto/signature-form.test.ts', 'src/crypto/verifier.test.ts'],
  },
  {
    name: 'high-s-accepted-in-browsers',
    models: 'The form is checked where signatures are checked at once, and not before WebCrypto.',
    invariants: ['I3'],
    file: 'src/crypto/verifier.ts',
    find: `if (form !== 'ok') return form
    const verified = await`,
    replace: `if (form === 'signature-malformed') return form
    const verified = await`,
    tests: ['src/crypto/verifier.test.ts', 'src/crypto/runtime.test.ts'],
  },
  {
    name: 'der-sign-bit',
    models: 'One signature of 256 fails: an integer of DER that begins with exactly 0x80.',
    invariants: ['I3'],
    file: 'src/crypto/backend-node.ts',
    find: '>= 0x80 ? 1 : 0',
    replace: '> 0x80 ? 1 : 0',
    tests: ['src/crypto/backend-node.test.ts'],
  },
  {
    name: 'key-of-another-curve',
    models: 'A multikey is told by half of its code, so that keys of other curves pass.',
    invariants: ['I3'],
    file: 'src/crypto/public-key.ts',
    find: 'CODEC[name][0] === bytes[0] && CODEC[name][1] === bytes[1]',
    replace: 'CODEC[name][0] === bytes[0]',
    tests: ['src/crypto/public-key.test.ts'],
  },
  {
    name: 'signs-high-s',
    models:
      'A host signs as its library does by itself: half of its commits are refused elsewhere.',
    invariants: ['I3'],
    file: 'src/crypto/private-key.ts',
    find: 'lowS: true',
    replace: 'lowS: false',
    tests: ['src/crypto/private-key.test.ts'],
  },
]
