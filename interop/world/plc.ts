/**
 * A real PLC directory (@did-plc/server) on loopback, with its data in memory.
 *
 * The published server answers DID documents in the old format (key type
 * `EcdsaSecp256k1VerificationKey2019`, uncompressed key, id `#atproto`), while the public directory
 * answers `Multikey` documents. Both occur, so both can be asked for: the newer one by rewriting
 * the answers.
 */

import { formatMultikey, multibaseToBytes } from '@atproto/crypto'
import plcServer from '@did-plc/server'

import { freePort } from '../net/ports.ts'

/** The format of the DID documents that the directory answers. */
export type DocumentFormat = 'legacy' | 'multikey'

export interface Plc {
  readonly url: string
  close(): Promise<void>
}

/** Starts a directory on a free port of 127.0.0.1. */
export async function startPlc(format: DocumentFormat): Promise<Plc> {
  const port = await freePort()
  const server = plcServer.PlcServer.create({ db: plcServer.Database.mock(), port })
  listenOnLoopback(server.app)
  if (format === 'multikey') {
    server.app.use(rewriteDocuments)
    moveLastHandlerFirst(server.app)
  }
  await server.start()
  return { url: `http://localhost:${port}`, close: () => server.destroy() }
}

/** What an Express application has that the harness touches. */
interface Listening {
  listen(port: unknown, host?: string): unknown
}

/** Both servers listen on every interface; this keeps them to 127.0.0.1. */
export function listenOnLoopback(app: Listening): void {
  const listen = app.listen.bind(app)
  app.listen = (port) => listen(port, '127.0.0.1')
}

interface LegacyDocument {
  readonly id: string
  readonly verificationMethod: readonly LegacyMethod[]
}

interface LegacyMethod {
  readonly type: string
  readonly controller: string
  readonly publicKeyMultibase: string
}

/** The one method of an Express response that is replaced. */
interface Sending {
  send: (body?: unknown) => unknown
}

function rewriteDocuments(_request: unknown, response: Sending, next: () => void): void {
  const send = response.send.bind(response)
  response.send = (body?: unknown): unknown => send(isLegacy(body) ? toMultikey(body) : body)
  next()
}

function isLegacy(body: unknown): body is string {
  return typeof body === 'string' && body.includes('VerificationKey2019')
}

function toMultikey(text: string): string {
  const document: LegacyDocument = JSON.parse(text)
  return JSON.stringify({
    ...document,
    '@context': [
      'https://www.w3.org/ns/did/v1',
      'https://w3id.org/security/multikey/v1',
      'https://w3id.org/security/suites/secp256k1-2019/v1',
    ],
    verificationMethod: document.verificationMethod.map((method) => ({
      id: `${document.id}#atproto`,
      type: 'Multikey',
      controller: method.controller,
      publicKeyMultibase: formatMultikey(
        method.type.includes('256r1') ? 'ES256' : 'ES256K',
        multibaseToBytes(method.publicKeyMultibase),
      ),
    })),
  })
}

/** Express runs handlers in order of registration, and the server registered its routes already. */
function moveLastHandlerFirst(app: { readonly _router: { readonly stack: unknown[] } }): void {
  const { stack } = app._router
  const last = stack.pop()
  // The first two are Express's own: the query parser and the one that sets prototypes.
  stack.splice(2, 0, last)
}
