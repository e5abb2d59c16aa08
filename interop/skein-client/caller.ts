/** Skein's client as the checks use it: as its users do, but for a network that is private. */

import { isCallError } from '../../src/client/calls/call-error.ts'
import type { SyncClientOptions } from '../../src/client/calls/client-options.ts'
import { SyncClient } from '../../src/client/calls/sync-client.ts'
import { createIdentities } from '../../src/client/calls/trust.ts'
import type { IdentityResolver } from '../../src/identity/identity-resolver.ts'

/** The identities of a run: its own directory instead of the public one. The caller closes it. */
export function openIdentities(plcUrl: string): IdentityResolver {
  return createIdentities({ plcDirectories: [plcUrl], allowPrivateNetwork: true })
}

/** A client of the service at `origin`. It does not try again: what fails shall be seen. */
export function clientOf(origin: string, options: SyncClientOptions = {}): SyncClient {
  return new SyncClient(origin, { retry: 'never', allowPrivateNetwork: true, ...options })
}

/**
 * The code of the CallError that `call` ends with, and the name that the service sent when that is
 * another: `RepoNotFound`, `InvalidRequest`, `OtherError (Odd)`; `no error` when it succeeds.
 */
export async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call()
    return 'no error'
  } catch (error) {
    if (!isCallError(error)) return `not a CallError: ${String(error)}`
    const { code, error: sent } = error
    return sent === null || sent === code ? code : `${code} (${sent})`
  }
}

/** All entries of a listing. */
export async function listOf<T>(listing: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of listing) all.push(item)
  return all
}
