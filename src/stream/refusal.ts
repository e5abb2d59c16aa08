/** HTTP answers to upgrade requests that are not taken, and who counts as one address. */
import type { Duplex } from 'node:stream'
import ipaddr from 'ipaddr.js'

/** An XRPC error as an HTTP answer. */
export interface Refusal {
  readonly status: 400 | 405 | 429 | 503
  readonly error: string
  readonly message: string
  readonly retryAfterSeconds?: number
}

const STATUS_TEXTS = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
} as const

/** Answers on a raw socket whose request asked for an upgrade, and ends it. */
export function refuse(socket: Duplex, refusal: Refusal): void {
  const { status, error, message, retryAfterSeconds } = refusal
  const body = JSON.stringify({ error, message })
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_TEXTS[status]}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Access-Control-Allow-Origin: *',
    ...(status === 405 ? ['Allow: GET'] : []),
    ...(retryAfterSeconds === undefined ? [] : [`Retry-After: ${retryAfterSeconds}`]),
  ]
  // The socket is no longer the HTTP server's: an error on it would otherwise end the process.
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

/**
 * What counts as one remote for limits: an IPv4 address (also when mapped into IPv6), or the /64 of
 * an IPv6 address, which is what one customer gets at least. Other texts stand for themselves.
 */
export function addressGroup(remote: string): string {
  if (!ipaddr.isValid(remote)) return remote
  const address = ipaddr.process(remote)
  if (!(address instanceof ipaddr.IPv6)) return address.toString()
  const prefix = address.parts.slice(0, 4).map((part) => part.toString(16))
  return `${prefix.join(':')}::/64`
}
