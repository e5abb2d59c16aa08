/** What a consumer needs to be tested: a stream, hosts that serve repositories, and identities. */
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FakeHost } from '../../../test/support/fake-host.ts'
import { SignedRepo, type SignedRepoOptions } from '../../../test/support/signed-repo.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { REVS_FROM_MS } from '../../../test/support/world.ts'
import { loadVerifier } from '../../crypto/verifier.ts'
import { cidToString } from '../../data/cid.ts'
import type { Identity, Resolution } from '../../identity/identity.ts'
import { systemClock } from '../../lib/clock.ts'
import type { ConsumerStore } from '../../store/consumer-state.ts'
import type {
  ConsumerIdentities,
  ConsumerNotice,
  ConsumerOptions,
  Delivery,
  RunConsumerOptions,
  RunningConsumer,
} from '../consumer/consumer-types.ts'
import { Governor } from '../calls/governor.ts'
import { runConsumer } from '../consumer/run-consumer.ts'

/** How a host answers getRepo. */
export type RepoAnswer =
  | 'serve'
  /** Cut after half of it. */
  | 'cut'
  | 'flipped'
  | 'hang'
  | 'garbage'
  | '503'
  /** An XRPC error by this name. */
  | { readonly error: string }
  /** Other bytes: of another account, an older state. */
  | { readonly car: Uint8Array }

/** Serves exports of repositories, well or badly. */
export class RepoServer implements AsyncDisposable {
  readonly #server: Server
  readonly #repos = new Map<string, SignedRepo>()
  readonly #held = new Set<ServerResponse>()
  readonly answers: Map<string, RepoAnswer> = new Map()
  /** How `since` is answered, where it is another answer. */
  readonly updateAnswers: Map<string, RepoAnswer> = new Map()
  /** DIDs that were asked for whole, in order. */
  readonly requests: string[] = []
  /** DIDs that were asked for with `since`, in order. */
  readonly updates: string[] = []
  /** Bytes of CARs sent. */
  bytesSent = 0

  private constructor() {
    this.#server = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
      const did = searchParams.get('did') ?? ''
      const since = searchParams.get('since')
      const asked = since === null ? this.requests : this.updates
      asked.push(did)
      this.#answer(did, since, response)
    })
  }

  static async start(): Promise<RepoServer> {
    const server = new RepoServer()
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  add(repo: SignedRepo): void {
    this.#repos.set(repo.did, repo)
  }

  #answer(did: string, since: string | null, response: ServerResponse): void {
    const update = since === null ? undefined : this.updateAnswers.get(did)
    const answer = update ?? this.answers.get(did) ?? 'serve'
    const repo = this.#repos.get(did)
    if (answer === 'hang') {
      this.#held.add(response)
      return
    }
    if (answer === '503') {
      response.writeHead(503).end()
      return
    }
    if (answer === 'garbage') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
      return
    }
    if (repo === undefined || (typeof answer === 'object' && 'error' in answer)) {
      const error = typeof answer === 'object' && 'error' in answer ? answer.error : 'RepoNotFound'
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error, message: 'no' }))
      return
    }
    response.writeHead(200, { 'content-type': 'application/vnd.ipld.car' })
    const car = typeof answer === 'object' ? answer.car : repo.exportCar(since).slice()
    this.bytesSent += car.length
    if (answer === 'cut') response.end(car.subarray(0, car.length >> 1))
    else {
      if (answer === 'flipped') car[car.length - 5] = (car[car.length - 5] as number) ^ 1
      response.end(car)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const response of this.#held) response.destroy()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** A directory in memory. */
export class KitIdentities implements ConsumerIdentities {
  readonly #known = new Map<string, Identity>()
  /** DIDs in memory: `peek` finds these only. */
  readonly #peeked = new Set<string>()
  /** What is remembered although it is no longer true. */
  readonly #old = new Map<string, Identity>()
  mode: 'answer' | 'silent' = 'answer'
  readonly refreshes: string[] = []

  set(repo: SignedRepo, endpoint: string | null): void {
    this.#known.set(repo.did, {
      did: repo.did,
      signingKey: repo.key.publicKey,
      pdsEndpoint: endpoint,
      pdsHostname: endpoint === null ? null : new URL(endpoint).host,
      handle: null,
      fetchedAtMs: systemClock.nowMs(),
    })
    this.#peeked.delete(repo.did)
  }

  /** The document has another key; nobody is told. */
  setKey(repo: SignedRepo): void {
    const before = this.#known.get(repo.did)
    if (before !== undefined) {
      this.#old.set(repo.did, before)
      this.#known.set(repo.did, { ...before, signingKey: repo.key.publicKey })
    }
  }

  remove(did: string): void {
    this.#known.delete(did)
  }

  peek(did: string): Identity | undefined {
    const old = this.#old.get(did)
    if (old !== undefined) return old
    return this.#peeked.has(did) ? this.#known.get(did) : undefined
  }

  async resolve(did: string): Promise<Resolution> {
    await Promise.resolve()
    const identity = this.#known.get(did)
    const none = { ok: false, detail: 'no', retryAfterMs: 10 } as const
    if (this.mode === 'silent') return { ...none, reason: 'identity-unresolved' }
    if (identity === undefined) return { ...none, reason: 'identity-missing' }
    this.#peeked.add(did)
    return { ok: true, identity, stale: false }
  }

  refresh(did: string): Promise<Resolution> {
    this.refreshes.push(did)
    this.#peeked.delete(did)
    this.#old.delete(did)
    return this.resolve(did)
  }

  purge(did: string): void {
    this.#peeked.delete(did)
    this.#old.delete(did)
  }
}

/** Records by path, for each account: what a consumer was told, and nothing more. */
export class Collected {
  readonly accounts: Map<string, Map<string, string>> = new Map()
  readonly deliveries: Delivery[] = []
  readonly faults: string[] = []

  /** Takes a delivery in, and finds fault with what contradicts what was told before. */
  take(delivery: Delivery): void {
    this.deliveries.push(delivery)
    if (delivery.kind === 'account' && delivery.status === 'deleted') {
      this.accounts.delete(delivery.did)
    }
    if (delivery.kind !== 'commit') return
    const { did, rev, cause } = delivery
    const records = this.accounts.get(did) ?? new Map<string, string>()
    this.accounts.set(did, records)
    for (const { action, path, cid } of delivery.ops) {
      const where = `${did} ${rev} ${cause} ${action} ${path}`
      if (action === 'create' && records.has(path)) this.faults.push(`${where}: is there`)
      if (action !== 'create' && !records.has(path)) this.faults.push(`${where}: is not there`)
      if (cid === null) records.delete(path)
      else records.set(path, cid)
    }
  }

  records(did: string): Record<string, string> {
    return Object.fromEntries([...(this.accounts.get(did) ?? [])].toSorted(byPath))
  }

  /** Revs of an account's commits in the order in which they came. */
  revs(did: string): string[] {
    return this.deliveries.flatMap((delivery) =>
      delivery.kind === 'commit' && delivery.did === did ? [delivery.rev] : [],
    )
  }

  kinds(): string[] {
    return this.deliveries.map((delivery) =>
      delivery.kind === 'commit' ? `commit ${delivery.cause}` : delivery.kind,
    )
  }
}

const byPath = ([a]: [string, string], [b]: [string, string]): number => (a < b ? -1 : 1)

/** What a repository holds, by its own account. */
export function truthOf(repo: SignedRepo): Record<string, string> {
  const entries = [...repo.records()].map(([path, cid]): [string, string] => [
    path,
    cidToString(cid),
  ])
  return Object.fromEntries(entries.toSorted(byPath))
}

export type KitOptions = Partial<Omit<RunConsumerOptions, 'handler'>> & {
  readonly handler?: (delivery: Delivery) => void | Promise<void>
}

/** A host, its repositories, and consumers of its stream. */
export class ConsumerKit implements AsyncDisposable {
  readonly stream: FakeHost
  readonly repos: RepoServer
  readonly identities: KitIdentities = new KitIdentities()
  readonly #running = new Set<RunningConsumer>()

  private constructor(stream: FakeHost, repos: RepoServer) {
    this.stream = stream
    this.repos = repos
  }

  static async start(): Promise<ConsumerKit> {
    return new ConsumerKit(await FakeHost.start(), await RepoServer.start())
  }

  account(seed: string, options: Partial<SignedRepoOptions> = {}): SignedRepo {
    const repo = new SignedRepo({ startMs: REVS_FROM_MS, ...options, seed })
    this.repos.add(repo)
    this.identities.set(repo, this.repos.endpoint)
    return repo
  }

  /** Options that make everything loopback and quick. */
  async options(): Promise<ConsumerOptions> {
    return {
      service: this.stream.endpoint,
      cursor: 'oldest',
      identities: this.identities,
      verifier: await verifier,
      allowPrivateNetwork: true,
      governor: new Governor(),
      policies: { margin: 'passive', reconnectMaxMs: 50 },
      limits: QUICK,
    }
  }

  /** Runs a consumer that collects. */
  async run(
    options: KitOptions = {},
  ): Promise<{ consumer: RunningConsumer; seen: Collected; notices: ConsumerNotice[] }> {
    const seen = new Collected()
    const notices: ConsumerNotice[] = []
    const { handler, limits, ...rest } = options
    const { service = '', ...base } = await this.options()
    const consumer = runConsumer({
      ...base,
      ...(rest.services === undefined ? { service } : {}),
      ...rest,
      limits: { ...QUICK, ...limits },
      onNotice: (notice) => void notices.push(notice),
      handler: async (delivery) => {
        await handler?.(delivery)
        seen.take(delivery)
      },
    })
    this.#running.add(consumer)
    return { consumer, seen, notices }
  }

  commit(repo: SignedRepo, writes: Parameters<SignedRepo['apply']>[0]): number {
    return this.stream.send('#commit', repo.apply(writes))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const consumer of this.#running) await consumer.stop()
    await this.stream[Symbol.asyncDispose]()
    await this.repos[Symbol.asyncDispose]()
  }
}

const verifier = loadVerifier()

const QUICK: NonNullable<ConsumerOptions['limits']> = {
  saveMs: 5,
  repairPollMs: 10,
  repairPauseMs: 5,
  handlerPauseMs: 1,
  handlerPauseMsMax: 5,
  identityWaitMs: 200,
  heldMs: 2_000,
  stopMs: 300,
}

/** Waits until all that was sent is finished and saved. */
export async function caughtUp(consumer: RunningConsumer, seq: number): Promise<void> {
  await eventually(
    () => (consumer.stats.saved?.seq === seq ? true : null),
    () => `saved seq ${seq}: ${JSON.stringify(consumer.stats)} ${String(consumer.state.failure)}`,
  )
}

/** Waits until no repository of these is marked, as the store says. */
export async function repaired(store: ConsumerStore, dids: readonly string[]): Promise<void> {
  await eventually(async () => {
    for (const did of dids) {
      const row = await store.repo(did)
      if (row === null || row.mark !== null) return null
    }
    return true
  }, 'repaired')
}
