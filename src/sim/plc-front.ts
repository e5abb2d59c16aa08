/** A PLC directory on loopback: documents, data, audit logs and the export, or what it is told. */
import { HttpServer } from '../http/http-server.ts'
import { xrpcError } from '../http/xrpc-error.ts'
import type { Clock } from '../lib/clock.ts'
import { silentLogger } from '../ops/logger.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import { ArmedFaults, type FaultCounters, type FaultKind } from './faults.ts'
import type { PlcDirectory } from './plc-directory.ts'

export type PlcFault = Extract<FaultKind, `plc-${string}`>

export interface PlcFrontOptions {
  readonly bind: ListenAddress
  readonly clock: Clock
  readonly counters: FaultCounters
}

const CONNECTIONS_MAX = 1_000
/** Entries of an export: default and most, as the public directory. */
const EXPORT_COUNT = 10
const EXPORT_COUNT_MAX = 1_000

export class PlcFront implements AsyncDisposable {
  readonly #server: HttpServer
  readonly #faults: ArmedFaults<PlcFault>
  #directory: PlcDirectory | null = null
  #requests = 0

  private constructor(options: PlcFrontOptions, server: HttpServer) {
    this.#server = server
    this.#faults = new ArmedFaults(options.counters)
  }

  /** Listens; requests are answered after `serve`. */
  static async listen(options: PlcFrontOptions): Promise<PlcFront> {
    const server = await HttpServer.listen({
      fetch: (request) => front.#answer(new URL(request.url)),
      bind: options.bind,
      clock: options.clock,
      logger: silentLogger,
      connectionsMax: CONNECTIONS_MAX,
    })
    const front = new PlcFront(options, server)
    return front
  }

  /** `http://localhost:2582` */
  get url(): string {
    return `http://localhost:${this.#server.address.split(':').at(-1)}`
  }

  /** Requests so far. */
  get requests(): number {
    return this.#requests
  }

  serve(directory: PlcDirectory): void {
    this.#directory = directory
  }

  /** The next request is answered by this fault. */
  inject(kind: PlcFault): void {
    this.#faults.arm(kind)
  }

  async stop(): Promise<void> {
    await this.#server.stop(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #answer(url: URL): Response | Promise<Response> {
    const directory = this.#directory
    this.#requests++
    if (directory === null) return new Response(null, { status: 503 })
    const fault = this.#faults.take()
    if (fault === null) return answerOf(directory, url)
    if (fault === 'plc-hang') return new Promise<Response>(() => undefined)
    return fault === 'plc-404' ? notFound() : new Response(null, { status: 503 })
  }
}

function answerOf(directory: PlcDirectory, { pathname, searchParams }: URL): Response {
  if (pathname === '/_health') return Response.json({ version: 'simulated' })
  if (pathname === '/export') return exportOf(directory, searchParams)
  const [did = '', ...rest] = pathname
    .slice(1)
    .split('/')
    .map((part) => decodeURIComponent(part))
  const found = lookUp(directory, did, rest.join('/'))
  if (found === undefined) return xrpcError(404, 'NotFound', 'Nothing is here')
  return found === null ? notFound() : Response.json(found)
}

/** Null for a DID that is not registered, undefined for a path that nobody knows. */
function lookUp(directory: PlcDirectory, did: string, what: string): unknown {
  switch (what) {
    case '':
      return directory.document(did)
    case 'data':
      return directory.data(did)
    case 'log':
      return directory.auditLog(did)?.map(({ operation }) => operation) ?? null
    case 'log/audit':
      return directory.auditLog(did)
    case 'log/last':
      return directory.auditLog(did)?.at(-1)?.operation ?? null
    default:
      return undefined
  }
}

function notFound(): Response {
  return Response.json({ message: 'DID not registered' }, { status: 404 })
}

/** One operation a line, oldest first. */
function exportOf(directory: PlcDirectory, params: URLSearchParams): Response {
  const count = Number(params.get('count') ?? EXPORT_COUNT)
  if (!Number.isInteger(count) || count < 1) return xrpcError(400, 'InvalidRequest', 'count')
  const entries = directory.export(params.get('after'), Math.min(count, EXPORT_COUNT_MAX))
  return new Response(entries.map((entry) => JSON.stringify(entry)).join('\n'), {
    headers: { 'content-type': 'application/jsonlines' },
  })
}
