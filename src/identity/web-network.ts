/** Services and DIDs over the web's `fetch`: the composition for browsers and workers. */

import { systemClock } from '../lib/clock.ts'
import { DidWebResolver } from './did-web-resolver.ts'
import type { HttpClient } from './http-client.ts'
import { IdentityResolver } from './identity-resolver.ts'
import type { IdentitiesSetup, Network, NetworkSetup } from './network.ts'
import { PLC_DIRECTORY, PlcResolver } from './plc-resolver.ts'
import { WebHttp } from './web-http.ts'

/** What brings requests out; default the runtime's own. */
export interface WebSetup {
  readonly fetch?: typeof fetch
}

export function openWebNetwork(setup: NetworkSetup & WebSetup = {}): Network {
  const { allowPrivateNetwork = false, ...web } = setup
  return {
    named: new WebHttp({
      ...web,
      allowPrivateNetwork: true,
      allowPrivateRedirects: allowPrivateNetwork,
    }),
    strangers: new WebHttp({ ...web, allowPrivateNetwork }),
  }
}

/**
 * A resolver for runtimes without Node. A name that leads to a private address is not noticed: a
 * browser has rules of its own for that, and elsewhere the network has to keep such requests in.
 *
 * @throws SkeinError OPTION_INVALID when a directory's URL is not one.
 */
export function createWebIdentityResolver(
  setup: IdentitiesSetup & WebSetup = {},
): IdentityResolver {
  const { plcDirectories = [PLC_DIRECTORY], allowPrivateNetwork = false } = setup
  const { clock = systemClock, ...rest } = setup
  const web = rest.fetch === undefined ? { clock } : { clock, fetch: rest.fetch }
  const directory: HttpClient = new WebHttp({ ...web, allowPrivateNetwork: true })
  return new IdentityResolver({
    plc: new PlcResolver({ directories: plcDirectories, http: directory, clock }),
    web: new DidWebResolver({
      http: new WebHttp({ ...web, allowPrivateNetwork }),
      clock,
      allowPrivateNetwork,
    }),
    clock,
  })
}
