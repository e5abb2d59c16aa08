/**
 * The network without its servers: accounts that write, hosts that have a sequence each, and a
 * directory. Synchronous, and nothing here knows the time but what it is told: equal options and
 * equal calls give equal bytes.
 */
import { sha256 } from '../crypto/sha256.ts'
import { toHex, utf8 } from '../lib/bytes.ts'
import { assert, must } from '../lib/assert.ts'
import type { Random } from '../lib/random.ts'
import { cidToString } from '../data/cid.ts'
import type { CommitBody, MessageBodies, MessageType } from '../stream/frame-types.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import { Album, BLOB_BYTES_MAX, BLOB_BYTES_MEDIAN } from './blobs.ts'
import { below, exponential, logNormal, pickOf, streamOf, Zipf } from './distributions.ts'
import { HostLog } from './host-log.ts'
import { Ledger } from './ledger.ts'
import { LiveBlobs, NO_BLOBS } from './live-blobs.ts'
import { accountBody, identityBody } from './messages.ts'
import { PlcDirectory } from './plc-directory.ts'
import { LivePaths, nextWrites, type SimAccount, type SimWrite } from './sim-account.ts'
import { SignedRepo } from './signed-repo.ts'
import { type GrownTemplate, growTemplate } from './templates.ts'
import { World } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  /** Origin of each host, `http://localhost:1234`. They stand in documents, and nowhere else. */
  readonly endpoints: readonly string[]
  readonly accounts: number
  /** Median number of records that an account has from the start. */
  readonly records: number
  /** Median size of blobs, bytes, from 64 to 1,000,000; default 4,096. */
  readonly blobBytes?: number
  /** Events a second of the simulation's own time. */
  readonly rate: number
  /**
   * Skew of authorship: rank k writes in proportion to 1 / k^s. Default 1.07: of 1,000 accounts the
   * first one then writes a sixth of everything.
   */
  readonly authorSkew?: number
  /** Share of accounts whose key is on P-256; default 0.15, so that both curves are met. */
  readonly p256Share?: number
  /** Where that time begins, ms since the epoch. */
  readonly startMs: number
  /** How far each host's clock is ahead, ms; default 0 for all. */
  readonly skewsMs?: readonly number[]
  /** Most bytes of events that a host can replay; default 64 MiB. */
  readonly backlogBytesMax?: number
  /** Whether the world remembers every event; default `none`. */
  readonly history?: 'kept' | 'none'
}

/** Whether an account never comes back. */
function isGone({ status }: SimAccount): boolean {
  return status === 'takendown' || status === 'deleted'
}

/** A host: its events and its clock. */
export interface SimHost {
  readonly index: number
  readonly endpoint: string
  readonly log: HostLog
  /** How far its clock is ahead, ms. */
  skewMs: number
}

const BACKLOG_BYTES_MAX = 64 * 1024 * 1024
const AUTHOR_SKEW = 1.07
/** Repositories begin with one of these many pasts. */
const TEMPLATES = 4
const TEMPLATE_SIGMA = 0.6
const P256_SHARE = 0.15
const LEGACY_SHARE = 0.3
/** Of the events of traffic, how many are an `#identity`. */
const IDENTITY_SHARE = 3 / 103
/** Tries to draw an account that is active. */
const DRAWS_MAX = 100

/** DIDs that records of the past refer to: they need not exist. */
function strangers(random: Random): () => string {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567'
  return () =>
    `did:plc:${Array.from({ length: 24 }, () => letters[below(random, letters.length)]).join('')}`
}

export class Simulation {
  readonly options: SimulationOptions
  readonly hosts: readonly SimHost[]
  readonly accounts: SimAccount[] = []
  readonly directory: PlcDirectory
  readonly world: World
  readonly ledger: Ledger = new Ledger()
  readonly #byDid = new Map<string, SimAccount>()
  readonly #traffic: Random
  readonly #people: Random
  readonly #templates: readonly GrownTemplate[]
  readonly #blobBytes: number
  readonly #authorSkew: number
  /** Who has which place in the skew of authorship. */
  readonly #authors: SimAccount[] = []
  #zipf: Zipf
  #nowMs: number

  constructor(options: SimulationOptions) {
    const { seed, endpoints, accounts, records, startMs, skewsMs = [] } = options
    assert(endpoints.length > 0 && accounts > 0, 'a network has hosts and accounts')
    this.options = options
    this.#blobBytes = options.blobBytes ?? BLOB_BYTES_MEDIAN
    this.#authorSkew = options.authorSkew ?? AUTHOR_SKEW
    assert(this.#blobBytes > 0 && this.#blobBytes <= BLOB_BYTES_MAX, 'size of blobs')
    this.#nowMs = startMs
    this.#traffic = streamOf(seed, 'traffic')
    this.#people = streamOf(seed, 'people')
    this.directory = new PlcDirectory(sha256(utf8(`${seed} rotation key`)))
    this.world = new World(options.history ?? 'none')
    const backlogBytesMax = options.backlogBytesMax ?? BACKLOG_BYTES_MAX
    this.hosts = endpoints.map((endpoint, index) => ({
      index,
      endpoint,
      log: new HostLog(backlogBytesMax),
      skewMs: skewsMs[index] ?? 0,
    }))
    const past = streamOf(seed, 'past')
    this.#templates = Array.from({ length: Math.min(TEMPLATES, accounts) }, () => {
      const shape = { median: records, sigma: TEMPLATE_SIGMA, min: records / 4, max: records * 4 }
      return growTemplate(past, {
        count: Math.round(logNormal(past, shape)),
        untilMs: startMs,
        someone: strangers(past),
        blobBytes: this.#blobBytes,
      })
    })
    for (let i = 0; i < accounts; i++) {
      this.#authors.push(this.addAccount(i % endpoints.length, 'grown'))
    }
    this.#zipf = new Zipf(this.#authors.length, this.#authorSkew)
  }

  /** The simulation's own time, ms since the epoch. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Moves time on; never back. */
  advanceTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms)
  }

  /** When the next event of a Poisson process is due. Draws from the traffic's stream. */
  nextArrivalMs(): number {
    return this.#nowMs + exponential(this.#traffic, 1_000 / this.options.rate)
  }

  account(did: string): SimAccount | null {
    return this.#byDid.get(did) ?? null
  }

  host(index: number): SimHost {
    return must(this.hosts[index], 'host')
  }

  /** A moment of its own for what has nothing but its time to be told by, on a host's clock. */
  momentAt(host: number): number {
    this.#nowMs = Math.floor(this.#nowMs) + 1
    return this.#nowMs + this.host(host).skewMs
  }

  // ---- Traffic

  /** One event of everyday life: a commit, or now and then an `#identity`. */
  traffic(): void {
    const random = this.#traffic
    const account = this.#author()
    if (random.next() < IDENTITY_SHARE) {
      this.sendIdentity(account)
      return
    }
    const nowMs = this.#nowMs
    const writes = nextWrites(account, { random, nowMs, someone: () => this.#someone() })
    this.commit(account, writes)
  }

  /** Writes and sends a commit. Returns the id of the event. */
  commit(account: SimAccount, writes: readonly SimWrite[]): string {
    return this.publish(account, '#commit', this.write(account, writes))
  }

  /** Writes without sending: what {@link publish} is to be given. */
  write(account: SimAccount, writes: readonly SimWrite[]): CommitBody {
    const { repo, paths, did } = account
    repo.setTime(this.#nowMs + this.host(account.host).skewMs)
    const body = repo.apply(writes)
    for (const [i, { action, path, cid }] of body.ops.entries()) {
      const { blobs = [] } = must(writes[i], 'write')
      if (action === 'create') paths.add(path)
      else if (action === 'delete') paths.remove(path)
      account.blobs.write(path, body.rev, blobs)
      this.world.write(did, path, cid?.$link ?? null, blobs)
    }
    this.world.change(did, { head: { rev: body.rev, commit: body.commit.$link } })
    account.lastCommit = body
    return body
  }

  /** Sends an honest event from the account's host. Returns its id. */
  publish<T extends MessageType>(
    account: SimAccount,
    type: T,
    body: Omit<MessageBodies[T], 'seq'>,
  ): string {
    const { log } = this.host(account.host)
    const framed = { ...body, seq: log.nextSeq } as MessageBodies[T]
    const seq = log.append(encodeMessageFrame(type, framed), { type })
    return this.world.sent(account.did, type, framed, account.host, seq)
  }

  sendIdentity(account: SimAccount): string {
    const moment = this.momentAt(account.host)
    return this.publish(account, '#identity', identityBody(account.did, moment, account.handle))
  }

  sendStatus(account: SimAccount): string {
    const moment = this.momentAt(account.host)
    return this.publish(account, '#account', accountBody(account.did, moment, account.status))
  }

  sendSync(account: SimAccount): string {
    const time = new Date(this.momentAt(account.host)).toISOString()
    return this.publish(account, '#sync', { ...account.repo.sync(), time })
  }

  /** An account that is active, by the skew of authorship. */
  #author(): SimAccount {
    for (let i = 0; i < DRAWS_MAX; i++) {
      const account = must(this.#authors[this.#zipf.pick(this.#traffic)], 'account')
      if (account.status === 'active') return account
    }
    return must(
      this.accounts.find(({ status }) => status === 'active'),
      'active account',
    )
  }

  #someone(): string {
    return pickOf(this.#traffic, this.accounts).did
  }

  // ---- Accounts

  /**
   * An account with a key and a document. `grown` has a past, and is in the world at once; `new` is
   * empty and has not said anything yet.
   *
   * @param visible Whether the directory tells of it.
   */
  addAccount(
    host: number,
    past: 'grown' | 'new',
    visible: 'shown' | 'hidden' = 'shown',
  ): SimAccount {
    const { seed, startMs } = this.options
    const number = this.accounts.length
    const random = this.#people
    const curve = random.next() < (this.options.p256Share ?? P256_SHARE) ? 'p256' : 'k256'
    const format = random.next() < LEGACY_SHARE ? 'legacy' : 'multikey'
    const template = past === 'grown' ? pickOf(random, this.#templates) : undefined
    const keySeed = `${seed} account ${number}`
    const { publicKey } = new SignedRepo({ seed: keySeed, curve }).key
    const handle = `user${number}.sim.example.com`
    // The first operation names no port: a DID is the same wherever the network runs.
    const state = { key: publicKey, endpoint: `https://pds${host}.sim.example.com`, handle }
    const nowMs = this.#nowMs
    const did = this.directory.create(state, format, nowMs, visible)
    this.directory.update(did, { endpoint: this.host(host).endpoint }, nowMs)
    const born = past === 'grown' ? startMs - 3_600_000 : nowMs + this.host(host).skewMs
    const repo = new SignedRepo({
      seed: keySeed,
      curve,
      did,
      startMs: born,
      stepMs: 0,
      keep: 'head',
      ...(template === undefined ? {} : { template: template.repo }),
    })
    const head = repo.head
    const account: SimAccount = {
      number,
      did,
      repo,
      paths: new LivePaths(template?.paths ?? []),
      blobs: new LiveBlobs(template?.blobs ?? NO_BLOBS, head?.rev ?? ''),
      album: new Album(this.#blobBytes),
      place: number,
      handle,
      host,
      status: 'active',
      keys: 1,
      previousKey: null,
      lastCommit: null,
    }
    this.accounts.push(account)
    this.#byDid.set(did, account)
    this.world.add(
      {
        did,
        host,
        handle,
        status: 'active',
        head: head === null ? null : { rev: head.rev, commit: cidToString(head.commit) },
      },
      template?.records ?? new Map(),
      template?.blobs.byPath ?? new Map(),
    )
    return account
  }

  /** Lets a new account take part in traffic, in the place of one that is gone if there is any. */
  admit(account: SimAccount): void {
    const vacant = this.#authors.findIndex((author) => isGone(author))
    account.place = vacant < 0 ? this.#authors.length : vacant
    this.#authors[account.place] = account
    if (vacant < 0) this.#zipf = new Zipf(this.#authors.length, this.#authorSkew)
  }

  /** How many places there are in the skew of authorship. */
  get places(): number {
    return this.#authors.length
  }

  /**
   * Hash of everything that the network holds: events that hosts can replay, repositories, blobs
   * (by their CIDs), documents but for their endpoints.
   */
  digest(): string {
    const parts: string[] = []
    const add = (bytes: Uint8Array): void => void parts.push(toHex(sha256(bytes)))
    for (const { log } of this.hosts) {
      for (let next = log.after(0); next !== null; next = log.after(next.seq)) {
        add(typeof next.data === 'string' ? utf8(next.data) : (next.data ?? new Uint8Array()))
      }
    }
    for (const { repo, did, blobs } of this.accounts) {
      if (repo.head !== null) for (const { cid } of repo.exportBlocks()) add(cid)
      const texts = blobs
        .list(null)
        .map(({ text, mimeType, size }) => `${text} ${mimeType} ${size}`)
      add(utf8(texts.toSorted().join()))
      const document = JSON.stringify(this.directory.document(did))
      add(utf8(document.replaceAll(/"serviceEndpoint":"[^"]*"/g, '')))
    }
    return toHex(sha256(utf8(parts.join(''))))
  }
}
