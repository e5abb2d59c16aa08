/**
 * Vectors that Skein differs from on purpose, each with its reason. docs/gotchas.md says the same
 * in prose. A vector that is listed here and passes is a failure: the list says what is true.
 */

export interface KnownDifference {
  /** Name of the suite. */
  readonly suite: string
  readonly reason: string
  /** What the failures begin with, up to a colon. */
  readonly cases: readonly string[]
}

const FLOATS =
  'The data model of atproto has no floats (data model specification). DRISL and other profiles do.'
const INTEGERS =
  'Integers stay within the 53 bits that the data model recommends: beyond, JavaScript loses digits.'
const BIG_INTEGERS = 'Tag 42 is the only tag of DRISL; big integers are of another profile.'

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    suite: 'dasl: cid.json',
    reason: 'A CID with a BLAKE3 hash: DASL has it for large files, atproto allows SHA-256 only.',
    cases: [
      'roundtrip d82a58250001551e208e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99',
    ],
  },
  {
    suite: 'dasl: floats.json',
    reason: FLOATS,
    cases: [
      'roundtrip f93e00',
      'roundtrip fb3ff8000000000000',
      'roundtrip f97e00',
      'roundtrip fb0000000000000000',
      'roundtrip f90000',
      'roundtrip fb0000000000000001',
    ],
  },
  {
    suite: 'dasl: floats.json',
    reason:
      'JavaScript has one zero among its integers: -0 is written as the integer 0. It cannot be read.',
    cases: ['invalid_out fb8000000000000000'],
  },
  {
    suite: 'dasl: integer_range.json',
    reason: INTEGERS,
    cases: [
      'roundtrip 1bffffffffffffffff',
      'roundtrip 3bffffffffffffffff',
      'roundtrip 1b0020000000000001',
      'roundtrip 3b0020000000000000',
    ],
  },
  {
    suite: 'dasl: integer_range.json',
    reason: BIG_INTEGERS,
    cases: ['roundtrip c249010000000000000000', 'roundtrip c349010000000000000000'],
  },
  {
    suite: 'dasl: numeric_reduction.json',
    reason: FLOATS,
    cases: ['roundtrip fbc3e0000000000001'],
  },
  {
    suite: 'dasl: numeric_reduction.json',
    reason: 'Map keys are text in DRISL; numbers as keys are of another profile.',
    cases: ['roundtrip a20a00f9490000'],
  },
  {
    suite: 'dasl: utf8.json',
    reason: 'Only dCBOR demands Unicode normalization; DRISL keeps text as it is.',
    cases: ['invalid_in 6365cc81'],
  },
]
