/** What steps act upon: the network, its accounts, and the calls that change them. */

import { bearer, procedure, textAt } from '../net/xrpc.ts'
import type { Json } from '../net/xrpc.ts'
import type { Check } from '../checks/check.ts'
import type { Pds } from '../world/pds.ts'
import type { Curve } from '../world/skein-host.ts'
import { SkeinHost } from '../world/skein-host.ts'
import type { World } from '../world/world.ts'

/** The scenario's accounts all live in the directory. */
export type Did = `did:plc:${string}`

export interface Account {
  readonly name: string
  readonly did: Did
  readonly password: string
  handle: string
  /** Where it lives now. */
  home: Pds
  /** Session at its home. */
  authorization: string
  deleted: boolean
}

/** One entry of com.atproto.repo.applyWrites. */
export type Write =
  | { readonly action: 'create' | 'update'; readonly path: string; readonly value: Json }
  | { readonly action: 'delete'; readonly path: string }

/** What a record holds of a blob, as JSON. */
export interface BlobReference {
  readonly $type: 'blob'
  readonly ref: { readonly $link: string }
  readonly mimeType: string
  readonly size: number
}

export class Scene {
  readonly world: World
  /** What steps have found by themselves. */
  readonly checks: Check[] = []
  readonly #accounts = new Map<string, Account>()

  constructor(world: World) {
    this.world = world
  }

  /** Every account that was created, in order. */
  get accounts(): readonly Account[] {
    return [...this.#accounts.values()]
  }

  pds<N extends keyof World['pdses']>(name: N): World['pdses'][N] {
    return this.world.pdses[name]
  }

  /** The account that a former step created under this name. */
  account(name: string): Account {
    const account = this.#accounts.get(name)
    if (account === undefined) throw new Error(`no step has created the account ${name}`)
    return account
  }

  /** Creates `NAME.test` at a real PDS. */
  async createAccount(name: string, at: 'A' | 'B'): Promise<Account> {
    const home = this.pds(at)
    const handle = `${name}.test`
    const password = `password of ${name}`
    const answer = await procedure(home.origin, 'com.atproto.server.createAccount', {
      handle,
      password,
      email: `${name}@example.com`,
    })
    const did = textAt(answer, 'did')
    if (!isDid(did)) throw new Error(`the PDS made the account ${did}`)
    const account: Account = {
      name,
      did,
      password,
      handle,
      home,
      authorization: bearer(textAt(answer, 'accessJwt')),
      deleted: false,
    }
    this.#accounts.set(name, account)
    return account
  }

  /** Creates `NAME.test` at the repository host, which has no sessions. */
  async createHosted(name: string, curve: Curve = 'k256'): Promise<Account> {
    const home = this.pds('S')
    const handle = `${name}.test`
    const did = await home.createAccount(handle, curve)
    const password = `password of ${name}`
    const account = { name, did, password, handle, home, authorization: '', deleted: false }
    this.#accounts.set(name, account)
    return account
  }

  /** Opens a new session; a takedown ends the ones before it. */
  async logIn(account: Account): Promise<void> {
    const answer = await procedure(account.home.origin, 'com.atproto.server.createSession', {
      identifier: account.did,
      password: account.password,
    })
    account.authorization = bearer(textAt(answer, 'accessJwt'))
  }
}

/** Record keys that the repository host is given where a PDS would choose one. */
let hostedRkeys = 0

function isDid(text: string): text is Did {
  return text.startsWith('did:plc:')
}

/** Calls a procedure at an account's home with its session. */
export function callAs(
  account: Account,
  nsid: string,
  body: Json | Uint8Array<ArrayBuffer> | null,
  contentType?: string,
): Promise<Json> {
  return procedure(account.home.origin, nsid, body, {
    authorization: account.authorization,
    ...(contentType === undefined ? {} : { contentType }),
  })
}

/** Uploads a blob at an account's home, for a record to refer to. */
export async function uploadBlob(
  account: Account,
  bytes: Uint8Array<ArrayBuffer>,
  mimeType: string,
): Promise<BlobReference> {
  const { home, did } = account
  if (home instanceof SkeinHost) return home.uploadBlob(did, bytes, mimeType)
  const { blob } = await callAs(account, 'com.atproto.repo.uploadBlob', bytes, mimeType)
  return blob as BlobReference
}

/** Creates a record; without `rkey` the PDS chooses one. */
export function createRecord(
  account: Account,
  collection: string,
  fields: Json,
  rkey?: string,
): Promise<Json> {
  if (account.home instanceof SkeinHost) {
    const path = `${collection}/${rkey ?? `chosen-${++hostedRkeys}`}`
    return applyWrites(account, [{ action: 'create', path, value: fields }])
  }
  return callAs(account, 'com.atproto.repo.createRecord', {
    repo: account.did,
    collection,
    ...(rkey === undefined ? {} : { rkey }),
    record: { $type: collection, ...fields },
  })
}

/** Creates or replaces the record at `path`. */
export function putRecord(account: Account, path: string, fields: Json): Promise<Json> {
  const { collection, rkey } = splitPath(path)
  if (account.home instanceof SkeinHost) {
    const action = account.home.records(account.did).has(path) ? 'update' : 'create'
    return applyWrites(account, [{ action, path, value: fields }])
  }
  return callAs(account, 'com.atproto.repo.putRecord', {
    repo: account.did,
    collection,
    rkey,
    record: { $type: collection, ...fields },
  })
}

/** Deletes the record at `path`, if there is one. */
export function deleteRecord(account: Account, path: string): Promise<Json> {
  if (account.home instanceof SkeinHost) return applyWrites(account, [{ action: 'delete', path }])
  return callAs(account, 'com.atproto.repo.deleteRecord', { repo: account.did, ...splitPath(path) })
}

/** Applies several writes in one commit. */
export async function applyWrites(account: Account, writes: readonly Write[]): Promise<Json> {
  if (account.home instanceof SkeinHost) {
    await account.home.write(account.did, writes.map(withType))
    return {}
  }
  return callAs(account, 'com.atproto.repo.applyWrites', {
    repo: account.did,
    writes: writes.map((write) => {
      const { collection, rkey } = splitPath(write.path)
      const $type = `com.atproto.repo.applyWrites#${write.action}`
      if (write.action === 'delete') return { $type, collection, rkey }
      return { $type, collection, rkey, value: { $type: collection, ...write.value } }
    }),
  })
}

/** A post with all fields that its lexicon demands. */
export function post(text: string, more: Json = {}): Json {
  return { text, createdAt: new Date().toISOString(), ...more }
}

function withType(write: Write): Write {
  if (write.action === 'delete') return write
  const { collection } = splitPath(write.path)
  return { ...write, value: { $type: collection, ...write.value } }
}

function splitPath(path: string): { collection: string; rkey: string } {
  const slash = path.indexOf('/')
  return { collection: path.slice(0, slash), rkey: path.slice(slash + 1) }
}
