/**
 * The WebSocket client of the runtime. `#websocket` (src/package.json) names one of
 * runtime-transport.node.ts and runtime-transport.web.ts by package condition.
 */
import { openTransport } from '#websocket'

import type { Clock } from '../lib/clock.ts'
import type { Transport } from './transport.ts'

/**
 * `ws` under Node (and Deno and Bun, which take its condition), else the built-in `WebSocket`; see
 * WsTransport and WebTransport for what each can do. Sets no policy on addresses: it connects where
 * it is told to.
 */
export function createTransport(clock: Clock): Transport {
  return openTransport(clock)
}
