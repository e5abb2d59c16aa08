/** A PLC directory on loopback: serves the documents that a test registers, or fails as told. */
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PublicKey } from '../../src/crypto/public-key.ts'
import { documentOf } from '../../src/sim/plc-directory.ts'
import { Signal } from './waiting.ts'

/** What a document says of an account. */
export interface PlcEntry {
  /** Null for a document without a key. */
  readonly key: PublicKey | null
  /** `http://localhost:1234`; null for a document without a PDS. */
  readonly endpoint: string | null
  readonly handle?: string
  /** Default `multikey`; `legacy` is what older directories answer. */
  readonly format?: 'multikey' | 'legacy'
}

/** How requests are answered: with documents, with status 503, or not at all. */
export type PlcMode = 'answer' | 'fail' | 'hang'

export class FakePlc implements AsyncDisposable {
  readonly #server: Server
  readonly #entries = new Map<string, PlcEntry>()
  readonly #held = new Set<ServerResponse>()
  readonly #holding = new Map<string, ServerResponse[]>()
  readonly #signal = new Signal()
  #mode: PlcMode = 'answer'
  /** DIDs that were asked for, in order. */
  readonly requests: string[] = []

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<FakePlc> {
    const server = createServer((request, response) => {
      plc.#answer(decodeURIComponent((request.url ?? '/').slice(1)), response)
    })
    const plc = new FakePlc(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return plc
  }

  /** `http://localhost:<port>` */
  get url(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  set(did: string, entry: PlcEntry): void {
    this.#entries.set(did, entry)
  }

  /** From now on the DID is not registered. */
  remove(did: string): void {
    this.#entries.delete(did)
  }

  /** Answers from now on so; requests that hang are answered when the mode changes. */
  setMode(mode: PlcMode): void {
    this.#mode = mode
    if (mode === 'hang') return
    for (const response of this.#held) response.destroy()
    this.#held.clear()
  }

  /** From now on gives no answer about the DID. */
  hold(did: string): void {
    this.#holding.set(did, [])
  }

  /** Answers about the DID again, also what was asked meanwhile. */
  release(did: string): void {
    const responses = this.#holding.get(did) ?? []
    this.#holding.delete(did)
    for (const response of responses) this.#document(did, response)
  }

  /** How often a DID has been asked for. */
  asked(did: string): number {
    return this.requests.filter((asked) => asked === did).length
  }

  /** Resolves when the DID has been asked for `count` times. */
  async untilAsked(did: string, count: number): Promise<void> {
    await this.#signal.until(
      () => (this.asked(did) >= count ? true : null),
      () => `PLC request ${count} for ${did}, ${this.asked(did)} so far`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #answer(did: string, response: ServerResponse): void {
    this.requests.push(did)
    response.on('error', () => undefined)
    const holding = this.#holding.get(did)
    if (holding !== undefined) holding.push(response)
    else if (this.#mode === 'hang') this.#held.add(response)
    else if (this.#mode === 'fail') response.writeHead(503).end()
    else this.#document(did, response)
    this.#signal.notify()
  }

  #document(did: string, response: ServerResponse): void {
    const entry = this.#entries.get(did)
    response.setHeader('content-type', 'application/json')
    // As the public directory does: pages of other origins may read it.
    response.setHeader('access-control-allow-origin', '*')
    if (entry === undefined) response.writeHead(404).end('{"message":"DID not registered"}')
    else response.end(JSON.stringify(plcDocument(did, entry)))
  }
}

/** The document as the public directory (`multikey`) or its reference code (`legacy`) words it. */
function plcDocument(did: string, entry: PlcEntry): Readonly<Record<string, unknown>> {
  const { key, endpoint, handle = 'test.example.com', format = 'multikey' } = entry
  return documentOf(did, { key, endpoint, handle }, format)
}
