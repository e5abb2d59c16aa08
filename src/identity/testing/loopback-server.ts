/** An HTTP server on 127.0.0.1 that counts what it is asked. */

import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { once } from 'node:events'

export interface LoopbackServer extends AsyncDisposable {
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  /** The paths that were asked for, in order. */
  readonly requests: readonly string[]
  /** Answers from now on. */
  handle(handler: (request: IncomingMessage, response: ServerResponse) => void): void
}

export async function startLoopbackServer(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<LoopbackServer> {
  let current = handler
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(request.url ?? '')
    // A client that gives up is part of many tests.
    response.on('error', () => {})
    current(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    requests,
    handle: (next) => void (current = next),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Answers with `value` as JSON. */
export function sendJson(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(value))
}
