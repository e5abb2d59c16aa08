/** The transport behind the `node` condition. */
import type { Clock } from '../lib/clock.ts'
import { PRODUCT } from '../ops/build-info.ts'
import { CONNECT_TIMEOUT_MS } from './subscriber-machine.ts'
import type { Transport } from './transport.ts'
import { WsTransport } from './ws-transport.ts'

/** See runtime-transport.ts. */
export function openTransport(clock: Clock): Transport {
  return new WsTransport({
    clock,
    userAgent: PRODUCT,
    handshakeTimeoutMs: CONNECT_TIMEOUT_MS,
    connectOptions: () => ({}),
  })
}
