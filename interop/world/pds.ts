/**
 * What all PDSes of a run have in common, and the real one (@atproto/pds) on loopback, its SQLite
 * files in a directory of the run. It runs inside the harness's process, so that the harness can
 * ask its sequencer where it stands.
 */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { PDS } from '@atproto/pds'

import { freePort } from '../net/ports.ts'
import { query } from '../net/xrpc.ts'
import { listenOnLoopback } from './plc.ts'

/** A and B are real PDSes; S is Skein's repository host. */
export type PdsName = 'A' | 'B' | 'S'

export const PDS_NAMES: readonly PdsName[] = ['A', 'B', 'S']

const ADMIN_PASSWORD = 'interop-admin'

/** `Authorization` of the administrator of every PDS of the harness. */
export const adminAuthorization: string = `Basic ${btoa(`admin:${ADMIN_PASSWORD}`)}`

/** The newest commit of a repository. */
export interface Head {
  readonly cid: string
  readonly rev: string
}

export interface Pds {
  readonly name: PdsName
  readonly origin: string
  /** As a relay names it: `localhost:PORT`. */
  readonly host: string
  /**
   * What its backlog leaves out: all events but the last of deleted accounts, or those and the
   * contents of all accounts that are not active.
   */
  readonly forgets: 'deleted' | 'inactive'
  /** The seq of the newest event that the PDS has stored; 0 when there is none. */
  lastSeq(): Promise<number>
  /** How many WebSocket connections have been asked for since it started. */
  upgradeCount(): Promise<number>
  /** The newest commit of an account that is not deleted, whatever its status. */
  head(did: string): Promise<Head>
  close(): Promise<void>
}

export interface RealPds extends Pds {
  readonly serviceDid: string
  readonly ctx: PDS['ctx']
}

export interface PdsSettings {
  readonly name: 'A' | 'B'
  readonly plcUrl: string
  readonly directory: string
  /** Private key that signs PLC operations, hexadecimal. The PDSes of a run share it. */
  readonly rotationKeyHex: string
}

/** Starts a PDS on a free port of 127.0.0.1. It calls nothing but the given directory. */
export async function startPds(settings: PdsSettings): Promise<RealPds> {
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
  const origin = `http://localhost:${port}`
  return {
    name: settings.name,
    origin,
    host: `localhost:${port}`,
    forgets: 'deleted',
    serviceDid,
    ctx: server.ctx,
    lastSeq: async () => (await server.ctx.sequencer.curr()) ?? 0,
    upgradeCount: () => Promise.resolve(upgrades),
    async head(did) {
      const head = await query(origin, 'com.atproto.sync.getLatestCommit', {
        params: { did },
        authorization: adminAuthorization,
      })
      return { cid: String(head['cid']), rev: String(head['rev']) }
    },
    close: () => server.destroy(),
  }
}
