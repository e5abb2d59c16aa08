/**
 * Serves traffic from a file: hosts whose events are ready-made, at a rate or all at once. Nothing
 * is signed or encoded on the way, so that what is measured is whoever reads.
 */
import { parseDidKey } from '../crypto/public-key.ts'
import { createHostApp } from '../http/host-app.ts'
import { type FetchHandler, HttpServer } from '../http/http-server.ts'
import { xrpcError } from '../http/xrpc-error.ts'
import { RequestLimits } from '../http/request-limits.ts'
import { SUBSCRIBE_NSID } from '../http/xrpc-app.ts'
import { assert, must } from '../lib/assert.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { silentLogger } from '../ops/logger.ts'
import { detachedRelayMetrics } from '../ops/relay-metrics.ts'
import type {
  HostedBlocks,
  HostedStatus,
  HostPage,
  HostView,
  RepoRefusal,
} from '../repo-host/host-view.ts'
import { Broadcaster } from '../stream/broadcaster.ts'
import type { LogChunk, LogSource } from '../stream/log-source.ts'
import { refuse } from '../stream/refusal.ts'
import { documentOf, type PlcState } from './plc-directory.ts'
import { type PacedLog, ReplayPacer, type ReplayPace } from './replay-pacer.ts'
import type { TrafficFile } from './traffic-file.ts'
import type { TrafficAccount } from './traffic-format.ts'

export interface ReplayOptions {
  /** Stays the caller's, and open while the replay runs. */
  readonly traffic: TrafficFile
  /** Events a second over all hosts; null for all at once. */
  readonly rate: number | null
  /** Default 127.0.0.1. */
  readonly address?: string
  /** Port of the directory; the hosts take those after it. Default 0: any. */
  readonly port?: number
  readonly clock?: Clock
  /** Told of each step that the events of a host take, for those who measure. */
  readonly onStep?: (step: ReplayStep) => void
}

/** Events of a host up to a seq were let go, or handed to a reader's socket. */
export interface ReplayStep {
  readonly kind: 'published' | 'sent'
  readonly host: number
  readonly seq: number
}

/** Hosts that replay. */
export interface RunningReplay extends AsyncDisposable {
  readonly plcUrl: string
  /** `http://localhost:1234` of each host. */
  readonly endpoints: readonly string[]
  /** Frames that the file holds for all hosts together. */
  readonly frames: number
  /** Frames that subscribers may have by now. */
  readonly published: () => number
  /** Hosts whose events somebody reads. */
  readonly hostsRead: () => number
  /** Lets the events begin: all of them, at the rate of the options. */
  start(): void
  /** Lets so many more events go; see {@link ReplayPacer.release}. Not to be mixed with `start`. */
  release(events: number, pace: ReplayPace): number
  stop(): Promise<void>
}

const SUBSCRIBERS_MAX = 1_000
const CONNECTIONS_MAX = 2_000
const REQUESTS_PER_MINUTE = 1_000_000

/** The frames of one host, read from the file as subscribers get on. */
class FileLog implements LogSource, PacedLog {
  readonly firstSeq = 1
  readonly #traffic: TrafficFile
  readonly #host: number
  readonly #onStep: (step: ReplayStep) => void
  readonly #listeners = new Set<() => void>()
  #publishedSeq = 0
  #sentSeq = 0

  constructor(traffic: TrafficFile, host: number, onStep: (step: ReplayStep) => void) {
    this.#traffic = traffic
    this.#host = host
    this.#onStep = onStep
  }

  /** Several readers: of the one that is ahead. */
  get sentSeq(): number {
    return this.#sentSeq
  }

  get publishedSeq(): number {
    return this.#publishedSeq
  }

  get lastSeq(): number {
    return this.#traffic.frameCount(this.#host)
  }

  publish(seq: number): void {
    assert(seq >= this.#publishedSeq && seq <= this.lastSeq, 'seq of the log')
    if (seq === this.#publishedSeq) return
    this.#publishedSeq = seq
    this.#onStep({ kind: 'published', host: this.#host, seq })
    for (const listener of this.#listeners) listener()
  }

  onPublish(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  read(afterSeq: number, bytesMax: number): LogChunk | null {
    if (afterSeq >= this.#publishedSeq) return null
    const { firstSeq, bytes, ends } = this.#traffic.block(this.#host, afterSeq + 1)
    const endOf = (seq: number): number => ends[seq - firstSeq] ?? Infinity
    const start = afterSeq < firstSeq ? 0 : endOf(afterSeq)
    let lastSeq = afterSeq + 1
    while (lastSeq < this.#publishedSeq && endOf(lastSeq + 1) - start <= bytesMax) lastSeq++
    // The session writes what it has read in the same turn.
    if (lastSeq > this.#sentSeq) {
      this.#sentSeq = lastSeq
      this.#onStep({ kind: 'sent', host: this.#host, seq: lastSeq })
    }
    return { bytes: bytes.subarray(start, endOf(lastSeq)), lastSeq, count: lastSeq - afterSeq }
  }
}

/** A host that has events and no repositories: it knows who is there, and no more. */
class ReplayView implements HostView {
  readonly log: FileLog
  readonly #dids: ReadonlySet<string>

  constructor(log: FileLog, dids: ReadonlySet<string>) {
    this.log = log
    this.#dids = dids
  }

  availability(): RepoRefusal {
    return 'RepoNotFound'
  }

  status(did: string): HostedStatus | null {
    return this.#dids.has(did) ? { did, active: true } : null
  }

  latestCommit(): null {
    return null
  }

  listRepos(): HostPage<never> {
    return { items: [] }
  }

  listBlobs(): HostPage<never> {
    return { items: [] }
  }

  blob(): null {
    return null
  }

  blocks(_did: string, cids: readonly Uint8Array[]): HostedBlocks {
    return { kind: 'missing', cids }
  }

  recordProof(): null {
    return null
  }

  repoCar(): null {
    return null
  }

  health(): { readonly ok: boolean } {
    return { ok: true }
  }
}

/**
 * Starts the directory and the hosts of a traffic file. They have no events before `start`.
 *
 * @throws SkeinError ADDRESS_UNAVAILABLE when a port is taken.
 */
export async function startReplay(options: ReplayOptions): Promise<RunningReplay> {
  const { traffic, clock = systemClock, port = 0, address = '127.0.0.1' } = options
  const { accounts, hosts } = traffic.header
  await using stack = new AsyncDisposableStack()
  const onStep = options.onStep ?? ((): void => undefined)
  const logs = Array.from({ length: hosts }, (_, host) => new FileLog(traffic, host, onStep))
  const broadcasters: Broadcaster[] = []
  const endpoints: string[] = []
  const documents = new Map<string, string>()
  const listen = async (offset: number, fetch: FetchHandler): Promise<HttpServer> => {
    const bind = { host: address, port: port === 0 ? 0 : port + offset }
    const logger = silentLogger
    const connectionsMax = CONNECTIONS_MAX
    const server = await HttpServer.listen({ fetch, bind, clock, logger, connectionsMax })
    stack.defer(() => server.stop(0))
    return server
  }
  const plc = await listen(0, (request) => documentAnswer(documents, request))
  for (const [i, log] of logs.entries()) {
    const dids = new Set(accounts.filter(({ host }) => host === i).map(({ did }) => did))
    const broadcaster = new Broadcaster({
      source: log,
      clock,
      subscribersMax: SUBSCRIBERS_MAX,
      subscribersPerAddressMax: SUBSCRIBERS_MAX,
    })
    const server = await listen(i + 1, appOf(new ReplayView(log, dids), i, clock))
    broadcasters.push(broadcaster)
    stack.defer(() => broadcaster.stop())
    server.node.on('upgrade', (request, socket, head) => {
      const path = (request.url ?? '/').split('?', 1)[0]
      if (path === `/xrpc/${SUBSCRIBE_NSID}`) broadcaster.accept(request, socket, head)
      else refuse(socket, { status: 400, error: 'InvalidRequest', message: 'not the stream' })
    })
    endpoints.push(urlOf(server))
  }
  for (const account of accounts) {
    documents.set(account.did, documentText(account, must(endpoints[account.host], 'endpoint')))
  }
  const pacer = new ReplayPacer(logs, clock)
  stack.defer(() => pacer.stop())
  const owned = stack.move()
  const stop = (): Promise<void> => owned.disposeAsync()
  const frames = logs.reduce((sum, { lastSeq }) => sum + lastSeq, 0)
  return {
    plcUrl: urlOf(plc),
    endpoints,
    frames,
    published: () => logs.reduce((sum, { publishedSeq }) => sum + publishedSeq, 0),
    hostsRead: () => broadcasters.filter((each) => each.stats().subscribers > 0).length,
    start: () => void pacer.release(frames, options.rate ?? 'at-once'),
    release: (events, pace) => pacer.release(events, pace),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function urlOf(server: HttpServer): string {
  return `http://localhost:${server.address.split(':').at(-1)}`
}

function appOf(view: HostView, index: number, clock: Clock): FetchHandler {
  const metrics = detachedRelayMetrics()
  const app = createHostApp({
    view,
    description: { did: `did:web:pds${index}.sim.example.com`, availableUserDomains: [] },
    limits: new RequestLimits({ requestsPerMinute: REQUESTS_PER_MINUTE, clock, metrics }),
    proxies: [],
    metrics,
    clock,
    logger: silentLogger,
  })
  return (request, env) => app.fetch(request, env)
}

function documentText(account: TrafficAccount, endpoint: string): string {
  const { did, handle, format } = account
  const state: PlcState = { key: parseDidKey(account.key), endpoint, handle }
  return JSON.stringify(documentOf(did, state, format))
}

function documentAnswer(documents: ReadonlyMap<string, string>, request: Request): Response {
  const did = decodeURIComponent(new URL(request.url).pathname.slice(1))
  const text = documents.get(did)
  if (text === undefined) return xrpcError(404, 'NotFound', 'DID not registered')
  return new Response(text, { headers: { 'content-type': 'application/did+ld+json' } })
}
