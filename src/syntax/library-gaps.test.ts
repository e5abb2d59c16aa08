import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as library from '@atcute/lexicons/syntax'

import { isAtUri } from './at-uri.ts'
import { isCidString, isDaslCid } from './cid-string.ts'
import { isDatetime } from './datetime.ts'
import { isAtprotoDid } from './did.ts'
import { isLanguage } from './language.ts'
import { isUri } from './uri.ts'

interface Gap {
  readonly kind: string
  readonly ours: (value: unknown) => boolean
  readonly theirs: (value: unknown) => boolean
  readonly accepted: readonly string[]
  readonly refused: readonly string[]
}

const ZEROS = 'a'.repeat(50)

/** Where the library behind this folder answers otherwise than the vectors or the specification. */
const GAPS: readonly Gap[] = [
  {
    kind: 'cid: the format allows any version, base and codec',
    ours: isCidString,
    theirs: library.isCid,
    accepted: [
      'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
      'zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7',
      'mBcDxtdWx0aWhhc2g+',
    ],
    refused: [],
  },
  {
    kind: 'cid of a repository: the digest length and the padding bits are fixed',
    ours: isDaslCid,
    theirs: library.isCid,
    accepted: [],
    refused: [`bafyreii${ZEROS}a`, `bafyreia${ZEROS}b`, `bafkreia${ZEROS}7`],
  },
  {
    kind: 'datetime: year 0 exists, 30 February does not',
    ours: isDatetime,
    theirs: library.isDatetime,
    accepted: ['0000-01-01T00:00:00.000Z'],
    refused: ['1985-02-30T00:00:00Z', '1985-02-29T00:00:00Z', '1985-04-31T00:00:00Z'],
  },
  {
    kind: 'language: lower-case primary of 2 or 3 letters, no repeats, private use in capitals',
    ours: isLanguage,
    theirs: library.isLanguageCode,
    accepted: ['X-fr-CH', 'de-X-foo'],
    refused: ['jaja', 'JA', 'de-DE-1901-1901', 'en-a-foo-a-bar', 'en-u-co-phonebk-U-ca-buddhist'],
  },
  {
    kind: 'uri: the scheme is that of RFC 3986, the rest is ASCII',
    ours: isUri,
    theirs: library.isGenericUri,
    accepted: ['content-type:text/plan', 'microsoft.windows.camera:thing', 'file:///etc/hosts'],
    refused: ['_a:b', '1a:b', 'https://example.com/ü'],
  },
  {
    kind: 'at-uri: the restricted form has no fragment',
    ours: isAtUri,
    theirs: library.isResourceUri,
    accepted: [],
    refused: ['at://did:plc:asdf123#/frag', 'at://user.bsky.social/com.example.record/a#/b'],
  },
  {
    kind: 'did: an account is a did:plc or a host-level did:web',
    ours: isAtprotoDid,
    theirs: library.isDid,
    accepted: [],
    refused: ['did:plc:asdf123', 'did:web:example.com:path', 'did:key:zQ3sh'],
  },
]

for (const gap of GAPS) {
  test(gap.kind, () => {
    for (const [texts, expected] of [
      [gap.accepted, true],
      [gap.refused, false],
    ] as const) {
      for (const text of texts) {
        assert.equal(gap.ours(text), expected, text)
        assert.equal(gap.theirs(text), !expected, `the library now agrees about ${text}`)
      }
    }
  })
}
