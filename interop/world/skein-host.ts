/**
 * Skein's repository host on loopback, as a third PDS of the network. It is a library: writes go
 * through calls, and only `com.atproto.sync` is served. Keys and the DIDs' operations are made with
 * others' code, and the records that it should hold are kept here, with CIDs by the reference.
 */

import type { Keypair } from '@atproto/crypto'
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto'
import { cidForLex, encode } from '@atproto/lex-cbor'
import type { LexMap, LexValue } from '@atproto/lex-data'
import { cidForRawBytes, decodeCid, isCid } from '@atproto/lex-data'
import type { JsonValue } from '@atproto/lex-json'
import { jsonToLex } from '@atproto/lex-json'
import { verifyRepoCar } from '@atproto/repo'
import { createServiceJwt } from '@atproto/xrpc-server'
import { Client as PlcClient } from '@did-plc/lib'

import { PrivateKey } from '../../src/crypto/private-key.ts'
import { parseDidKey } from '../../src/crypto/public-key.ts'
import { loadVerifier } from '../../src/crypto/verifier.ts'
import { decodeDrisl } from '../../src/data/drisl.ts'
import type { HostedHead } from '../../src/repo-host/host-view.ts'
import type { RepoWrite } from '../../src/repo-host/record-writes.ts'
import type { RunningHost } from '../../src/server/start-host.ts'
import { startHost } from '../../src/server/start-host.ts'
import type { HostedAccountStatus } from '../../src/store/repo-store.ts'
import { canonicalText } from '../clients/canonical.ts'
import type { Occasion } from '../compare/told.ts'
import {
  accountThing,
  IDENTITY,
  inCommit,
  operationThing,
  syncThing,
  Told,
} from '../compare/told.ts'
import { freePort } from '../net/ports.ts'
import type { Json } from '../net/xrpc.ts'
import type { BlobReference, Did, Write } from '../scenario/scene.ts'
import type { Head, Pds } from './pds.ts'

export type Curve = 'k256' | 'p256'

/** What is known of an account besides what the host says. */
interface Hosted {
  key: Secp256k1Keypair | P256Keypair
  /** CIDs by path. */
  records: Map<string, string>
  /** What the next write is the first one after. */
  before: Occasion
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
  readonly #running: RunningHost
  readonly #rotationKey: Keypair
  readonly #accounts = new Map<string, Hosted>()

  private constructor(
    running: RunningHost,
    parts: {
      readonly plcUrl: string
      readonly host: string
      readonly rotationKey: Keypair
    },
  ) {
    this.#running = running
    this.host = parts.host
    this.origin = `http://${parts.host}`
    this.plc = new PlcClient(parts.plcUrl)
    this.#rotationKey = parts.rotationKey
  }

  /** Starts a host on a free port of 127.0.0.1. `rotationKey` signs PLC operations. */
  static async start(plcUrl: string, directory: string, rotationKey: Keypair): Promise<SkeinHost> {
    const port = await freePort()
    const host = `localhost:${port}`
    const running = await startHost({
      directory,
      hostname: host,
      bind: { host: '127.0.0.1', port },
    })
    return new SkeinHost(running, { plcUrl, host, rotationKey })
  }

  close(): Promise<void> {
    return this.#running.stop()
  }

  async upgradeCount(): Promise<number> {
    const { body } = await this.#running.registry.page()
    const [, count = '0'] =
      /^\w*http_requests_total\{[^}]*status="101"[^}]*\} (\d+)$/m.exec(body) ?? []
    return Number(count)
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
    this.#accounts.set(did, { key, records: new Map(), before: 'write' })
    this.#tellActive(did, 'account creation', good(created))
    return did as Did
  }

  /** An account for a DID that lives elsewhere, not active until it has moved here. */
  async createIncoming(did: string, handle: string, curve: Curve): Promise<void> {
    const key = await newKey(curve)
    const { host } = this.#running
    good(await host.createAccount({ did, key: await hostKey(key), handle, status: 'deactivated' }))
    this.#accounts.set(did, { key, records: new Map(), before: 'write' })
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
    const account = this.#account(did)
    const { records, before } = account
    const things: string[] = []
    const after = new Map(records)
    for (const write of writes) {
      const { action, path } = write
      if (action === 'delete') {
        after.delete(path)
        things.push(operationThing(action, path, null))
        continue
      }
      const record = recordOf(write.value)
      const cid = (await cidForLex(record)).toString()
      if (records.get(path) === cid) continue
      after.set(path, cid)
      things.push(operationThing(action, path, { cid, text: canonicalText(record) }))
    }
    const { commit } = good(await this.#running.host.applyWrites(did, writes.map(toRepoWrite)))
    if ((commit === null) !== (things.length === 0)) throw new Error('a commit without a change')
    if (commit === null) return
    const head = { cid: decodeCid(commit.cid).toString(), rev: commit.rev }
    account.records = after
    account.before = 'write'
    const seen = things.map((thing) => inCommit(thing, head))
    this.told.add(did, before, seen)
  }

  async setStatus(did: string, status: HostedAccountStatus): Promise<void> {
    const { host } = this.#running
    good(await host.setStatus(did, status))
    if (status !== 'active') this.told.add(did, 'status', [accountThing(status)])
    else {
      const moved = this.#account(did).before === 'import'
      this.#tellActive(did, moved ? 'import' : 'reactivation', host.latestCommit(did))
    }
  }

  /** Sets the handle, in the directory as well. */
  async updateHandle(did: string, handle: string): Promise<void> {
    await this.plc.updateHandle(did, this.#rotationKey, handle)
    good(await this.#running.host.updateHandle(did, handle))
    this.told.add(did, 'handle', [IDENTITY])
  }

  /** Gives the account a new key, in the directory as well. */
  async rotateKey(did: string, curve: Curve): Promise<void> {
    const key = await newKey(curve)
    await this.plc.updateAtprotoKey(did, this.#rotationKey, key.did())
    const head = good(await this.#running.host.rotateKey(did, await hostKey(key)))
    this.#account(did).key = key
    this.told.add(did, 'key rotation', [IDENTITY])
    this.#tellHead(did, 'key rotation', head)
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
    const account = this.#account(did)
    account.before = 'import'
    account.records = new Map(
      creates.map(({ collection, rkey, cid }) => [`${collection}/${rkey}`, cid.toString()]),
    )
    if (host.status(did)?.active === true) this.#tellHead(did, 'import', head)
    return headOf(head)
  }

  /** Stores a blob. Throws when the host names it differently than the reference does. */
  async uploadBlob(did: string, bytes: Uint8Array, mimeType: string): Promise<BlobReference> {
    const stored = good(await this.#running.host.uploadBlob(did, piecesOf(bytes), mimeType))
    const link = (await cidForRawBytes(bytes)).toString()
    const named = decodeCid(stored.cid).toString()
    if (named !== link) throw new Error(`the host names a blob ${named}, not ${link}`)
    if (stored.size !== bytes.length) throw new Error(`a blob has ${stored.size} bytes`)
    return { $type: 'blob', ref: { $link: link }, mimeType: stored.mimeType, size: stored.size }
  }

  /** CIDs that records refer to and that have not been uploaded, in pages of `limit`. */
  missingBlobs(did: string, limit: number): string[] {
    const { host } = this.#running
    const all: string[] = []
    let page = host.missingBlobs(did, limit)
    while (page.length > 0) {
      all.push(...page.map((cid) => decodeCid(cid).toString()))
      page = host.missingBlobs(did, limit, page.at(-1))
    }
    return all
  }

  /** A token by which the account calls another service. */
  serviceAuth(did: string, aud: string, lxm: string): Promise<string> {
    return createServiceJwt({ iss: did, aud, lxm, keypair: this.#account(did).key })
  }

  #tellActive(did: string, occasion: Occasion, head: HostedHead | null): void {
    this.told.add(did, occasion, [IDENTITY])
    this.told.add(did, occasion, [accountThing('active')])
    this.#tellHead(did, occasion, head)
  }

  #tellHead(did: string, occasion: Occasion, head: HostedHead | null): void {
    if (head === null) throw new Error(`the host has no commit of ${did}`)
    this.told.add(did, occasion, [syncThing(headOf(head))])
    this.#account(did).before = occasion
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
  const { action, path, value } = write
  const record = forHost(recordOf(value))
  return action === 'create' ? { action, path, record } : { action, path, record }
}

/** A record with links and bytes for what stands for them in JSON. */
function recordOf(json: Json): LexMap {
  return jsonToLex(json as JsonValue) as LexMap
}

/** The same value with links as the host has them; it is the one that encodes it. */
function forHost(value: LexValue): unknown {
  if (isCid(value)) return good(decodeDrisl(encode(value)))
  if (Array.isArray(value)) return value.map(forHost)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.map(([key, item]) => [key, forHost(item as LexValue)]))
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
