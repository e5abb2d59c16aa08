/** com.atproto.sync.getBlob of a host */

import { mainSchema } from '@atcute/atproto/types/sync/getBlob'

import { cidFromString, cidToString } from '../data/cid.ts'
import { SkeinError } from '../lib/errors.ts'
import type { HostedBlob, HostView } from '../repo-host/host-view.ts'
import { type BodyStreams, streamBody } from './body-stream.ts'
import { type ByteRange, parseByteRange } from './byte-range.ts'
import type { Endpoint, XrpcCall } from './endpoint.ts'
import { entityTag, isKnownTag, isSameEntity } from './entity-tag.ts'
import { refusedRepo } from './host-repo.ts'
import { type AnswerHeaders, invalidRequest, xrpcError } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/**
 * The bytes of a blob, whole or one range of them. Whatever the blob is, no browser that shows it
 * runs anything of it: strangers have chosen both the bytes and the type.
 */
export function hostGetBlob(view: HostView, streams: BodyStreams): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer(call) {
      const params = readParams(mainSchema.nsid, mainSchema.params, call.query)
      if (!params.ok) return invalidRequest(params.detail)
      const { did, cid: text } = params.value
      const refused = refusedRepo(view, did)
      if (refused !== null) return refused
      const cid = cidFromString(text)
      const blob = cid === null ? null : view.blob(did, cid)
      if (cid === null || blob === null) return blobNotFound()
      const tag = entityTag(cid)
      // Whether it is still served has to be asked each time; only then may a stored copy be used.
      const caching = { etag: tag, 'cache-control': 'no-cache' }
      if (isKnownTag(call.headers.get('if-none-match'), tag)) {
        return new Response(null, { status: 304, headers: caching })
      }
      const range = rangeOf(call, tag, blob.size)
      const headers = { ...caching, ...headersOf(cid, blob) }
      if (range.kind === 'unsatisfiable') return rangeNotSatisfiable(blob.size)
      const body = { view, did, cid, blob }
      return send(body, range, call, streams, headers)
    },
  }
}

interface FoundBlob {
  readonly view: HostView
  readonly did: string
  readonly cid: Uint8Array
  readonly blob: HostedBlob
}

async function send(
  { view, did, cid, blob }: FoundBlob,
  range: Exclude<ByteRange, { kind: 'unsatisfiable' }>,
  { method, cut }: XrpcCall,
  streams: BodyStreams,
  blobHeaders: AnswerHeaders,
): Promise<Response> {
  const { start, end } = range.kind === 'part' ? range : { start: 0, end: blob.size }
  const length = end - start
  const headers = { ...blobHeaders, 'content-length': String(length) }
  const init =
    range.kind === 'part'
      ? {
          status: 206,
          headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${blob.size}` },
        }
      : { status: 200, headers }
  if (method === 'HEAD' || length === 0) return new Response(null, init)
  const isServed = (): boolean => view.availability(did) === 'active'
  const chunks = whileServed(blob.read(start, end), isServed)
  const source = { chunks, length, close: () => {} }
  try {
    return new Response(await streamBody(source, { nsid: mainSchema.nsid, cut }, streams), init)
  } catch (error) {
    // It may have been deleted since it was looked up, or its account closed.
    const refused = refusedRepo(view, did)
    if (refused !== null) return refused
    if (view.blob(did, cid) === null) return blobNotFound()
    throw error
  }
}

/** Ends in an error when the account stops being served: no more of it may go out. */
async function* whileServed(
  chunks: AsyncIterable<Uint8Array>,
  isServed: () => boolean,
): AsyncGenerator<Uint8Array> {
  for await (const piece of chunks) {
    if (!isServed())
      throw new SkeinError('REPO_UNAVAILABLE', 'read blob: the account is not served any more')
    yield piece
  }
}

/** Only GET has ranges (RFC 9110, section 14.2). */
function rangeOf({ method, headers }: XrpcCall, tag: string, size: number): ByteRange {
  const applies = method === 'GET' && isSameEntity(headers.get('if-range'), tag)
  return parseByteRange(applies ? headers.get('range') : null, size)
}

/** A type that can stand in a header; whoever uploaded the blob has chosen it. */
const MIME_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(?:[ \t]*;[\x20-\x7e]{0,200})?$/

function headersOf(cid: Uint8Array, { mimeType }: HostedBlob): AnswerHeaders {
  return {
    'content-type': MIME_TYPE.test(mimeType) ? mimeType : 'application/octet-stream',
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    'content-disposition': `attachment; filename="${cidToString(cid)}"`,
  }
}

function blobNotFound(): Response {
  return xrpcError(400, 'BlobNotFound', 'Blob not found')
}

function rangeNotSatisfiable(size: number): Response {
  return xrpcError(416, 'RangeNotSatisfiable', `The blob has ${size} bytes`, {
    'content-range': `bytes */${size}`,
  })
}
