/** Starts the relay that is measured: ours as an operator would, or any other from a template. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { must } from '../../src/lib/assert.ts'
import { messageOf } from '../../src/lib/errors.ts'

/** How a relay is started and told about hosts. */
export interface RelayRecipe {
  readonly name: string
  /**
   * For a shell: `{port}` and `{metrics-port}` to listen on, `{data}` an empty directory, `{plc}`
   * the URL of the directory, `{hosts}` the URLs of the hosts with commas between them, and
   * `{host-names}` the same without `http://`.
   */
  readonly command: string
  readonly learnsHosts: LearnsHosts
  /** Prometheus counter of dropped events with a label `reason`, at `{metrics-port}`. */
  readonly droppedMetric: string | null
}

/** By its command line, by com.atproto.sync.requestCrawl, or by a call that a template gives. */
export type LearnsHosts =
  | { readonly by: 'flag' }
  | { readonly by: 'request-crawl' }
  | {
      readonly by: 'call'
      /** `METHOD URL BODY`, with `{port}` of the relay, `{host}` and `{host-name}`. */
      readonly call: string
      /** `Name: value`. */
      readonly headers: readonly string[]
    }

export interface RelayOptions {
  readonly recipe: RelayRecipe
  /** A directory of its own, empty. */
  readonly directory: string
  readonly plcUrl: string
  /** `http://localhost:1234` of each host. */
  readonly endpoints: readonly string[]
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Most that a relay may take until it answers, ms. */
const START_MS_MAX = 60_000
const STOP_MS_MAX = 15_000
const POLL_MS = 50
const OUTPUT_CHARS_SHOWN = 2_000
const REQUEST_CRAWL =
  'POST http://127.0.0.1:{port}/xrpc/com.atproto.sync.requestCrawl {"hostname":"{host-name}"}'
/** Ours never holds a host back, and lets all subscribers come from this machine. */
const SKEIN_OPTIONS = [
  '--bind 127.0.0.1:{port} --metrics-bind 127.0.0.1:{metrics-port} --data {data}',
  '--allow-private-network --plc {plc} --host {hosts}',
  '--host-events-per-second 1000000 --requests-per-minute 1000000',
  '--subscribers-max 3000 --subscribers-per-address-max 3000',
].join(' ')

/** Skein, with the flags of `npm start`. */
export function skeinRecipe(): RelayRecipe {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  const start = must(scripts['start'], 'npm start')
  const command = start.replace(/^node /, () => `exec '${process.execPath}' `)
  return {
    name: 'skein',
    command: `${command} ${SKEIN_OPTIONS}`,
    learnsHosts: { by: 'flag' },
    droppedMetric: 'skein_events_dropped_total',
  }
}

/** A relay that runs and answers. Owns the process, not the directory. */
export class RelayProcess implements AsyncDisposable {
  readonly pid: number
  readonly port: number
  readonly #recipe: RelayRecipe
  readonly #metricsPort: number
  readonly #process: ChildProcess
  readonly #output: string
  readonly #exited: Promise<void>
  readonly #kill = (): void => this.#signal('SIGKILL')

  private constructor(
    recipe: RelayRecipe,
    process: ChildProcess,
    [port, metricsPort]: readonly [number, number],
    output: string,
  ) {
    this.#recipe = recipe
    this.#process = process
    this.#metricsPort = metricsPort
    this.pid = must(process.pid, 'process')
    this.port = port
    this.#output = output
    this.#exited = new Promise((resolve) => process.on('exit', () => resolve()))
    // Before directories of this process are removed, which may be listening for its end too.
    globalThis.process.prependListener('exit', this.#kill)
  }

  /** Resolves when the relay answers and has been told about the hosts. */
  static async start(options: RelayOptions): Promise<RelayProcess> {
    const { recipe, directory, plcUrl, endpoints } = options
    const [port, metricsPort] = await freePorts()
    const data = join(directory, 'data')
    mkdirSync(data)
    const values: Readonly<Record<string, string>> = {
      port: String(port),
      'metrics-port': String(metricsPort),
      data,
      plc: plcUrl,
      hosts: endpoints.join(','),
      'host-names': endpoints.map((endpoint) => new URL(endpoint).host).join(','),
    }
    const output = join(directory, 'output')
    const file = openSync(output, 'a')
    // A group of its own, so that a stop reaches whatever the shell has started.
    const process = spawn('sh', ['-c', filled(recipe.command, values)], {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', file, file],
    })
    closeSync(file)
    const relay = new RelayProcess(recipe, process, [port, metricsPort], output)
    try {
      await relay.#answers()
      await relay.#tell(recipe.learnsHosts, endpoints)
    } catch (error) {
      await relay[Symbol.asyncDispose]()
      throw new Error(`start ${recipe.name}: ${messageOf(error)}\n${relay.output}`, {
        cause: error,
      })
    }
    return relay
  }

  /** The end of what it has printed. */
  get output(): string {
    return readFileSync(this.#output, 'utf8').slice(-OUTPUT_CHARS_SHOWN)
  }

  /** Events that it has dropped, by reason; nothing where it does not tell. */
  async dropped(): Promise<Readonly<Record<string, number>>> {
    const { droppedMetric } = this.#recipe
    if (droppedMetric === null) return {}
    const answer = await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)
    const pattern = new RegExp(`^${droppedMetric}\\{.*\\breason="([^"]*)".*\\} ([1-9]\\d*)$`, 'gm')
    const found = [...(await answer.text()).matchAll(pattern)]
    return Object.fromEntries(found.map(([, reason = '', count]) => [reason, Number(count)]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal('SIGTERM')
    const timer = setTimeout(() => this.#signal('SIGKILL'), STOP_MS_MAX)
    await this.#exited
    clearTimeout(timer)
    // What its shell may have left behind.
    this.#kill()
    process.removeListener('exit', this.#kill)
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch {
      // Nobody of the group is left.
    }
  }

  async #answers(): Promise<void> {
    const until = performance.now() + START_MS_MAX
    for (;;) {
      if (this.#process.exitCode !== null) throw new Error('the process has ended')
      try {
        const answer = await fetch(`http://127.0.0.1:${this.port}/xrpc/_health`)
        await answer.arrayBuffer()
        return
      } catch (error) {
        if (performance.now() > until) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  async #tell(how: LearnsHosts, endpoints: readonly string[]): Promise<void> {
    if (how.by === 'flag') return
    const { call, headers } = how.by === 'call' ? how : { call: REQUEST_CRAWL, headers: [] }
    for (const endpoint of endpoints) {
      const values = {
        port: String(this.port),
        host: endpoint,
        'host-name': new URL(endpoint).host,
      }
      await callByTemplate(filled(call, values), headers)
    }
  }
}

/** `METHOD URL BODY`, of which the body may be left out. */
async function callByTemplate(call: string, headers: readonly string[]): Promise<void> {
  const [, method = '', url = '', body = ''] = /^(\S+)\s+(\S+)\s*(.*)$/s.exec(call.trim()) ?? []
  const pairs = headers.map((line): [string, string] => {
    const [name = '', ...value] = line.split(':')
    return [name.trim(), value.join(':').trim()]
  })
  const answer = await fetch(url, {
    method,
    headers: [['content-type', 'application/json'], ...pairs],
    body: body === '' ? null : body,
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`)
}

function filled(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{([a-z-]+)\}/g, (placeholder, name: string) =>
    Object.hasOwn(values, name) ? must(values[name], 'value') : placeholder,
  )
}

/** Two ports of loopback that nobody had a moment ago. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const
  const ports = servers.map(
    (server) =>
      new Promise<number>((resolve) => {
        server.listen(0, '127.0.0.1', () => {
          const address = server.address()
          resolve(typeof address === 'object' && address !== null ? address.port : 0)
        })
      }),
  )
  const [first = 0, second = 0] = await Promise.all(ports)
  await Promise.all(
    servers.map((server) => new Promise((resolve) => server.close(() => resolve(null)))),
  )
  return [first, second]
}
