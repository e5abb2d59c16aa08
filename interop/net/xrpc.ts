/** XRPC calls, as little as the harness needs. Every call is bounded in time. */

/** How long one call may take, ms: 200 writes on a busy machine take about two seconds. */
const CALL_TIMEOUT_MS = 30_000

export type Json = Record<string, unknown>

/** An answer other than 2xx. */
export class XrpcError extends Error {
  override readonly name = 'XrpcError'
  readonly status: number
  /** The `error` of the body; empty when there is none. */
  readonly errorName: string

  constructor(nsid: string, status: number, errorName: string, message: string) {
    super(`${nsid} answered ${status} ${errorName}: ${message}`)
    this.status = status
    this.errorName = errorName
  }
}

export interface CallOptions {
  readonly params?: Readonly<Record<string, string>>
  /** A whole `Authorization` header. */
  readonly authorization?: string
  /** For a body of bytes; JSON bodies need none. */
  readonly contentType?: string
}

/** `Authorization` of an account's session. */
export function bearer(token: string): string {
  return `Bearer ${token}`
}

/** Calls a query and returns its JSON. Throws {@link XrpcError}. */
export async function query(
  origin: string,
  nsid: string,
  options: CallOptions = {},
): Promise<Json> {
  const response = await send(origin, nsid, 'GET', undefined, options)
  return asJson(await response.text())
}

/** Calls a query that answers bytes. Throws {@link XrpcError}. */
export async function queryBytes(
  origin: string,
  nsid: string,
  options: CallOptions = {},
): Promise<Uint8Array> {
  const response = await send(origin, nsid, 'GET', undefined, options)
  return new Uint8Array(await response.arrayBuffer())
}

/** Calls a procedure with JSON, bytes or (null) no body at all. Throws {@link XrpcError}. */
export async function procedure(
  origin: string,
  nsid: string,
  body: Json | Uint8Array<ArrayBuffer> | null,
  options: CallOptions = {},
): Promise<Json> {
  const response = await send(origin, nsid, 'POST', body, options)
  return asJson(await response.text())
}

async function send(
  origin: string,
  nsid: string,
  method: 'GET' | 'POST',
  body: Json | Uint8Array<ArrayBuffer> | null | undefined,
  options: CallOptions,
): Promise<Response> {
  const url = new URL(`/xrpc/${nsid}`, origin)
  for (const [key, value] of Object.entries(options.params ?? {})) url.searchParams.set(key, value)
  const headers: Record<string, string> = {}
  if (options.authorization !== undefined) headers['authorization'] = options.authorization
  const init: RequestInit = { method, headers, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) }
  if (body instanceof Uint8Array) {
    headers['content-type'] = options.contentType ?? 'application/octet-stream'
    init.body = body
  } else if (body !== null && body !== undefined) {
    headers['content-type'] = 'application/json'
    init.body = JSON.stringify(body)
  }
  const response = await fetch(url, init)
  if (response.ok) return response
  const answer = asJson(await response.text())
  const name = typeof answer['error'] === 'string' ? answer['error'] : ''
  const message = typeof answer['message'] === 'string' ? answer['message'] : ''
  throw new XrpcError(nsid, response.status, name, message)
}

function asJson(text: string): Json {
  if (text === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : { value }
  } catch {
    return { message: text.slice(0, 200) }
  }
}

/** The text at `key`. Throws when there is none. */
export function textAt(json: Json, key: string): string {
  const value = json[key]
  if (typeof value !== 'string') throw new Error(`the answer has no text ${key}`)
  return value
}
