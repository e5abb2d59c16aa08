/** The network of one run: a PLC directory, two real PDSes and Skein's repository host. */

import { join } from 'node:path'

import { Secp256k1Keypair } from '@atproto/crypto'

import { withTimeout } from '../net/wait.ts'
import type { RealPds } from './pds.ts'
import { startPds } from './pds.ts'
import type { DocumentFormat, Plc } from './plc.ts'
import { startPlc } from './plc.ts'
import { SkeinHost } from './skein-host.ts'

/** How long one server may take to stop, ms; its own grace period is 5 seconds. */
const CLOSE_TIMEOUT_MS = 10_000

export interface World {
  readonly format: DocumentFormat
  readonly plc: Plc
  readonly pdses: Readonly<{ A: RealPds; B: RealPds; S: SkeinHost }>
  close(): Promise<void>
}

/** Boots the network; its files go below `directory`. */
export async function startWorld(format: DocumentFormat, directory: string): Promise<World> {
  const rotationKey = await Secp256k1Keypair.create({ exportable: true })
  const rotationKeyHex = Buffer.from(await rotationKey.export()).toString('hex')
  const plc = await startPlc(format)
  const a = await startPds({ name: 'A', plcUrl: plc.url, directory, rotationKeyHex })
  const b = await startPds({ name: 'B', plcUrl: plc.url, directory, rotationKeyHex })
  const s = await SkeinHost.start(plc.url, join(directory, 'skein'), rotationKey)
  return {
    format,
    plc,
    pdses: { A: a, B: b, S: s },
    async close() {
      const closing = [a.close(), b.close(), s.close(), plc.close()]
      await withTimeout('closing the servers', Promise.allSettled(closing), CLOSE_TIMEOUT_MS)
    },
  }
}
