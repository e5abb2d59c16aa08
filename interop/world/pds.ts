/**
 * A real PDS (@atproto/pds) on loopback, its SQLite files in a directory of the run. It runs inside
 * the harness's process, so that the harness can ask its sequencer where it stands.
 */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { PDS } from '@atproto/pds'

import { freePort } from '../net/ports.ts'
import { listenOnLoopback } from './plc.ts'

export type PdsName = 'A' | 'B'

export const PDS_NAMES: readonly PdsName[] = ['A', 'B']

const ADMIN_PASSWORD = 'interop-admin'

/** `Authorization` of the administrator of every PDS of the harness. */
export const adminAuthorization: string = `Basic ${btoa(`admin:${ADMIN_PASSWORD}`)}`

export interface Pds {
  readonly name: PdsName
  readonly origin: string
  /** As a relay names it: `localhost:PORT`. */
  readonly host: string
  readonly serviceDid: string
  readonly ctx: PDS['ctx']
  /** The seq of the newest event that the PDS has stored; 0 when there is none. */
  lastSeq(): Promise<number>
  /** How many WebSocket connections have been asked for since it started. */
  upgradeCount(): number
  close(): Promise<void>
}

export interface PdsSettings {
  readonly name: PdsName
  readonly plcUrl: string
  readonly directory: string
  /** Private key that signs PLC operations, hexadecimal. The PDSes of a run share it. */
  readonly rotationKeyHex: string
}

/** Starts a PDS on a free port of 127.0.0.1. It calls nothing but the given directory. */
export async function startPds(settings: PdsSettings): Promise<Pds> {
  const port = await freePort()
  const serviceDid = `did:web:pds-${settings.name.toLowerCase()}.test`
  const directory = join(settings.directory, `pds-${settings.name}`)
  await mkdir(join(directory, 'blobs'), { recursive: true })
  const server = await PDS.fromEnv({
    // Any hostname but localhost would make its public URL an https one.
    hostname: 'localhost',
    port,
    serviceDid,
    // Allows an http URL, and checks every message against its lexicon before it is sent.
    devMode: true,
    dataDirectory: directory,
    blobstoreDiskLocation: join(directory, 'blobs'),
    didPlcUrl: settings.plcUrl,
    plcRotationKeyK256PrivateKeyHex: settings.rotationKeyHex,
    jwtSecret: 'interop-jwt-secret',
    adminPassword: ADMIN_PASSWORD,
    inviteRequired: false,
    serviceHandleDomains: ['.test'],
    disableSsrfProtection: true,
    crawlers: [],
    rateLimitsEnabled: false,
  })
  listenOnLoopback(server.app)
  const http = await server.start()
  let upgrades = 0
  http.on('upgrade', () => {
    upgrades += 1
  })
  return {
    name: settings.name,
    origin: `http://localhost:${port}`,
    host: `localhost:${port}`,
    serviceDid,
    ctx: server.ctx,
    lastSeq: async () => (await server.ctx.sequencer.curr()) ?? 0,
    upgradeCount: () => upgrades,
    close: () => server.destroy(),
  }
}
