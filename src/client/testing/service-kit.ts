/** A service on loopback that answers as a test says, and clients that ask it. */
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'

import type { PublicKey } from '../../crypto/public-key.ts'
import type { Resolution } from '../../identity/identity.ts'
import { CallError, type CallErrorCode } from '../calls/call-error.ts'
import type { Identities, SyncClientOptions } from '../calls/client-options.ts'
import { Governor } from '../calls/governor.ts'
import { SyncClient } from '../calls/sync-client.ts'

/** Short waits, so that tests of what is silent or slow end soon; nothing asserts how soon. */
export const SHORT_LIMITS = {
  responseTimeoutMs: 300,
  idleTimeoutMs: 300,
  answerTimeoutMs: 1_000,
} as const

/** A client with short waits and a governor of its own that asks once, unless told otherwise. */
export function clientOf(service: string, options: SyncClientOptions = {}): SyncClient {
  const { limits, ...rest } = options
  return new SyncClient(service, {
    retry: 'never',
    governor: new Governor(),
    ...rest,
    limits: { ...SHORT_LIMITS, ...limits },
  })
}

/** The error that a call ends with, as its code; `none` when it ends well. */
export async function codeOf(call: Promise<unknown>): Promise<CallErrorCode | 'none'> {
  return (await errorOf(call))?.code ?? 'none'
}

/** The CallError that a call ends with; null when it ends well. Other errors pass through. */
export async function errorOf(call: Promise<unknown>): Promise<CallError | null> {
  try {
    await call
    return null
  } catch (error) {
    if (error instanceof CallError) return error
    throw error
  }
}

/** Answers bytes on a socket that are not made by an HTTP server. */
export interface RawService extends AsyncDisposable {
  readonly origin: string
}

/** @param answer Is called with each connection when its first bytes have come. */
export async function startRawService(answer: (socket: Socket) => void): Promise<RawService> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Identities that say what they are told, and count the doubts. */
export class FixedIdentities implements Identities {
  #key: PublicKey | null
  #afterRefresh: PublicKey | null
  refreshes = 0

  constructor(key: PublicKey | null, afterRefresh: PublicKey | null = key) {
    this.#key = key
    this.#afterRefresh = afterRefresh
  }

  resolve(did: string): Promise<Resolution> {
    return Promise.resolve(resolutionOf(did, this.#key))
  }

  refresh(did: string): Promise<Resolution> {
    this.refreshes++
    this.#key = this.#afterRefresh
    return this.resolve(did)
  }
}

function resolutionOf(did: string, signingKey: PublicKey | null): Resolution {
  const identity = {
    did,
    signingKey,
    pdsEndpoint: null,
    pdsHostname: null,
    handle: null,
    fetchedAtMs: 0,
  }
  return { ok: true, identity, stale: false }
}
