/**
 * Name look-ups for readers in the same process, which can be told to fail: what the name servers
 * of the hosts do to a relay. Nothing is asked of the system, and there is no name but `localhost`.
 */
import type { ResolveAddresses } from '../identity/address-lookup.ts'
import { ArmedFaults, type DnsFault, type FaultCounters } from './faults.ts'

/** Where the servers of a network that listen on any address are found. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

export class SimResolver implements Disposable {
  readonly #faults: ArmedFaults<DnsFault>
  readonly #address: string
  /** Look-ups that are never answered, until nobody serves any more. */
  readonly #hanging = new Set<(error: Error) => void>()
  #lookups = 0
  /** To be given to readers: see `resolveAddresses` of the relay, of SafeFetch and others. */
  readonly resolve: ResolveAddresses

  /** @param address That the servers of the network listen on. */
  constructor(address: string, counters: FaultCounters) {
    this.#faults = new ArmedFaults(counters)
    this.#address = LOOPBACK[address] ?? address
    this.resolve = async (hostname) => {
      this.#lookups++
      const fault = this.#faults.take()
      if (fault === 'dns-hang') return this.#hang()
      if (fault === 'dns-try-again') throw lookupError('EAI_AGAIN', hostname)
      if (fault === 'dns-not-found' || hostname !== 'localhost') {
        throw lookupError('ENOTFOUND', hostname)
      }
      return [{ address: this.#address, family: this.#address.includes(':') ? 6 : 4 }]
    }
  }

  /** Look-ups so far. */
  get lookups(): number {
    return this.#lookups
  }

  /** The next look-up fails by this fault. */
  inject(kind: DnsFault): void {
    this.#faults.arm(kind)
  }

  [Symbol.dispose](): void {
    for (const reject of this.#hanging) reject(lookupError('ECANCELLED', 'localhost'))
    this.#hanging.clear()
  }

  #hang(): Promise<never> {
    const { promise, reject } = Promise.withResolvers<never>()
    this.#hanging.add(reject)
    return promise
  }
}

/** An error as node:dns rejects with. */
function lookupError(code: string, hostname: string): Error {
  return Object.assign(new Error(`getaddrinfo ${code} ${hostname}`), {
    code,
    syscall: 'getaddrinfo',
    hostname,
  })
}
