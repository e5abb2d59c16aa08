/** A service as people write it, to the one origin by which it is known. */
import { SkeinError } from '../../lib/errors.ts'

/** A service that is asked: a host, a relay, a mirror. */
export interface Service {
  /** Scheme, name and port, no slash at the end: `https://relay.example`. Its identity. */
  readonly origin: string
  /** The same for event streams: `wss://relay.example`. */
  readonly webSocketOrigin: string
}

/** Longest text looked at: a name of 253 characters with scheme and port. */
const TEXT_CHARS_MAX = 512
const WITH_SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i
/** Schemes that are understood, and whether they are of the plain kind. */
const SCHEMES: ReadonlyMap<string, boolean> = new Map([
  ['https', false],
  ['wss', false],
  ['http', true],
  ['ws', true],
])
const LOOPBACK_NAME = /^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])$/
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/**
 * Reads `host`, `https://host`, `wss://host`, `host:port`, a slash at the end or not. Without a
 * scheme it is `https`, but `http` for names of loopback (`localhost:2470`, `127.0.0.1`, `[::1]`);
 * plain `http` to any other name must be written out.
 *
 * Private names and addresses are accepted: whoever runs the program names the service. Nothing is
 * looked up.
 *
 * @throws SkeinError OPTION_INVALID on anything else: another scheme, a path, a query, a user name.
 */
export function parseService(text: string | URL): Service {
  const given = String(text).trim()
  if (given === '' || given.length > TEXT_CHARS_MAX) throw invalid(given, 'it is no host name')
  const scheme = WITH_SCHEME.exec(given)?.[1]?.toLowerCase()
  const isPlain = scheme === undefined ? false : SCHEMES.get(scheme)
  if (isPlain === undefined) throw invalid(given, `its scheme is ${scheme ?? ''}, not https`)
  const rest = scheme === undefined ? given : given.slice(scheme.length + 3)
  // The URL parser drops what is white or backward in a name; a service is written as it is.
  if (/[\s\\%]/.test(rest)) throw invalid(given, 'it holds a character that no host name does')
  const url = URL.parse(`${isPlain ? 'http' : 'https'}://${rest}`)
  if (url === null) throw invalid(given, 'it is no host name')
  if (url.username !== '' || url.password !== '' || rest.includes('@')) {
    throw invalid(given, 'it has a user name')
  }
  if (url.pathname !== '/' || /[?#]/.test(rest)) throw invalid(given, 'it has a path or query')
  if (url.port === '0') throw invalid(given, 'its port is out of range')
  if (!isHostName(url.hostname)) throw invalid(given, 'it is no host name')
  const isHttp = isPlain || (scheme === undefined && isLoopbackName(url.hostname))
  // Parsed again, so that the port that is the scheme's own is left out.
  const origin = isHttp ? (URL.parse(`http://${rest}`)?.origin ?? url.origin) : url.origin
  return { origin, webSocketOrigin: origin.replace(/^http/, 'ws') }
}

/** True for names that never lead off this machine: `localhost`, 127/8 and ::1. */
export function isLoopbackName(hostname: string): boolean {
  return LOOPBACK_NAME.test(hostname)
}

/** Names as the URL parser gives them back: lower-case, punycode; or an address. */
function isHostName(hostname: string): boolean {
  if (hostname.startsWith('[')) return true
  const labels = (hostname.endsWith('.') ? hostname.slice(0, -1) : hostname).split('.')
  return hostname.length <= 254 && labels.every((label) => LABEL.test(label))
}

function invalid(text: string, why: string): SkeinError {
  const shown = JSON.stringify(text.slice(0, 80))
  return new SkeinError('OPTION_INVALID', `read service: ${why}`, { service: shown })
}
