/** The relay's application without a socket, for tests. */

import assert from 'node:assert/strict'

import type { Clock } from '../../lib/clock.ts'
import { silentLogger } from '../../ops/logger.ts'
import { detachedRelayMetrics } from '../../ops/relay-metrics.ts'
import { proxyNetworks } from '../client-address.ts'
import { createRelayApp, type RelayAppOptions } from '../relay-app.ts'
import { RequestLimits } from '../request-limits.ts'
import { type FakeView, fakeView } from './fake-view.ts'

/** An application over a fake view, with a clock that stands still. */
export interface Setup {
  readonly view: FakeView
  readonly clock: Clock & { ms: number }
  readonly get: (path: string, init?: RequestInit, remoteAddress?: string) => Promise<Response>
}

/** Requests come from 192.0.2.1 unless told otherwise; 10.0.0.0/8 are proxies. */
export function setup(overrides: Partial<RelayAppOptions> = {}, requestsPerMinute = 10_000): Setup {
  const view = fakeView()
  const clock = {
    ms: 1_000_000,
    nowMs: () => clock.ms,
    monotonicMs: () => clock.ms,
    after: () => ({ cancel: () => {} }),
  }
  const metrics = detachedRelayMetrics()
  const limits = new RequestLimits({ requestsPerMinute, clock, metrics })
  const proxies = proxyNetworks(['10.0.0.0/8'])
  const logger = silentLogger
  const app = createRelayApp({ view, limits, proxies, metrics, clock, logger, ...overrides })
  return {
    view,
    clock,
    async get(path, init, remoteAddress = '192.0.2.1') {
      return app.request(path, init, { incoming: { socket: { remoteAddress } } })
    },
  }
}

/** The path of a call of com.atproto.sync. */
export function xrpc(
  name: string,
  params: Record<string, string> | [string, string][] = {},
): string {
  const query = new URLSearchParams(params).toString()
  return `/xrpc/com.atproto.sync.${name}${query === '' ? '' : `?${query}`}`
}

/** A JSON request. */
export function post(body: unknown, type = 'application/json'): RequestInit {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { method: 'POST', body: text, headers: { 'content-type': type } }
}

/** The fields of a JSON answer. */
export async function jsonOf(answer: Response): Promise<Readonly<Record<string, unknown>>> {
  const body: unknown = await answer.json()
  assert(typeof body === 'object' && body !== null)
  return Object.fromEntries(Object.entries(body))
}

/** Status and error name of an answer that must be an XRPC error. */
export async function errorOf(answer: Response): Promise<[number, unknown]> {
  const body = await jsonOf(answer)
  assert.equal(typeof body['message'], 'string')
  assert.deepEqual(Object.keys(body), ['error', 'message'])
  return [answer.status, body['error']]
}
