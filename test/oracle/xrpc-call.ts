/** Calls of XRPC queries that give the answer as it is. */

export interface HttpAnswer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
}

/** Address of a query. Parameters may come more than once. */
export function queryUrl(
  url: string,
  nsid: string,
  params: Readonly<Record<string, string | readonly string[]>>,
): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    for (const one of typeof value === 'string' ? [value] : value) query.append(name, one)
  }
  return `${url}/xrpc/${nsid}?${query.toString()}`
}

/** Asks once more when a connection that was kept turns out to be one to a process that is gone. */
export async function openQuery(
  url: string,
  nsid: string,
  params: Readonly<Record<string, string | readonly string[]>>,
  init: RequestInit = {},
): Promise<Response> {
  const address = queryUrl(url, nsid, params)
  try {
    return await fetch(address, init)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return fetch(address, init)
  }
}

export async function answerOf(
  url: string,
  nsid: string,
  params: Readonly<Record<string, string | readonly string[]>>,
): Promise<HttpAnswer> {
  const response = await openQuery(url, nsid, params)
  const bytes = new Uint8Array(await response.arrayBuffer())
  return { status: response.status, headers: response.headers, bytes }
}

/** An answer in JSON; null for one that is not. */
export async function callJson(
  url: string,
  nsid: string,
  params: Readonly<Record<string, string | readonly string[]>>,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const { status, headers, bytes } = await answerOf(url, nsid, params)
  const isJson = headers.get('content-type')?.startsWith('application/json') === true
  return { status, body: isJson ? JSON.parse(Buffer.from(bytes).toString()) : null }
}

/** All items of a listing, page by page; cursors are passed on as they come. */
export async function listAll(
  url: string,
  nsid: string,
  params: Readonly<Record<string, string>>,
  field: string,
): Promise<unknown[]> {
  const items: unknown[] = []
  let cursor: string | undefined
  do {
    const page = cursor === undefined ? params : { ...params, cursor }
    const { status, body } = await callJson(url, nsid, page)
    const found = Object(body) as Readonly<Record<string, unknown>>
    if (status !== 200) throw new Error(`${nsid}: ${status} ${JSON.stringify(body)}`)
    items.push(...(found[field] as unknown[]))
    cursor = found['cursor'] as string | undefined
  } while (cursor !== undefined)
  return items
}
