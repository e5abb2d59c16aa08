/** Skein's own consumers beside the foreign clients: one at each PDS, one at the relay. */

import { join } from 'node:path'

import type { World } from '../world/world.ts'
import type { PdsName } from '../world/pds.ts'
import { PDS_NAMES } from '../world/pds.ts'
import type { Consumption } from './consumed.ts'
import { ConsumerProcess } from './consumer-process.ts'
import { HostConsumer } from './host-consumer.ts'

export class Consumers {
  readonly direct: Readonly<Record<PdsName, HostConsumer>>
  /** It can be killed. */
  readonly relayed: ConsumerProcess

  /** Starts all, from the oldest event on; the files of the process go below `directory`. */
  constructor(world: World, relay: string, directory: string) {
    const { plc, pdses } = world
    this.direct = {
      A: new HostConsumer(pdses.A.origin, plc.url, 'none'),
      // Accounts move there whose records came from elsewhere; the streams do not have them.
      B: new HostConsumer(pdses.B.origin, plc.url, 'seen'),
      S: new HostConsumer(pdses.S.origin, plc.url, 'seen'),
    }
    this.relayed = new ConsumerProcess(relay, plc.url, join(directory, 'consumer'))
    this.relayed.start()
  }

  /** Who is at work and not done with these seqs, and how far they are. */
  laggards(upTo: Readonly<Record<PdsName, number>>, relayUpTo: number): string[] {
    const all: [string, Consumption, number][] = [
      ...PDS_NAMES.map((name): [string, Consumption, number] => [
        `the consumer of ${name}`,
        this.direct[name],
        upTo[name],
      ]),
      ['the consumer of the relay', this.relayed, relayUpTo],
    ]
    return all
      .filter(([, { position, failure }, seq]) => failure === null && position < seq)
      .map(([name, { position }, seq]) => `${name} at ${position} of ${seq}`)
  }

  async stop(): Promise<void> {
    const direct = PDS_NAMES.map((name) => this.direct[name].stop())
    await Promise.all([this.relayed.stop(), ...direct])
  }
}
