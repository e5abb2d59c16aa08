/** `skein demo`: a simulated network and a relay that crawls it, to look at. Needs no internet. */
import { systemClock } from '../../lib/clock.ts'
import { codeOf } from '../../lib/errors.ts'
import { MetricsRegistry } from '../../ops/metrics.ts'
import type { ListenAddress } from '../../ops/option-table.ts'
import type { DemoOptions } from '../../ops/sim-options.ts'
import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import type { SimNetwork } from '../../sim/network.ts'
import type { DemoAddresses } from './demo-screen.ts'
import { factsLine, redraw, screenLines } from './demo-screen.ts'
import { DemoStats } from './demo-stats.ts'
import { type CliIo, EXIT } from '../io.ts'
import type { RunningRelay, StartRelay } from './relay-command.ts'
import { reportError } from '../shared/report-error.ts'
import { listenForStop } from './stop-signal.ts'

/** Shares are given for so many events. */
const SHARE_OF = 1_000
const REFRESH_MS = 1_000

/** Runs the demo until a signal, its end, or a failure, and returns the exit code. */
export async function runDemo(
  options: DemoOptions,
  io: CliIo,
  startRelay: StartRelay,
): Promise<number> {
  const stopSignal = listenForStop(io)
  try {
    await using stack = new AsyncDisposableStack()
    io.stderr('skein: making a network...\n')
    const network = stack.use(await makeNetwork(options))
    const directory = stack.use(await TemporaryDirectory.create('skein-demo-'))
    const parts = { network, data: directory.path, startRelay }
    const { relay, registry } = await openRelay(options.bind, parts)
    stack.defer(() => relay.stop())
    const abort = new AbortController()
    const running = network.run({ pace: 'clock', signal: abort.signal })
    stack.defer(async () => {
      abort.abort()
      await running
    })
    const stats = new DemoStats({ registry, network, clock: systemClock })
    const show = shower(io, stats, {
      relay: `http://${relay.address}`,
      plc: network.plc.url,
      host: network.hosts[0]?.endpoint ?? '',
    })
    stack.defer(() => show.stop())
    const end = await Promise.race([stopSignal.received, relay.failed, timeUp(options.duration)])
    if (end instanceof Error) return reportError(io, end, options.debug ? 'stack' : 'line')
    io.stderr('skein: stopping\n')
    return EXIT.ok
  } finally {
    stopSignal.forget()
  }
}

async function makeNetwork(options: DemoOptions): Promise<SimNetwork> {
  const { startNetwork } = await import('../../sim/network.ts')
  const { DNS_FAULTS, STREAM_FAULTS } = await import('../../sim/faults.ts')
  const { seed, hosts, accounts, records, rate } = options
  return startNetwork({
    seed,
    hosts,
    accounts,
    records,
    rate,
    lies: options.lies / SHARE_OF,
    faults: options.faults / SHARE_OF,
    changes: options.changes / SHARE_OF,
    faultKinds: [...STREAM_FAULTS, ...DNS_FAULTS],
    dns: 'simulated',
  })
}

interface RelayParts {
  readonly network: SimNetwork
  readonly data: string
  readonly startRelay: StartRelay
}

interface OpenRelay {
  readonly relay: RunningRelay
  readonly registry: MetricsRegistry
}

/** Starts the relay; on any port when the wanted one is taken. */
async function openRelay(bind: ListenAddress, parts: RelayParts): Promise<OpenRelay> {
  const { network, data, startRelay } = parts
  const start = async (at: ListenAddress): Promise<OpenRelay> => {
    const registry = new MetricsRegistry()
    const hosts = network.hosts.map(({ endpoint }) => endpoint)
    const plc = [network.plc.url]
    const { resolveAddresses } = network
    const relay = await startRelay({ bind: at, data, plc, hosts, registry, resolveAddresses })
    return { relay, registry }
  }
  try {
    return await start(bind)
  } catch (error) {
    if (codeOf(error) !== 'ADDRESS_UNAVAILABLE') throw error
    return start({ ...bind, port: 0 })
  }
}

/** Resolves after a time; never when it is 0. */
function timeUp(durationMs: number): Promise<null> {
  return new Promise((resolve) => {
    if (durationMs > 0) systemClock.after(durationMs, () => resolve(null))
  })
}

/** Shows the demo once a second until it is stopped. */
function shower(io: CliIo, stats: DemoStats, addresses: DemoAddresses): { stop(): Promise<void> } {
  let drawn = 0
  let stopped = false
  let showing = Promise.resolve()
  const show = async (): Promise<void> => {
    const facts = await stats.facts()
    if (stopped) return
    if (io.stdoutIsTerminal) {
      const lines = screenLines(facts, addresses)
      io.stdout(redraw(lines, drawn))
      drawn = lines.length
    } else io.stdout(`${factsLine(facts)}\n`)
    systemClock.after(REFRESH_MS, () => {
      if (!stopped) showing = show()
    })
  }
  if (!io.stdoutIsTerminal) {
    io.stdout(`${['relay', 'plc', 'host'].map((k) => addressLine(k, addresses)).join('\n')}\n`)
  }
  showing = show()
  return {
    stop() {
      stopped = true
      return showing
    },
  }
}

function addressLine(name: string, addresses: DemoAddresses): string {
  const { relay, plc, host } = addresses
  const lines: Readonly<Record<string, string>> = {
    relay: `relay ${relay}/xrpc/com.atproto.sync.listHosts`,
    plc: `directory ${plc}/export?count=2`,
    host: `host ${host}/xrpc/com.atproto.sync.listRepos?limit=5`,
  }
  return lines[name] ?? ''
}
