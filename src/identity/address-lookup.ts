/**
 * Names to addresses. Public names are asked of the DNS directly, without getaddrinfo: that runs on
 * the few threads that also write files, and a stranger whose name servers never answer could hold
 * all of them and with them the event log.
 */

import { promises as dns } from 'node:dns'
import type { LookupAddress } from 'node:dns'

/** Every address of a name, in the order in which to try them. Rejects when there is none. */
export type ResolveAddresses = (hostname: string) => Promise<readonly LookupAddress[]>

export interface DnsLookupOptions {
  /** `address` or `address:port`; the system's own unless given. */
  readonly servers?: readonly string[]
  /** The first wait for a server, ms; it grows with each try. */
  readonly timeoutMs?: number
  /** How often all servers are tried. */
  readonly tries?: number
}

/** With the tries below about 6 s in the worst case; connecting has a limit of its own. */
const SERVER_TIMEOUT_MS = 2_000
const SERVER_TRIES = 2

/** Looks up A and AAAA records; /etc/hosts and search domains do not count. IPv4 comes first. */
export function createDnsLookup(options: DnsLookupOptions = {}): ResolveAddresses {
  const { servers, timeoutMs: timeout = SERVER_TIMEOUT_MS, tries = SERVER_TRIES } = options
  const resolver = new dns.Resolver({ timeout, tries })
  if (servers !== undefined) resolver.setServers(servers)
  return async (hostname) => {
    const [v4, v6] = await Promise.allSettled([
      resolver.resolve4(hostname),
      resolver.resolve6(hostname),
    ])
    if (v4.status === 'rejected' && v6.status === 'rejected') throw v4.reason
    return [...addresses(v4, 4), ...addresses(v6, 6)]
  }
}

/** The system's look-up: /etc/hosts, `localhost`, container names. Only for trusted networks. */
export const resolvePrivateNames: ResolveAddresses = (hostname) =>
  dns.lookup(hostname, { all: true })

function addresses(answer: PromiseSettledResult<string[]>, family: number): LookupAddress[] {
  if (answer.status === 'rejected') return []
  return answer.value.map((address) => ({ address, family }))
}
