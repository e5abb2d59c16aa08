/** The first steps towards a host: its name, its address, its port, its certificate. */

import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import { parseHostname } from '../../identity/hostname.ts'
import { codeOf } from '../../lib/errors.ts'
import { bad, causeOf, type Finding, good } from './doctor-report.ts'
import type { CheckedHost, DoctorContext } from './doctor-context.ts'

const DAY_MS = 86_400_000
/** Certificates are renewed a month before their end; half of that is late. */
const EXPIRES_SOON_MS = 14 * DAY_MS
const NO_SUCH_NAME: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA'])
const TLS_TIME_CODES: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'])
const TLS_TRUST_CODES: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** The host in its one spelling, with addresses that relays may connect to. */
export async function checkName(ctx: DoctorContext, text: string): Promise<Finding<CheckedHost>> {
  const parsed = parseHostname(text, { allowPrivateNetwork: ctx.allowPrivateNetwork })
  if (!parsed.ok) {
    // The spelling may be good, and the address private.
    const isPrivate = parseHostname(text, { allowPrivateNetwork: true }).ok
    return bad(isPrivate && isLoopback(text) ? 'name-private' : 'name-invalid', parsed.detail)
  }
  const address = parsed.value
  const { hostname, protocol } = new URL(address.endpoint)
  try {
    const found = isIP(hostname) === 0 ? await ctx.resolveAddresses(hostname) : []
    const shown = isIP(hostname) === 0 ? found.map((answer) => answer.address) : [hostname]
    const facts = { hostname: address.hostname, addresses: shown.join(' ') }
    if (shown.length === 0) return bad('name-not-found', `${hostname} has no address`, facts)
    const fault = shown.map((one) => ctx.http.policy.checkAddress(one)).find((f) => f !== null)
    if (fault !== undefined && fault !== null) return bad('name-private', fault, facts)
    const list = shown.slice(0, 4).join(', ')
    return good({ address, isPlain: protocol === 'http:' }, `${hostname} is ${list}`, facts)
  } catch (error) {
    const code = codeOf(error) ?? ''
    const problem = NO_SUCH_NAME.has(code) ? 'name-not-found' : 'name-unresolved'
    return bad(problem, `${hostname}: ${code === '' ? causeOf(error) : code}`, { code })
  }
}

function isLoopback(text: string): boolean {
  const host = URL.parse(text.includes('://') ? text : `http://${text}`)?.hostname ?? ''
  return host === 'localhost' || host === '127.0.0.1'
}

/** A TCP connection, and over it TLS when the scheme has it; both are closed again. */
export async function checkConnect(ctx: DoctorContext, host: CheckedHost): Promise<Finding<true>> {
  const { hostname, port } = new URL(host.address.endpoint)
  const target = {
    host: hostname,
    port: port === '' ? (host.isPlain ? 80 : 443) : Number(port),
    lookup: ctx.http.policy.lookup,
  }
  const shown = `${hostname} port ${target.port}`
  const tcp = await opened(ctx, connectTcp(target), 'connect')
  if (tcp.error !== null) return connectFailure(tcp.error, shown)
  tcp.socket.destroy()
  if (host.isPlain) {
    return good(true, `${shown} takes connections, without TLS`, { tls: false })
  }
  const socket = connectTls({ ...target, servername: isIP(hostname) === 0 ? hostname : '' })
  const tls = await opened(ctx, socket, 'secureConnect')
  if (tls.error !== null) return tlsFailure(tls.error, shown)
  const { valid_to: validTo } = socket.getPeerCertificate()
  const protocol = socket.getProtocol() ?? 'TLS'
  socket.destroy()
  const leftMs = Date.parse(validTo) - ctx.clock.nowMs()
  const facts = { tls: true, protocol, validTo }
  const days = Math.floor(leftMs / DAY_MS)
  const detail = `${shown}, ${protocol}, certificate good for ${days} days`
  return leftMs < EXPIRES_SOON_MS
    ? bad<true>('tls-expires-soon', detail, facts, true)
    : good(true, detail, facts)
}

interface Opened<S> {
  readonly socket: S
  /** Null when the connection is open. */
  readonly error: unknown
}

/** Waits for `event` of a socket; the time-out and the signal are errors. */
function opened<S extends Socket | TLSSocket>(
  ctx: DoctorContext,
  socket: S,
  event: 'connect' | 'secureConnect',
): Promise<Opened<S>> {
  return new Promise((resolve) => {
    const finish = (error: unknown): void => {
      timer.cancel()
      ctx.signal.removeEventListener('abort', abort)
      if (error !== null) socket.destroy()
      resolve({ socket, error })
    }
    const abort = (): void => finish(new Error('aborted'))
    const timer = ctx.clock.after(ctx.timeoutMs, () => {
      finish(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }))
    })
    ctx.signal.addEventListener('abort', abort, { once: true })
    socket.once(event, () => finish(null))
    // Later errors of a socket that is being closed mean nothing.
    socket.on('error', (error) => finish(error))
    socket.once('close', () => finish(new Error('the connection was closed')))
  })
}

function connectFailure(error: unknown, shown: string): Finding<true> {
  // Several addresses: each has an error of its own.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  const code = codeOf(first) ?? ''
  const detail = `${shown}: ${code === '' ? causeOf(first) : code}`
  if (code === 'ECONNREFUSED') return bad('connect-refused', detail, { code })
  if (code === 'ETIMEDOUT') return bad('connect-timeout', detail, { code })
  if (code === 'REQUEST_BLOCKED') return bad('name-private', causeOf(first), { code })
  return bad('connect-failed', detail, { code })
}

function tlsFailure(error: unknown, shown: string): Finding<true> {
  const code = codeOf(error) ?? ''
  const detail = `${shown}: ${causeOf(error)}${code === '' ? '' : ` (${code})`}`
  if (TLS_TIME_CODES.has(code)) return bad('tls-expired', detail, { code })
  if (TLS_TRUST_CODES.has(code)) return bad('tls-untrusted', detail, { code })
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return bad('tls-wrong-name', detail, { code })
  return bad('tls-failed', detail, { code })
}
