/**
 * `skein/client` as the pages of docs/client import it while they are tested: the same, but that
 * services of the pages are those of a test.
 */
import type { ConsumerOptions } from '../../src/client/consumer/consumer-types.ts'
import type { SyncClientOptions } from '../../src/client/calls/client-options.ts'
import { SyncClient as RealClient } from '../../src/client/calls/sync-client.ts'
import type { PageWorld } from './client-pages.ts'

export { isCallError } from '../../src/client/calls/call-error.ts'
export { fromJSON, toJSON } from '../../src/client/events/event-json.ts'
export { RecordSchemas } from '../../src/client/events/record-schemas.ts'

/** What the pages' clients are told besides. */
export interface Documented {
  readonly world: PageWorld
  readonly options: Pick<ConsumerOptions, 'identities' | 'allowPrivateNetwork'>
}

let current: Documented | null = null

/** From now on pages see these services. */
export function document(documented: Documented): void {
  current = documented
}

/** The address that a test has for a service of a page. */
export function addressOf(service: string): string {
  const name = service.replace(/^https:\/\//, '')
  const address = current?.world.services.get(name)
  if (address === undefined) throw new Error(`no test has the service ${service}`)
  return address
}

export class SyncClient extends RealClient {
  constructor(service: string, options: SyncClientOptions = {}) {
    super(addressOf(service), { ...current?.options, ...options })
  }
}
