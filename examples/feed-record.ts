import { createIdentities, SyncClient, type SyncClientOptions } from '../src/client/index.ts'

/** Finds an account's key and host. One for the whole program: it remembers. */
const identities = createIdentities()

/** A record as its author signed it; null when it is proven that there is none. */
export async function readRecord(
  record: { readonly did: string; readonly collection: string; readonly rkey: string },
  options: SyncClientOptions = {},
): Promise<unknown> {
  const resolver = options.identities ?? identities
  const found = await resolver.resolve(record.did)
  if (!found.ok) throw new Error(found.detail)
  // The account itself names its host: it must not lead into our own network.
  const host = found.identity.pdsEndpoint ?? ''
  const client = new SyncClient(host, { ...options, identities: resolver, namedBy: 'stranger' })
  const proven = await client.verified.getRecord(record)
  if (proven.record === null) return null
  if (!proven.record.valid) throw new Error(`not a record: ${proven.record.reason}`)
  return proven.record.value
}
