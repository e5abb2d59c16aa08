/**
 * What consumers built on `@skyware/firehose` and `@atcute/firehose` do with a frame, without their
 * sockets. Neither verifies anything.
 *
 * The decoder of `@atcute/firehose` is an inner part and is found through it, so that it is the one
 * that it runs with.
 */
import type { FirehoseSubscriptionOptions } from '@atcute/firehose'
import { mainSchema as subscribeRepos } from '@atcute/atproto/types/sync/subscribeRepos'
import { safeParse } from '@atcute/lexicons/validations'
import { Firehose } from '@skyware/firehose'

import { assert, must } from '../src/lib/assert.ts'

/** Decodes one frame; gives the number of operations that it found. */
export type DecodeFrame = (frame: Uint8Array) => number | Promise<number>

interface AtcuteDecoder {
  readonly decodeFrame: (bytes: Uint8Array) => {
    readonly type: 'message' | 'error'
    readonly body: unknown
    readonly discriminator: string | undefined
  }
  readonly addTypeToBody: (
    body: unknown,
    discriminator: string | undefined,
    nsid: string,
  ) => unknown
}

type AtcuteOptions = Pick<FirehoseSubscriptionOptions<typeof subscribeRepos>, 'validateEvents'>

/** The message handler of its subscription; it validates unless told otherwise. */
export async function loadAtcute({
  validateEvents = true,
}: AtcuteOptions = {}): Promise<DecodeFrame> {
  const entry = import.meta.resolve('@atcute/firehose')
  const url = new URL('./frame-decoder.js', entry).href
  const { decodeFrame, addTypeToBody } = (await import(url)) as AtcuteDecoder
  const schema = must(subscribeRepos.message, 'schema')
  return (bytes) => {
    const frame = decodeFrame(bytes)
    assert(frame.type === 'message', 'a message')
    const body = addTypeToBody(frame.body, frame.discriminator, subscribeRepos.nsid)
    if (!validateEvents) return operationsOf(body)
    const result = safeParse(schema, body)
    assert(result.ok, 'the lexicon accepts the message')
    return operationsOf(result.value)
  }
}

/** Stands for the socket that the client opens when it is made. */
function noSocket(): void {}

/** The message handler of its client, which decodes every record. */
export function loadSkyware(): DecodeFrame {
  const options = { ws: noSocket } as unknown as ConstructorParameters<typeof Firehose>[0]
  const client = new Firehose(options) as unknown as {
    parseMessage(data: Uint8Array): Promise<unknown>
  }
  return async (bytes) => operationsOf(await client.parseMessage(bytes))
}

function operationsOf(body: unknown): number {
  assert(typeof body === 'object' && body !== null && 'ops' in body, 'a commit')
  assert(Array.isArray(body.ops), 'operations')
  return body.ops.length
}
