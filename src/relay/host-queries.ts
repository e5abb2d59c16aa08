/** The questions that a relay asks hosts over HTTP, each bounded and checked. */
import type { HttpClient } from '../identity/http-client.ts'
import { fromUtf8 } from '../lib/bytes.ts'
import { messageOf } from '../lib/errors.ts'

/** What `getRepoStatus` of a host says. Its texts are not taken over: they are a stranger's. */
export interface RemoteStatus {
  readonly active: boolean
}

/** Time for one answer, ms: a host that needs longer is not fit to be relayed. */
const TIMEOUT_MS = 5_000
const BYTES_MAX = 64 * 1024

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

/** Asks a host whether an account is active there. Never throws. */
export async function askRepoStatus(
  http: HttpClient,
  endpoint: string,
  did: string,
): Promise<RemoteStatus | null> {
  const url = new URL('/xrpc/com.atproto.sync.getRepoStatus', endpoint)
  url.searchParams.set('did', did)
  try {
    const response = await http.fetch(url, { timeoutMs: TIMEOUT_MS, bytesMax: BYTES_MAX })
    if (response.status !== 200) return null
    const body = jsonObject(response.bytes)
    if (body === null || body['did'] !== did || typeof body['active'] !== 'boolean') return null
    return { active: body['active'] }
  } catch {
    return null
  }
}

/** Whether a host can be crawled, with the reason when not. */
export type ProbeOutcome = { readonly ok: true } | { readonly ok: false; readonly message: string }

/**
 * Asks `describeServer`, which every PDS answers. A server that calls itself an atproto relay is
 * refused: two relays that follow each other would send everything in circles.
 */
export async function probeHost(http: HttpClient, endpoint: string): Promise<ProbeOutcome> {
  const url = new URL('/xrpc/com.atproto.server.describeServer', endpoint)
  try {
    const response = await http.fetch(url, { timeoutMs: TIMEOUT_MS, bytesMax: BYTES_MAX })
    if (/atproto-relay/iu.test(response.headers.get('server') ?? '')) {
      return { ok: false, message: 'the host is a relay, not a PDS' }
    }
    if (response.status !== 200) {
      return { ok: false, message: `describeServer answered with status ${response.status}` }
    }
    const body = jsonObject(response.bytes)
    if (body === null || typeof body['did'] !== 'string') {
      return { ok: false, message: 'describeServer did not answer with a server DID' }
    }
    return { ok: true }
  } catch (error) {
    return {
      ok: false,
      message: `describeServer could not be reached: ${messageOf(error).slice(0, 200)}`,
    }
  }
}
