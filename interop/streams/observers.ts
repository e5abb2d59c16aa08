/**
 * Everybody who watches a run: at each PDS and at the relay, one raw recorder and each of the
 * foreign clients. What a client gets from a PDS is the measure of what it must get by the relay.
 */

import { startAtcute } from '../clients/atcute.ts'
import { startAtprotoSync } from '../clients/atproto-sync.ts'
import type { ClientName, ClientStarter, ForeignClient } from '../clients/client.ts'
import { startSkyware } from '../clients/skyware.ts'
import { Recorder } from './recorder.ts'

const STARTERS: Readonly<Record<ClientName, ClientStarter>> = {
  '@atproto/sync': startAtprotoSync,
  skyware: startSkyware,
  atcute: startAtcute,
}

/** How many WebSocket connections a watcher opens. */
export const CONNECTIONS_PER_WATCHER = 4

export class Watcher {
  readonly raw: Recorder
  readonly clients: Readonly<Record<ClientName, ForeignClient>>

  /** Connects everybody to the service at `origin`: the recorder from cursor 0, clients live. */
  constructor(origin: string, plcUrl: string) {
    this.raw = new Recorder(origin, { cursor: 0, reconnect: 'always' })
    const target = { service: origin.replace('http:', 'ws:'), plcUrl }
    this.clients = {
      '@atproto/sync': STARTERS['@atproto/sync'](target),
      skyware: STARTERS.skyware(target),
      atcute: STARTERS.atcute(target),
    }
  }

  /** The seq up to which everybody is done. */
  get position(): number {
    const positions = Object.values(this.clients).map((client) => client.position)
    return Math.min(this.raw.lastSeq, ...positions)
  }

  /** Who is not done with `seq`, and how far they are: for the report of a step that hangs. */
  laggards(seq: number): string[] {
    const all: [string, number][] = [
      ['raw', this.raw.lastSeq],
      ...Object.values(this.clients).map((client): [string, number] => [
        client.name,
        client.position,
      ]),
    ]
    return all.filter(([, at]) => at < seq).map(([name, at]) => `${name} at ${at} of ${seq}`)
  }

  async stop(): Promise<void> {
    const clients = Object.values(this.clients)
    await Promise.all([this.raw.stop(), ...clients.map((client) => client.stop())])
  }
}
