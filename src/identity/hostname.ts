/**
 * Host names as relays write them: `pds.example.com`, and `localhost:2583` on private networks. One
 * host has one spelling here, so that names can be compared as text: a connection's host with an
 * account's PDS, a request to crawl with a ban.
 */

import { fail, ok } from '../lib/result.ts'
import type { Failure, Result } from '../lib/result.ts'

/** A host in its one spelling, with the addresses under which it is asked. */
export interface HostAddress {
  /** Lower-case, punycode; `host`, or `host:port` when the port is not the scheme's own. */
  readonly hostname: string
  /** Origin for HTTP, no slash at the end: `https://pds.example.com`. */
  readonly endpoint: string
  /** The same origin for WebSockets: `wss://pds.example.com`. */
  readonly webSocketUrl: string
}

export interface HostnameOptions {
  /** Permits ports, plain HTTP, `localhost` and `127.0.0.1`: development and closed networks. */
  readonly allowPrivateNetwork?: boolean
}

/** Longest text looked at: a name has at most 253 characters, more before punycode folds them. */
const TEXT_LENGTH_MAX = 512
/** Longest DNS name and label, characters (RFC 1035, 2.3.4; the root label is not written). */
const NAME_LENGTH_MAX = 253
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** What stands in place of the authority is free of anything that would end or hide it. */
const FORMS = /^(?:(https?|wss?):\/\/)?([^\s/?#@\\%:[\]]+)(?::(\d{1,5}))?\/?$/i
/** Other spellings of these addresses are refused as any address is. */
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1'])

/**
 * Reads `host`, `https://host`, `wss://host`, with or without a slash at the end. The name is
 * lower-cased and turned to punycode as browsers do, needs two labels, and must not be an IP
 * address. Refused: user names, paths, queries, a dot at the end, and every port but the scheme's.
 *
 * With `allowPrivateNetwork` also `http://` and `ws://`, ports, `localhost` and `127.0.0.1`; the
 * last two mean plain HTTP when no scheme is given. The plain and the secure form of a host then
 * share one `hostname` (at their own ports).
 *
 * `detail` is a sentence for the person who sent the name. Nothing is looked up: whether the name
 * leads to a public address is for ./address-policy.ts to say when it connects.
 */
export function parseHostname(
  text: string,
  options: HostnameOptions = {},
): Result<HostAddress, 'hostname-invalid'> {
  const allowPrivate = options.allowPrivateNetwork === true
  const match = text.length > TEXT_LENGTH_MAX ? null : FORMS.exec(text)
  if (match === null) return refuse(text, 'it is not of the form host or https://host')
  const [, scheme, name = '', port] = match
  const url = URL.parse(`https://${name}/`)
  if (url === null) return refuse(text, 'it is not a host name')

  const isLoopback = LOOPBACK_NAMES.has(name.toLowerCase())
  if (isLoopback && !allowPrivate) return refuse(text, 'it names this machine')
  const fault = isLoopback ? null : nameFault(url.hostname)
  if (fault !== null) return refuse(text, fault)

  const isPlain = scheme === undefined ? isLoopback : !/^(?:https|wss)$/i.test(scheme)
  if (isPlain && !allowPrivate) return refuse(text, 'it needs https')
  const origin = URL.parse(`${isPlain ? 'http' : 'https'}://${url.hostname}${portSuffix(port)}/`)
  if (origin === null || origin.port === '0') return refuse(text, 'its port is out of range')
  if (origin.port !== '' && !allowPrivate) return refuse(text, 'a port is not allowed')
  return ok({
    hostname: origin.host,
    endpoint: origin.origin,
    webSocketUrl: `${isPlain ? 'ws' : 'wss'}://${origin.host}`,
  })
}

function portSuffix(port: string | undefined): string {
  return port === undefined ? '' : `:${port}`
}

/** What is wrong with a name that the URL parser has already brought into its canonical form. */
function nameFault(name: string): string | null {
  if (name.length > NAME_LENGTH_MAX) return 'it is too long'
  if (/^[\d.]+$/.test(name)) return 'an IP address is not allowed'
  const labels = name.split('.')
  if (labels.length < 2) return 'it needs at least two labels'
  if (!labels.every((label) => LABEL.test(label))) {
    return 'a label is empty, too long, or has a character other than letters, digits and hyphens'
  }
  return /^[a-z]/.test(labels.at(-1) ?? '') ? null : 'its last label does not start with a letter'
}

function refuse(text: string, why: string): Failure<'hostname-invalid'> {
  return fail(
    'hostname-invalid',
    `Not a usable host name: ${why}: ${JSON.stringify(text.slice(0, 80))}`,
  )
}
