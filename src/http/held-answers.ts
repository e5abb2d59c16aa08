/** Answers that lie in memory while clients read them, bounded in all and for each address. */

import type { HostView } from '../repo-host/host-view.ts'
import { type BodyStreams, streamBody } from './body-stream.ts'
import type { XrpcCall } from './endpoint.ts'
import {
  HELD_ANSWER_BYTES_MAX,
  HELD_ANSWER_BYTES_PER_ADDRESS_MAX,
  HELD_ANSWER_SMALL_BYTES,
} from './http-limits.ts'
import { CAR_TYPE, retryLater } from './host-repo.ts'

/** Size of the pieces in which they are given out, bytes. */
const PIECE_BYTES = 65_536

/** What an endpoint that answers out of memory works with. */
export interface AnswerParts {
  readonly view: HostView
  readonly streams: BodyStreams
  readonly held: HeldAnswers
}

/** Counts the bytes of answers that are being read. */
export class HeldAnswers {
  readonly #byAddress = new Map<string, number>()
  #bytes = 0

  /** Takes room, if there is: null then, else whose bound was reached. Give it back. */
  take(address: string, bytes: number): 'host' | 'address' | null {
    const own = this.#byAddress.get(address) ?? 0
    if (this.#bytes + bytes > HELD_ANSWER_BYTES_MAX) return 'host'
    if (own + bytes > HELD_ANSWER_BYTES_PER_ADDRESS_MAX) return 'address'
    this.#bytes += bytes
    this.#byAddress.set(address, own + bytes)
    return null
  }

  /** Gives room back that was taken. */
  release(address: string, bytes: number): void {
    this.#bytes -= bytes
    const left = (this.#byAddress.get(address) ?? 0) - bytes
    if (left === 0) this.#byAddress.delete(address)
    else this.#byAddress.set(address, left)
  }

  /** Bytes that are being read. */
  get bytes(): number {
    return this.#bytes
  }
}

/**
 * A CAR that lies in memory. A small one is handed to the socket whole; what is larger is given out
 * as it is read, is bounded, and its reader has to keep up.
 */
export async function carAnswer(
  { streams, held }: AnswerParts,
  { method, address, cut }: XrpcCall,
  nsid: string,
  car: Uint8Array,
): Promise<Response> {
  const headers = { 'content-type': CAR_TYPE, 'content-length': String(car.length) }
  if (method === 'HEAD') return new Response(null, { headers })
  if (car.length <= HELD_ANSWER_SMALL_BYTES) return new Response(car, { headers })
  const full = held.take(address, car.length)
  if (full === 'host') return retryLater(503, 'Busy', 'Too many large answers are being read')
  if (full === 'address') {
    return retryLater(429, 'RateLimitExceeded', 'This address is reading too many large answers')
  }
  const source = {
    chunks: piecesOf(car),
    length: car.length,
    close: () => held.release(address, car.length),
  }
  return new Response(await streamBody(source, { nsid, cut }, streams), { headers })
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    yield bytes.subarray(start, start + PIECE_BYTES)
  }
}
