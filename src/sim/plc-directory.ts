/**
 * A did:plc directory in memory: signed operations, and the documents that they lead to. What
 * serves it over HTTP is ./plc-front.ts. (did:plc specification, version 0.1.)
 */
import { CidLinkWrapper } from '@atcute/cid'
import { toBase32, toBase58Btc, toBase64Url } from '@atcute/multibase'
import { ARITHMETIC } from '../crypto/curve.ts'
import { PrivateKey } from '../crypto/private-key.ts'
import { formatDidKey, formatMultikey, type PublicKey } from '../crypto/public-key.ts'
import { sha256 } from '../crypto/sha256.ts'
import { CODEC_DAG_CBOR, cidOf } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { datetimeOf } from './messages.ts'

/** What an account's document says. */
export interface PlcState {
  /** Null for a document without a signing key. */
  readonly key: PublicKey | null
  /** Origin of the PDS; null for a document without one. */
  readonly endpoint: string | null
  readonly handle: string
}

/**
 * How documents are worded: `multikey` as the public directory does, `legacy` as its reference code
 * does (an uncompressed key, and the type of its curve).
 */
export type DocumentFormat = 'multikey' | 'legacy'

interface PlcOperation {
  readonly type: 'plc_operation'
  readonly rotationKeys: readonly string[]
  readonly verificationMethods: Readonly<Record<string, string>>
  readonly alsoKnownAs: readonly string[]
  readonly services: Readonly<Record<string, { readonly type: string; readonly endpoint: string }>>
  readonly prev: string | null
}

/** An operation as the audit log and the export give it. */
export interface PlcLogEntry {
  readonly did: string
  readonly operation: PlcOperation & { readonly sig: string }
  readonly cid: string
  readonly nullified: false
  readonly createdAt: string
}

interface Registered {
  state: PlcState
  readonly format: DocumentFormat
  readonly log: PlcLogEntry[]
  /** Not told to anybody yet. */
  hidden: boolean
}

/** Characters of a did:plc after its method. */
const SUFFIX_CHARS = 24

/** The directory. One rotation key signs for all accounts, as a PDS's does for its own. */
export class PlcDirectory {
  readonly #rotationKey: PrivateKey
  readonly #registered = new Map<string, Registered>()
  readonly #export: PlcLogEntry[] = []

  /** @param secret 32 bytes: what the rotation key is made from. */
  constructor(secret: Uint8Array) {
    this.#rotationKey = PrivateKey.import('k256', secret)
  }

  /**
   * Registers an account and returns its DID, which follows from the state.
   *
   * @param visible `hidden`: the DID is not found until {@link show}.
   */
  create(
    state: PlcState,
    format: DocumentFormat,
    nowMs: number,
    visible: 'shown' | 'hidden' = 'shown',
  ): string {
    const operation = this.#sign(state, null)
    const did = `did:plc:${toBase32(sha256(encodeDrisl(operation))).slice(0, SUFFIX_CHARS)}`
    const hidden = visible === 'hidden'
    this.#registered.set(did, { state, format, log: [], hidden })
    this.#append(did, operation, nowMs)
    return did
  }

  /** Changes an account's document. */
  update(did: string, change: Partial<PlcState>, nowMs: number): void {
    const account = must(this.#registered.get(did), 'registered DID')
    account.state = { ...account.state, ...change }
    this.#append(did, this.#sign(account.state, account.log.at(-1)?.cid ?? null), nowMs)
  }

  /** From now on a hidden account is found. */
  show(did: string): void {
    must(this.#registered.get(did), 'registered DID').hidden = false
  }

  state(did: string): PlcState | null {
    return this.#registered.get(did)?.state ?? null
  }

  get dids(): Iterable<string> {
    return this.#registered.keys()
  }

  formatOf(did: string): DocumentFormat | null {
    return this.#registered.get(did)?.format ?? null
  }

  /** The DID document; null when the DID is not found. */
  document(did: string): Readonly<Record<string, unknown>> | null {
    const account = this.#found(did)
    return account === null ? null : documentOf(did, account.state, account.format)
  }

  /** What `GET /:did/data` answers; null when the DID is not found. */
  data(did: string): Readonly<Record<string, unknown>> | null {
    const account = this.#found(did)
    if (account === null) return null
    const { type: _, prev: __, ...data } = this.#operationOf(account.state, null)
    return { did, ...data }
  }

  /** The operations of an account, the first one first; null when the DID is not found. */
  auditLog(did: string): readonly PlcLogEntry[] | null {
    return this.#found(did)?.log ?? null
  }

  /** Operations of all accounts after a time, in order, at most `count`. */
  export(after: string | null, count: number): readonly PlcLogEntry[] {
    const found: PlcLogEntry[] = []
    for (const entry of this.#export) {
      if (found.length >= count) break
      if (after !== null && entry.createdAt <= after) continue
      if (this.#found(entry.did) !== null) found.push(entry)
    }
    return found
  }

  #found(did: string): Registered | null {
    const account = this.#registered.get(did)
    return account === undefined || account.hidden ? null : account
  }

  #operationOf({ key, endpoint, handle }: PlcState, prev: string | null): PlcOperation {
    return {
      type: 'plc_operation',
      rotationKeys: [formatDidKey(this.#rotationKey.publicKey)],
      verificationMethods: key === null ? {} : { atproto: formatDidKey(key) },
      alsoKnownAs: [`at://${handle}`],
      services:
        endpoint === null ? {} : { atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint } },
      prev,
    }
  }

  #sign(state: PlcState, prev: string | null): PlcLogEntry['operation'] {
    const operation = this.#operationOf(state, prev)
    const sig = toBase64Url(this.#rotationKey.sign(encodeDrisl(operation)))
    return { ...operation, sig }
  }

  #append(did: string, operation: PlcLogEntry['operation'], nowMs: number): void {
    const cid = new CidLinkWrapper(cidOf(CODEC_DAG_CBOR, encodeDrisl(operation))).$link
    const entry = { did, operation, cid, nullified: false, createdAt: datetimeOf(nowMs) } as const
    must(this.#registered.get(did), 'registered DID').log.push(entry)
    this.#export.push(entry)
  }
}

const LEGACY_TYPES = {
  k256: 'EcdsaSecp256k1VerificationKey2019',
  p256: 'EcdsaSecp256r1VerificationKey2019',
} as const

const CONTEXTS = ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1']

/** The document that a state stands for. */
export function documentOf(
  did: string,
  { key, endpoint, handle }: PlcState,
  format: DocumentFormat,
): Readonly<Record<string, unknown>> {
  const service = {
    id: '#atproto_pds',
    type: 'AtprotoPersonalDataServer',
    serviceEndpoint: endpoint,
  }
  return {
    '@context': CONTEXTS,
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: key === null ? [] : [methodOf(did, key, format)],
    service: endpoint === null ? [] : [service],
  }
}

function methodOf(
  did: string,
  key: PublicKey,
  format: DocumentFormat,
): Readonly<Record<string, string>> {
  if (format === 'multikey') {
    const publicKeyMultibase = formatMultikey(key)
    return { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase }
  }
  const uncompressed = ARITHMETIC[key.curve].Point.fromBytes(key.bytes).toBytes(false)
  const publicKeyMultibase = `z${toBase58Btc(uncompressed)}`
  return { id: '#atproto', type: LEGACY_TYPES[key.curve], controller: did, publicKeyMultibase }
}
