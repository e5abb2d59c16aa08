/** Whose address a request counts for, behind proxies or not. */

import ipaddr from 'ipaddr.js'

import { messageOf, SkeinError } from '../lib/errors.ts'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Networks of proxies whose `X-Forwarded-For` is believed. */
export type ProxyNetworks = readonly (readonly [Address, number])[]

/**
 * Reads networks such as `10.0.0.0/8`.
 *
 * @throws SkeinError OPTION_INVALID.
 */
export function proxyNetworks(networks: readonly string[]): ProxyNetworks {
  return networks.map((network) => {
    try {
      return ipaddr.parseCIDR(network)
    } catch (cause) {
      const reason = messageOf(cause)
      throw new SkeinError(
        'OPTION_INVALID',
        'trust proxies: no network',
        { network, reason },
        cause,
      )
    }
  })
}

/**
 * The key by which limits are counted: the IPv4 address, or the /64 of an IPv6 address, since one
 * subscriber line has at least that many. `X-Forwarded-For` is read from its right end, and only
 * while the hop that wrote it is a known proxy: what a client writes itself stands further left.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | null | undefined,
  proxies: ProxyNetworks,
): string {
  let current = parse(peer ?? '')
  if (current === null) return 'unknown'
  const hops = (forwardedFor ?? '').split(',').map((hop) => hop.trim())
  for (let hop = hops.pop(); hop !== undefined && isProxy(current, proxies); hop = hops.pop()) {
    const next = parse(hop)
    if (next === null) break
    current = next
  }
  return keyOf(current)
}

function parse(text: string): Address | null {
  const bare = text.replace(/%.*$/, '')
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return null
  // An IPv4 address mapped into IPv6 becomes what it is.
  return ipaddr.process(bare)
}

function isProxy(address: Address, proxies: ProxyNetworks): boolean {
  return proxies.some(
    ([network, bits]) => network.kind() === address.kind() && address.match(network, bits),
  )
}

function keyOf(address: Address): string {
  if (address instanceof ipaddr.IPv4) return address.toString()
  return `${address.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
