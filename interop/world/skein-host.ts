/**
 * Skein's repository host on loopback, as a third PDS of the network. It is a library: writes go
 * through calls, and only `com.atproto.sync` is served. Keys and the DIDs' operations are made with
 * others' code, and the records that it should hold are kept here, with CIDs by the reference.
 */

import type { Keypair } from '@atproto/crypto'
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto'
import { cidForLex } from '@atproto/lex-cbor'
import type { LexMap } from '@atproto/lex-data'
import { decodeCid } from '@atproto/lex-data'
import { verifyRepoCar } from '@atproto/repo'
import { createServiceJwt } from '@atproto/xrpc-server'
import { Client as PlcClient } from '@did-plc/lib'

import { PrivateKey } from '../../src/crypto/private-key.ts'
import { parseDidKey } from '../../src/crypto/public-key.ts'
import { loadVerifier } from '../../src/crypto/verifier.ts'
import { detachedRelayMetrics } from '../../src/ops/relay-metrics.ts'
import type { HostedHead } from '../../src/repo-host/host-view.ts'
import type { RepoWrite } from '../../src/repo-host/record-writes.ts'
import type { RunningHost } from '../../src/server/start-host.ts'
import { startHost } from '../../src/server/start-host.ts'
import type { HostedAccountStatus } from '../../src/store/repo-store.ts'
import { canonicalText } from '../clients/canonical.ts'
import {
  accountThing,
  IDENTITY,
  inCommit,
  operationThing,
  syncThing,
  Told,
} from '../compare/told.ts'
import { freePort } from '../net/ports.ts'
import type { Did, Write } from '../scenario/scene.ts'
import type { Head, Pds } from './pds.ts'

export type Curve = 'k256' | 'p256'

/** What is known of an account besides what the host says. */
interface Hosted {
  key: Secp256k1Keypair | P256Keypair
  /** CIDs by path. */
  records: Map<string, string>
}

export class SkeinHost implements Pds {
  readonly name = 'S'
  readonly forgets = 'inactive'
  readonly origin: string
  readonly host: string
  /** What it was asked to do. */
  readonly told: Told = new Told()
  /** Exports that steps have kept, to be compared with later ones. */
  readonly earlyExports: Map<string, Uint8Array> = new Map()
  readonly plc: PlcClient
  readonly upgradeCount: () => number
  readonly #running: RunningHost
  readonly #rotationKey: Keypair
  readonly #accounts = new Map<string, Hosted>()

  private constructor(
    running: RunningHost,
    parts: {
      readonly plcUrl: string
      readonly host: string
      readonly rotationKey: Keypair
      readonly upgradeCount: () => number
    },
  ) {
    this.#running = running
    this.host = parts.host
    this.origin = `http://${parts.host}`
    this.plc = new PlcClient(parts.plcUrl)
    this.upgradeCount = parts.upgradeCount
    this.#rotationKey = parts.rotationKey
  }

  /** Starts a host on a free port of 127.0.0.1. `rotationKey` signs PLC operations. */
  static async start(plcUrl: string, directory: string, rotationKey: Keypair): Promise<SkeinHost> {
    const port = await freePort()
    const host = `localhost:${port}`
    let upgrades = 0
    const metrics = detachedRelayMetrics()
    const { httpRequests } = metrics
    const running = await startHost({
      directory,
      hostname: host,
      bind: { host: '127.0.0.1', port },
      metrics: {
        ...metrics,
        httpRequests: {
          ...httpRequests,
          add(amount, labels) {
            if (labels.status === '101') upgrades += amount
          },
        },
      },
    })
    const upgradeCount = (): number => upgrades
    return new SkeinHost(running, { plcUrl, host, rotationKey, upgradeCount })
  }

  close(): Promise<void> {
    return this.#running.stop()
  }

  lastSeq(): Promise<number> {
    return Promise.resolve(this.#running.host.log.publishedSeq)
  }

  head(did: string): Promise<Head> {
    const head = this.#running.host.latestCommit(did)
    if (head === null) throw new Error(`the host has no commit of ${did}`)
    return Promise.resolve(headOf(head))
  }

  /** CIDs by path of the records that the account should have. */
  records(did: string): ReadonlyMap<string, string> {
    return this.#account(did).records
  }

  /** A DID and an active account. */
  async createAccount(handle: string, curve: Curve): Promise<Did> {
    const key = await newKey(curve)
    const did = await this.plc.createDid({
      signingKey: key.did(),
      handle,
      pds: this.origin,
      rotationKeys: [this.#rotationKey.did()],
      signer: this.#rotationKey,
    })
    const created = await this.#running.host.createAccount({
      did,
      key: await hostKey(key),
      handle,
    })
    this.#accounts.set(did, { key, records: new Map() })
    this.#tellActive(did, good(created))
    return did as Did
  }

  /** An account for a DID that lives elsewhere, not active until it has moved here. */
  async createIncoming(did: string, handle: string, curve: Curve): Promise<void> {
    const key = await newKey(curve)
    const { host } = this.#running
    good(await host.createAccount({ did, key: await hostKey(key), handle, status: 'deactivated' }))
    this.#accounts.set(did, { key, records: new Map() })
  }

  /** Changes the DID document: this is the host now, and the key that of the account here. */
  async pointDidHere(did: string): Promise<void> {
    const atproto = this.#account(did).key.did()
    const type = 'AtprotoPersonalDataServer'
    await this.plc.updateData(did, this.#rotationKey, (last) => ({
      ...last,
      verificationMethods: { atproto },
      services: { atproto_pds: { type, endpoint: this.origin } },
    }))
  }

  async write(did: string, writes: readonly Write[]): Promise<void> {
    const { records } = this.#account(did)
    const things: string[] = []
    const after = new Map(records)
    for (const write of writes) {
      const { action, path } = write
      if (action === 'delete') {
        after.delete(path)
        things.push(operationThing(action, path, null))
        continue
      }
      const cid = (await cidForLex(write.value as LexMap)).toString()
      if (records.get(path) === cid) continue
      after.set(path, cid)
      things.push(operationThing(action, path, { cid, text: canonicalText(write.value) }))
    }
    const { commit } = good(await this.#running.host.applyWrites(did, writes.map(toRepoWrite)))
    if ((commit === null) !== (things.length === 0)) throw new Error('a commit without a change')
    if (commit === null) return
    const head = { cid: decodeCid(commit.cid).toString(), rev: commit.rev }
    this.#account(did).records = after
    this.told.add(
      did,
      things.map((thing) => inCommit(thing, head)),
    )
  }

  async setStatus(did: string, status: HostedAccountStatus): Promise<void> {
    const { host } = this.#running
    good(await host.setStatus(did, status))
    if (status === 'active') this.#tellActive(did, host.latestCommit(did))
    else this.told.add(did, [accountThing(status)])
  }

  /** Sets the handle, in the directory as well. */
  async updateHandle(did: string, handle: string): Promise<void> {
    await this.plc.updateHandle(did, this.#rotationKey, handle)
    good(await this.#running.host.updateHandle(did, handle))
    this.told.add(did, [IDENTITY])
  }

  /** Gives the account a new key, in the directory as well. */
  async rotateKey(did: string, curve: Curve): Promise<void> {
    const key = await newKey(curve)
    await this.plc.updateAtprotoKey(did, this.#rotationKey, key.did())
    const head = good(await this.#running.host.rotateKey(did, await hostKey(key)))
    this.#account(did).key = key
    this.told.add(did, [IDENTITY])
    this.#tellHead(did, head)
  }

  /** Imports a CAR whose commit is signed with `didKey`. */
  async importRepo(did: string, car: Uint8Array, didKey: string): Promise<Head> {
    const key = parseDidKey(didKey)
    if (key === null) throw new Error(`${didKey} is no did:key`)
    const { creates } = await verifyRepoCar(car, did, didKey)
    const { host } = this.#running
    const signedBy = { key, verifier: await loadVerifier() }
    const head = good(await host.importRepo(did, piecesOf(car), { signedBy }))
    if (head.records !== creates.length) throw new Error(`${head.records} records were imported`)
    this.#account(did).records = new Map(
      creates.map(({ collection, rkey, cid }) => [`${collection}/${rkey}`, cid.toString()]),
    )
    if (host.status(did)?.active === true) this.#tellHead(did, head)
    return headOf(head)
  }

  /** A token by which the account calls another service. */
  serviceAuth(did: string, aud: string, lxm: string): Promise<string> {
    return createServiceJwt({ iss: did, aud, lxm, keypair: this.#account(did).key })
  }

  #tellActive(did: string, head: HostedHead | null): void {
    this.told.add(did, [IDENTITY])
    this.told.add(did, [accountThing('active')])
    this.#tellHead(did, head)
  }

  #tellHead(did: string, head: HostedHead | null): void {
    if (head === null) throw new Error(`the host has no commit of ${did}`)
    this.told.add(did, [syncThing(headOf(head))])
  }

  #account(did: string): Hosted {
    const account = this.#accounts.get(did)
    if (account === undefined) throw new Error(`${did} is not at the host`)
    return account
  }
}

function newKey(curve: Curve): Promise<Secp256k1Keypair | P256Keypair> {
  const options = { exportable: true }
  return curve === 'k256' ? Secp256k1Keypair.create(options) : P256Keypair.create(options)
}

async function hostKey(key: Secp256k1Keypair | P256Keypair): Promise<PrivateKey> {
  return PrivateKey.import(key.jwtAlg === 'ES256K' ? 'k256' : 'p256', await key.export())
}

function headOf(head: HostedHead): Head {
  return { cid: decodeCid(head.commit).toString(), rev: head.rev }
}

function toRepoWrite(write: Write): RepoWrite {
  if (write.action === 'delete') return write
  const { action, path, value: record } = write
  return action === 'create' ? { action, path, record } : { action, path, record }
}

/** Bytes as a request body brings them. */
async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 16_384) {
    yield bytes.subarray(start, start + 16_384)
    await Promise.resolve()
  }
}

/** What a call answered. Throws when it refused. */
function good<T>(
  result:
    | { readonly ok: true; readonly value: T }
    | { readonly ok: false; readonly reason: string; readonly detail: string },
): T {
  if (result.ok) return result.value
  throw new Error(`the host refused: ${result.reason}: ${result.detail}`)
}
