/** What a host answers over HTTP, asked as relays ask: no redirects, small answers. */

import type { CheckedHost, DoctorContext } from './doctor-context.ts'
import type { ListedRepo } from '../../client/calls/sync-types.ts'
import { isCallError } from '../../client/calls/call-error.ts'
import { requestFailureOf, type SafeResponse } from '../../identity/http-client.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import { SkeinError } from '../../lib/errors.ts'
import { bad, causeOf, type Finding, good } from './doctor-report.ts'
import type { Session } from '../shared/session.ts'

/** As relays allow it. */
const ANSWER_BYTES_MAX = 64 * 1_024
/** Repositories that are looked at: one page. */
const REPOS_LIMIT = 1_000

/** What a server says of itself. */
export interface ServerDescription {
  /** DID of the service. */
  readonly did: string
  /** What `_health` tells; null when it tells nothing. */
  readonly version: string | null
}

export async function checkDescribeServer(
  ctx: DoctorContext,
  { address }: CheckedHost,
): Promise<Finding<ServerDescription>> {
  const url = `${address.endpoint}/xrpc/com.atproto.server.describeServer`
  let response: SafeResponse
  try {
    response = await ask(ctx, url)
  } catch (error) {
    const why = requestFailureOf(error)
    if (why === 'redirect') return bad('describe-redirect', `${url} redirects`, { url })
    return bad('describe-unreachable', causeOf(error), { url, why })
  }
  const { status, headers } = response
  const server = headers.get('server') ?? ''
  const type = headers.get('content-type') ?? 'no content type'
  const facts = { url, status, contentType: type }
  if (status === 429) return bad('describe-limited', 'status 429', facts)
  if (status !== 200) return bad('describe-status', `status ${status}, ${type}`, facts)
  if (/atproto-relay/iu.test(server)) return bad('describe-relay', `Server: ${server}`, facts)
  const body = jsonObject(response.bytes)
  if (body === null) return bad('describe-not-json', `status 200, ${type}`, facts)
  const { did } = body
  if (typeof did !== 'string' || !did.startsWith('did:')) {
    return bad('describe-invalid', 'it has no field did with a DID', facts)
  }
  const version = await healthVersion(ctx, address.endpoint)
  const detail = version === null ? did : `${did}, version ${version}`
  return good({ did, version }, detail, { ...facts, did, version })
}

/**
 * What a server says of itself, for those who only want to know.
 *
 * @throws SkeinError REQUEST_FAILED when there is no usable answer.
 */
export async function describeServer(
  session: Pick<Session, 'http' | 'timeoutMs' | 'signal'>,
  endpoint: string,
): Promise<ServerDescription> {
  const url = `${endpoint}/xrpc/com.atproto.server.describeServer`
  const { status, bytes, headers } = await ask(session, url)
  const did = status === 200 ? jsonObject(bytes)?.['did'] : null
  if (typeof did !== 'string') {
    const type = headers.get('content-type') ?? 'no content type'
    throw new SkeinError('REQUEST_FAILED', 'describeServer: no usable answer', { status, type })
  }
  return { did, version: await healthVersion(session, endpoint) }
}

/** The version that the reference PDS and others tell at `/xrpc/_health`; null without one. */
async function healthVersion(
  ctx: Pick<DoctorContext, 'http' | 'timeoutMs' | 'signal'>,
  endpoint: string,
): Promise<string | null> {
  try {
    const { status, bytes } = await ask(ctx, `${endpoint}/xrpc/_health`)
    const version = status === 200 ? jsonObject(bytes)?.['version'] : null
    return typeof version === 'string' ? version.slice(0, 80) : null
  } catch {
    return null
  }
}

/** The accounts that the host lists, one page of them. */
export async function checkListRepos(
  ctx: DoctorContext,
  { address }: CheckedHost,
): Promise<Finding<readonly ListedRepo[]>> {
  try {
    const page = await ctx.hostClient(address.endpoint).listReposPage({ limit: REPOS_LIMIT })
    const { repos, cursor } = page
    const active = repos.filter((repo) => repo.active !== false).length
    const more = cursor === undefined || repos.length === 0 ? '' : ' on the first page'
    const facts = { repos: repos.length, active, hasMore: more !== '' }
    if (repos.length === 0) return bad('list-empty', 'no repositories', facts, repos)
    const inactive = repos.length - active
    const detail = `${repos.length} repositories${more}, ${inactive} of them not active`
    return good(repos, detail, facts)
  } catch (error) {
    return bad('list-failed', causeOf(error), { code: isCallError(error) ? error.code : null })
  }
}

function ask(
  { http, timeoutMs, signal }: Pick<DoctorContext, 'http' | 'timeoutMs' | 'signal'>,
  url: string,
): Promise<SafeResponse> {
  return http.fetch(url, { timeoutMs, bytesMax: ANSWER_BYTES_MAX, signal })
}

function jsonObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  const text = fromUtf8(bytes)
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null
  } catch {
    return null
  }
}
