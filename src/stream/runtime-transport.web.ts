/** The transport behind the default condition. Nothing reachable from here imports from `node:`. */
import type { Clock } from '../lib/clock.ts'
import type { Transport } from './transport.ts'
import { WebTransport } from './web-transport.ts'

/** See runtime-transport.ts. */
export function openTransport(clock: Clock): Transport {
  return new WebTransport({ clock })
}
