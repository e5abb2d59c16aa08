/** An account whose host answers as a test wants it to: a directory and a host on loopback. */

import type { IncomingMessage, ServerResponse } from 'node:http'

import { formatMultikey } from '../../crypto/public-key.ts'
import { PrivateKey } from '../../crypto/private-key.ts'
import {
  type LoopbackServer,
  sendJson,
  startLoopbackServer,
} from '../../identity/testing/loopback-server.ts'
import { runCommand } from './cli-world.ts'

export const FAKE_DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'

/** Answers one call; its name without `com.atproto.sync.`, and its parameters. */
export type FakeAnswer = (
  call: string,
  params: URLSearchParams,
  response: ServerResponse,
  request: IncomingMessage,
) => void

export class FakeAccount implements AsyncDisposable {
  readonly host: LoopbackServer
  readonly #plc: LoopbackServer

  private constructor(host: LoopbackServer, plc: LoopbackServer) {
    this.host = host
    this.#plc = plc
  }

  static async start(answer: FakeAnswer): Promise<FakeAccount> {
    const host = await startLoopbackServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://host')
      answer(url.pathname.split('.').at(-1) ?? '', url.searchParams, response, request)
    })
    const key = PrivateKey.import('k256', new Uint8Array(32).fill(7))
    const plc = await startLoopbackServer((_, response) => {
      sendJson(response, {
        id: FAKE_DID,
        alsoKnownAs: ['at://alice.example.com'],
        verificationMethod: [
          {
            id: `${FAKE_DID}#atproto`,
            type: 'Multikey',
            controller: FAKE_DID,
            publicKeyMultibase: formatMultikey(key.publicKey),
          },
        ],
        service: [
          {
            id: '#atproto_pds',
            type: 'AtprotoPersonalDataServer',
            serviceEndpoint: host.origin.replace('127.0.0.1', 'localhost'),
          },
        ],
      })
    })
    return new FakeAccount(host, plc)
  }

  run(
    args: readonly string[],
    more: Parameters<typeof runCommand>[1] = {},
  ): ReturnType<typeof runCommand> {
    return runCommand([...args, '--plc', this.#plc.origin, '--allow-private-network'], more)
  }

  /** The same for somebody who has not allowed private networks. */
  runInPublic(args: readonly string[]): ReturnType<typeof runCommand> {
    return runCommand([...args, '--plc', this.#plc.origin])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]()
    await this.#plc[Symbol.asyncDispose]()
  }
}

/** An error as XRPC sends it. */
export function sendError(response: ServerResponse, status: number, error: string): void {
  response.statusCode = status
  sendJson(response, { error, message: `${error} \u001b[2J` })
}
