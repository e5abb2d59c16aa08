/** DID documents for tests. The keys are those of the cryptography specification's fixtures. */

/** The second key of `w3c_didkey_K256.json` of the interoperability tests. */
export const TEST_KEY = 'zQ3shtxV1FrJfhqE1dvxYRcCknWNjHc3c5X1y3ZSoPDi2aur2'
/** The key of `w3c_didkey_P256.json` of the interoperability tests. */
export const OTHER_KEY = 'zDnaeTiq1PdzvZXUaMdezchcMJQpBdH2VN4pgrrEhMCCbmwSb'

/** A did:plc that is told from others by its number. */
export function plcDid(n: number): string {
  const digits = 'abcdefghijklmnopqrstuvwxyz234567'
  let rest = n
  let text = ''
  for (let i = 0; i < 24; i++) {
    text = (digits[rest % 32] ?? 'a') + text
    rest = Math.floor(rest / 32)
  }
  return `did:plc:${text}`
}

export interface DocumentParts {
  readonly key?: string
  readonly endpoint?: string
  readonly handle?: string
}

/** A document as the public directory words it. */
export function didDocument(did: string, parts: DocumentParts = {}): Record<string, unknown> {
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs: [`at://${parts.handle ?? 'alice.example.com'}`],
    verificationMethod: [
      {
        id: `${did}#atproto`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: parts.key ?? TEST_KEY,
      },
    ],
    service: [
      {
        id: '#atproto_pds',
        type: 'AtprotoPersonalDataServer',
        serviceEndpoint: parts.endpoint ?? 'https://pds.example.com',
      },
    ],
  }
}
