/**
 * From a handle to the DID that its domain names: a TXT record of `_atproto.<handle>`, or else the
 * file /.well-known/atproto-did. (Handle specification, "Handle Resolution".)
 */

import { Resolver } from 'node:dns/promises'

import type { HttpClient } from '../../identity/http-client.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import { codeOf, messageOf } from '../../lib/errors.ts'
import { type Did, parseAtprotoDid } from '../../syntax/did.ts'

/** TXT records of a name, the strings of each; rejects like node:dns. */
export type LookUpTxt = (name: string) => Promise<readonly (readonly string[])[]>

/** What one of the two ways says. `none` is an answer; `unknown` means that there was none. */
export type HandleAnswer =
  | { readonly kind: 'did'; readonly did: Did }
  | { readonly kind: 'none'; readonly detail: string }
  | { readonly kind: 'unknown'; readonly detail: string }

/** Both ways, and what follows from them; `https` is null when it was not asked. */
export interface HandleOutcome {
  readonly handle: string
  /** Null when the handle leads nowhere, or could not be looked up: see `isFinal`. */
  readonly did: Did | null
  readonly via: 'dns' | 'https' | null
  /** False when one of the two ways gave no answer, so that asking again may help. */
  readonly isFinal: boolean
  readonly dns: HandleAnswer
  readonly https: HandleAnswer | null
}

export interface HandleResolverOptions {
  readonly http: HttpClient
  /** Default the system's resolvers. */
  readonly lookUpTxt?: LookUpTxt | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Longest file that is read, bytes: a DID and white space. */
const FILE_BYTES_MAX = 4_096
/** TXT records of one name that are looked at. */
const RECORDS_MAX = 100
const REDIRECTS_MAX = 3
/** A handle that does not exist must not take the whole time-out of the command. */
const DNS_TIMEOUT_MS = 5_000
const DNS_TRIES = 2
const NO_RECORD_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA'])

/** Asks DNS, and the domain's web server when DNS names nobody. Keeps nothing. */
export class HandleResolver {
  readonly #options: HandleResolverOptions

  constructor(options: HandleResolverOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async resolve(handle: string): Promise<HandleOutcome> {
    const name = handle.toLowerCase()
    const dns = await this.#askDns(name)
    if (dns.kind === 'did') {
      return { handle: name, did: dns.did, via: 'dns', isFinal: true, dns, https: null }
    }
    const https = await this.#askWeb(name)
    const found = https.kind === 'did'
    return {
      handle: name,
      did: found ? https.did : null,
      via: found ? 'https' : null,
      isFinal: found || (dns.kind === 'none' && https.kind === 'none'),
      dns,
      https,
    }
  }

  async #askDns(handle: string): Promise<HandleAnswer> {
    const name = `_atproto.${handle}`
    try {
      const records = await (this.#options.lookUpTxt ?? this.#lookUp)(name)
      const texts = records.slice(0, RECORDS_MAX).map((strings) => strings.join(''))
      const dids = new Set(texts.flatMap((text) => (text.startsWith('did=') ? [text] : [])))
      if (dids.size > 1) return none(`${name} names ${dids.size} DIDs`)
      const [record] = dids
      if (record === undefined) return none(`${name} has no record that begins with did=`)
      const did = parseAtprotoDid(record.slice(4).trim())
      return did === null ? none(`${name} names no DID of atproto`) : { kind: 'did', did }
    } catch (error) {
      if (NO_RECORD_CODES.has(codeOf(error) ?? '')) return none(`${name} has no TXT record`)
      return { kind: 'unknown', detail: `${name}: ${messageOf(error)}` }
    }
  }

  readonly #lookUp: LookUpTxt = async (name) => {
    const { timeoutMs, signal } = this.#options
    const resolver = new Resolver({
      timeout: Math.min(timeoutMs, DNS_TIMEOUT_MS),
      tries: DNS_TRIES,
    })
    const cancel = (): void => resolver.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      return await resolver.resolveTxt(name)
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }

  async #askWeb(handle: string): Promise<HandleAnswer> {
    const url = `https://${handle}/.well-known/atproto-did`
    const { http, timeoutMs, signal } = this.#options
    try {
      const { status, bytes } = await http.fetch(url, {
        timeoutMs,
        signal,
        bytesMax: FILE_BYTES_MAX,
        redirectsMax: REDIRECTS_MAX,
      })
      if (status >= 500) return { kind: 'unknown', detail: `${url}: status ${status}` }
      if (status !== 200) return none(`${url}: status ${status}`)
      const did = parseAtprotoDid((fromUtf8(bytes) ?? '').trim())
      return did === null ? none(`${url} holds no DID of atproto`) : { kind: 'did', did }
    } catch (error) {
      const detail = `${url}: ${messageOf(error)}`
      // There is no such name, which is as good an answer as a 404.
      return { kind: /\bENOTFOUND\b/.test(detail) ? 'none' : 'unknown', detail }
    }
  }
}

function none(detail: string): HandleAnswer {
  return { kind: 'none', detail }
}
