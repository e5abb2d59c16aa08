/** The public server of a fake host on loopback, for tests. */

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

import { silentLogger } from '../../ops/logger.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { detachedRelayMetrics } from '../../ops/relay-metrics.ts'
import { Broadcaster } from '../../stream/broadcaster.ts'
import type { BodyEnd } from '../body-stream.ts'
import type { HostHttpParts } from '../host-http.ts'
import { startHostHttp } from '../host-http.ts'
import type { PublicHttpOptions } from '../public-http.ts'
import { FakeHost } from './fake-host-view.ts'

/** How a body that was begun has ended. */
export interface EndedBody {
  readonly nsid: string
  readonly end: BodyEnd
  readonly bytes: number
}

export interface HostServer {
  readonly host: FakeHost
  readonly address: string
  readonly port: number
  /** Bodies that have ended, in order. */
  readonly ended: readonly EndedBody[]
  /** Asks for a path and its query. */
  readonly get: (path: string, init?: RequestInit) => Promise<Response>
  /** Stops without waiting for anybody. */
  readonly stop: () => Promise<void>
}

export interface HostServerSetup {
  readonly clock?: Clock
  readonly options?: Partial<PublicHttpOptions>
  readonly parts?: Partial<HostHttpParts>
}

/** What the fake host says of itself. */
export const DESCRIPTION = {
  did: 'did:web:pds.example.com',
  availableUserDomains: ['.pds.example.com'],
  inviteCodeRequired: true,
  blobUploadLimit: 5_242_880,
  links: { privacyPolicy: 'https://pds.example.com/privacy' },
  contact: { email: 'admin@pds.example.com' },
} as const

/** Starts the server; it stops with the test. */
export async function startHostServer(
  t: TestContext,
  { clock = systemClock, options, parts }: HostServerSetup = {},
): Promise<HostServer> {
  const host = new FakeHost()
  const ended: EndedBody[] = []
  const broadcaster = new Broadcaster({ source: host.log, clock })
  const http = await startHostHttp(
    {
      bind: { host: '127.0.0.1', port: 0 },
      trustedProxies: [],
      requestsPerMinute: 100_000,
      subscribersMax: 10,
      ...options,
    },
    {
      view: host,
      description: DESCRIPTION,
      accept: (request, socket, head) => broadcaster.accept(request, socket, head),
      metrics: detachedRelayMetrics(),
      clock,
      logger: silentLogger,
      onBodyEnd: (nsid, end, bytes) => ended.push({ nsid, end, bytes }),
      ...parts,
    },
  )
  const stop = async (): Promise<void> => {
    await broadcaster.stop()
    await http.stop(0)
  }
  t.after(stop)
  const { address } = http
  return {
    host,
    address,
    port: Number(address.split(':')[1]),
    ended,
    get: (path, init) => fetch(`http://${address}${path}`, init),
    stop,
  }
}

/** A path of com.atproto.sync. A list gives a parameter several times. */
export function syncPath(
  name: string,
  params: Readonly<Record<string, string | number | readonly string[]>> = {},
): string {
  const query = new URLSearchParams(
    Object.entries(params).flatMap(([key, value]): [string, string][] =>
      Array.isArray(value) ? value.map((one) => [key, String(one)]) : [[key, String(value)]],
    ),
  )
  return `/xrpc/com.atproto.sync.${name}?${query.toString()}`
}

/** Status and name of an answer that must be an XRPC error. */
export async function errorOf(answer: Response): Promise<readonly [number, unknown]> {
  const body = (await answer.json()) as Readonly<Record<string, unknown>>
  assert.equal(typeof body['message'], 'string')
  assert.deepEqual(Object.keys(body), ['error', 'message'])
  return [answer.status, body['error']]
}

/** The bytes of an answer that must have succeeded. */
export async function bytesOf(answer: Response): Promise<Uint8Array> {
  if (!answer.ok) assert.fail(`${answer.status} ${await answer.text()}`)
  return new Uint8Array(await answer.arrayBuffer())
}

/** A connection that has sent a GET and reads nothing, until told. */
export function silentReader(t: TestContext, port: number, path: string): Socket {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
  return socket
}
