/** JSON bodies of procedures, bounded. */

import { concatBytes, fromUtf8 } from '../lib/bytes.ts'
import { REQUEST_BODY_BYTES_MAX } from './http-limits.ts'
import { invalidRequest, xrpcError } from './xrpc-error.ts'

/**
 * The parsed body, or the answer that refuses it: not JSON, not announced as JSON, or too large.
 */
export async function readJsonBody(request: Request): Promise<{ value: unknown } | Response> {
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/json(?:\s*;|$)/i.test(type.trim())) {
    return invalidRequest('The request needs content-type: application/json')
  }
  if (Number(request.headers.get('content-length') ?? 0) > REQUEST_BODY_BYTES_MAX) return tooLarge()
  const bytes = await readBytes(request)
  if (bytes === null) return tooLarge()
  const text = fromUtf8(bytes)
  try {
    return { value: JSON.parse(text ?? '') }
  } catch {
    return invalidRequest('The body is not JSON')
  }
}

/** The whole body; null when it passes the limit, and then the rest is left unread. */
async function readBytes(request: Request): Promise<Uint8Array | null> {
  if (request.body === null) return new Uint8Array(0)
  const reader = request.body.getReader()
  const parts: Uint8Array[] = []
  let total = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return concatBytes(parts)
    total += value.length
    if (total > REQUEST_BODY_BYTES_MAX) {
      reader.releaseLock()
      return null
    }
    parts.push(value)
  }
}

/** The connection is closed, since what is left of the body would otherwise have to be read. */
function tooLarge(): Response {
  return xrpcError(413, 'PayloadTooLarge', `The body is over ${REQUEST_BODY_BYTES_MAX} bytes`, {
    connection: 'close',
  })
}
