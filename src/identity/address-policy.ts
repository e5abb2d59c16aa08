/**
 * Which addresses this process may connect to on somebody else's word. Names and URLs in DID
 * documents, requests to crawl and redirects are chosen by strangers, who would like to reach what
 * only we can reach: our own machine, its neighbours, the cloud's metadata service.
 *
 * A connection is checked three times, because none of the three sees everything: the URL before
 * (an IP address written as such is never looked up), the answer of the name look-up (the address
 * that was checked is the one that is used, so that a second answer cannot differ), and the
 * connected socket.
 */

import type { LookupAddress, LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import { callbackify } from 'node:util'
import ipaddr from 'ipaddr.js'
import { codeOf, SkeinError } from '../lib/errors.ts'
import { fail, ok } from '../lib/result.ts'
import type { Result } from '../lib/result.ts'
import { createDnsLookup, resolvePrivateNames } from './address-lookup.ts'
import type { ResolveAddresses } from './address-lookup.ts'

export interface AddressPolicyOptions {
  /**
   * Permits plain HTTP, any port, and loopback and private addresses (127/8, 10/8, 172.16/12,
   * 192.168/16, ::1, fc00::/7). Link-local, carrier and multicast addresses stay refused. For
   * development, closed networks, and servers that the operator has named.
   */
  readonly allowPrivateNetwork?: boolean
  /** Looks names up; by default DNS, with the system's own look-up on private networks. */
  readonly resolveAddresses?: ResolveAddresses
}

/** The policy in the three places where it is asked. Holds no state; share one. */
export interface AddressPolicy {
  readonly allowPrivateNetwork: boolean
  /** Scheme (https, wss), no user name, port (80, 443), and the address if the host is one. */
  checkUrl(url: string | URL): Result<URL, 'request-blocked'>
  /** Null when a connection to `address` is allowed, else why it is not. */
  checkAddress(address: string): string | null
  /** For `lookup` of net, tls, undici and ws: fails with REQUEST_BLOCKED unless all are allowed. */
  readonly lookup: LookupFunction
}

/** Addresses of one name that are used: enough for any round-robin, few enough to try in turn. */
const ADDRESSES_MAX = 16
const PUBLIC_PORTS: ReadonlySet<string> = new Set(['', '80', '443'])
/** Ranges (in the words of ipaddr.js) that a private network adds. */
const PRIVATE_RANGES: ReadonlySet<string> = new Set(['loopback', 'private', 'uniqueLocal'])
/** All of IPv6 that is handed out for public use (IANA); the library's list has gaps around it. */
const IPV6_PUBLIC: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]

export function createAddressPolicy(options: AddressPolicyOptions = {}): AddressPolicy {
  const allowPrivateNetwork = options.allowPrivateNetwork === true
  const resolve =
    options.resolveAddresses ?? (allowPrivateNetwork ? resolvePrivateNames : createDnsLookup())
  const checkAddress = (address: string): string | null =>
    addressFault(address, allowPrivateNetwork)
  return {
    allowPrivateNetwork,
    checkAddress,
    checkUrl(url) {
      const parsed = URL.parse(String(url))
      if (parsed === null) return fail('request-blocked', 'not a URL')
      const fault = urlFault(parsed, allowPrivateNetwork)
      return fault === null ? ok(parsed) : fail('request-blocked', fault)
    },
    lookup: createCheckedLookup(resolve, checkAddress),
  }
}

/** What `new WebSocket(url, options)` of the ws package needs to keep to the policy. */
export interface CheckedConnection {
  readonly url: URL
  /** Spread into the options. Redirects stay off: ws would follow them past the first check. */
  readonly options: { readonly lookup: LookupFunction; readonly followRedirects: false }
}

/**
 * Checks the URL of an outbound WebSocket and returns the options that check the rest. Both are
 * needed: `lookup` is not called for a host that is an IP address.
 */
export function checkedConnectOptions(
  url: string | URL,
  policy: AddressPolicy,
): Result<CheckedConnection, 'request-blocked'> {
  const checked = policy.checkUrl(url)
  if (!checked.ok) return checked
  return ok({ url: checked.value, options: { lookup: policy.lookup, followRedirects: false } })
}

function urlFault(url: URL, allowPrivateNetwork: boolean): string | null {
  const isSecure = url.protocol === 'https:' || url.protocol === 'wss:'
  const isPlain = url.protocol === 'http:' || url.protocol === 'ws:'
  if (!isSecure && !(isPlain && allowPrivateNetwork)) return `scheme ${url.protocol} not allowed`
  if (url.username !== '' || url.password !== '') return 'a user name is not allowed'
  if (!allowPrivateNetwork && !PUBLIC_PORTS.has(url.port)) return `port ${url.port} not allowed`
  // The URL parser has turned every spelling of an IPv4 address (hex, octal, 127.1) into this one.
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return isIP(host) === 0 ? null : addressFault(host, allowPrivateNetwork)
}

function addressFault(address: string, allowPrivateNetwork: boolean): string | null {
  if (!ipaddr.isValid(address)) return 'not an IP address'
  // Deprecated, never public; the library would read it as the mapped form of the same address.
  if (/^::\d+\./.test(address)) return `address ${address} is IPv4-compatible, not public`
  // An IPv4 address that is mapped into IPv6 leads to the IPv4 address, so that one is judged.
  const parsed = ipaddr.process(address)
  const range: string = parsed.range()
  if (allowPrivateNetwork && PRIVATE_RANGES.has(range)) return null
  if (range !== 'unicast') return `address ${address} is ${range}, not public`
  if (parsed instanceof ipaddr.IPv6 && !parsed.match(IPV6_PUBLIC)) {
    return `address ${address} is outside 2000::/3, not public`
  }
  return null
}

function createCheckedLookup(
  resolve: ResolveAddresses,
  checkAddress: (address: string) => string | null,
): LookupFunction {
  const answer = async (hostname: string, options: LookupOptions): Promise<LookupAddress[]> => {
    const found = (await resolve(hostname)).slice(0, ADDRESSES_MAX)
    for (const { address } of found) {
      const fault = checkAddress(address)
      if (fault === null) continue
      throw new SkeinError('REQUEST_BLOCKED', `connect: ${fault}`, { host: hostname })
    }
    const wanted = found.filter(({ family }) => isWanted(family, options))
    if (wanted.length > 0) return wanted
    const fields = { host: hostname, why: 'network' }
    throw new SkeinError('REQUEST_FAILED', 'look up: no address', fields)
  }
  // A callback that throws does so outside of the promise, as if there were none.
  const callBack = callbackify(answer)
  return (hostname, options, callback) => {
    callBack(hostname, options, (error, found) => {
      const first = error === null ? found[0] : undefined
      if (first === undefined) callback(error, '', 0)
      else if (options.all === true) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
}

function isWanted(family: number, options: LookupOptions): boolean {
  const wanted = options.family ?? 0
  if (wanted === 'IPv4') return family === 4
  if (wanted === 'IPv6') return family === 6
  return wanted === 0 || wanted === family
}

/** Whether `error`, or what caused it, is a refusal by an address policy. */
export function isBlocked(error: unknown): boolean {
  let current = error
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    if (codeOf(current) === 'REQUEST_BLOCKED') return true
    current = current.cause
  }
  return false
}
