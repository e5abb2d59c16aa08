/** `skein sim`: a simulated network, until it is told to stop; or signed traffic in a file. */
import { systemClock } from '../../lib/clock.ts'
import { VERSION } from '../../ops/build-info.ts'
import { pathOf, type SimOptions } from '../../ops/sim-options.ts'
import type { SimNetwork } from '../../sim/network.ts'
import type { RunningReplay } from '../../sim/replay-traffic.ts'
import { type CliIo, EXIT } from '../io.ts'
import { listenForStop } from './stop-signal.ts'

/** Shares are given for so many events. */
const SHARE_OF = 1_000
/** Events that are signed when no number is given. */
const RECORDED_EVENTS = 20_000

/** Runs `skein sim` and returns the exit code. Rejects with a SkeinError when it cannot start. */
export async function runSim(options: SimOptions, io: CliIo): Promise<number> {
  const record = pathOf(options.record)
  if (record !== null) return runRecord(record, options, io)
  const stopSignal = listenForStop(io)
  try {
    const replay = pathOf(options.replay)
    return await (replay === null
      ? serveNetwork(options, io, stopSignal.received)
      : serveReplay(replay, options, io, stopSignal.received))
  } finally {
    stopSignal.forget()
  }
}

async function runRecord(path: string, options: SimOptions, io: CliIo): Promise<number> {
  const { recordTraffic } = await import('../../sim/record-traffic.ts')
  const { seed, hosts, accounts, records, rate } = options
  const events = options.events === 0 ? RECORDED_EVENTS : options.events
  // Every rev has to be past when the file is replayed.
  const tookMs = Math.ceil((events / rate) * 1_000)
  const startMs = options.startMs ?? systemClock.nowMs() - tookMs
  const frames = await recordTraffic(path, {
    seed,
    hosts,
    accounts,
    records,
    rate,
    startMs,
    events,
    onProgress: (signed) => io.stderr(`skein: ${signed} of ${events} events signed\n`),
  })
  io.stderr(`skein: ${frames} frames in ${path}\n`)
  return EXIT.ok
}

async function serveNetwork(
  options: SimOptions,
  io: CliIo,
  stopped: Promise<unknown>,
): Promise<number> {
  const { startNetwork } = await import('../../sim/network.ts')
  const { seed, hosts, accounts, records, rate, port, pace, startMs } = options
  await using network: SimNetwork = await startNetwork({
    seed,
    hosts,
    accounts,
    records,
    rate,
    port,
    ...(startMs === null ? {} : { startMs }),
    lies: options.lies / SHARE_OF,
    faults: options.faults / SHARE_OF,
    changes: options.changes / SHARE_OF,
  })
  const endpoints = network.hosts.map(({ endpoint }) => endpoint)
  io.stderr(announcement(`a network from seed ${seed}`, network.plc.url, endpoints))
  const abort = new AbortController()
  const running = network.run({
    pace,
    signal: abort.signal,
    ...(options.events === 0 ? {} : { events: options.events }),
  })
  // What was sent stays there to be read when no more follows.
  await Promise.race([stopped, running.then(() => stopped)])
  abort.abort()
  await running
  const { ledger, world } = network.simulation
  io.stderr(`skein: sent ${world.eventCount} honest events and ${ledger.count} lies\n`)
  const struck = [...network.faults.fired()].map(([kind, count]) => `${kind} ${count}`)
  if (struck.length > 0) io.stderr(`skein: faults that struck: ${struck.join(', ')}\n`)
  const waiting = network.faults.pending()
  if (waiting.length > 0) io.stderr(`skein: faults that nobody met: ${waiting.join(', ')}\n`)
  return EXIT.ok
}

async function serveReplay(
  path: string,
  options: SimOptions,
  io: CliIo,
  stopped: Promise<unknown>,
): Promise<number> {
  const [{ TrafficFile }, { startReplay }] = await Promise.all([
    import('../../sim/traffic-file.ts'),
    import('../../sim/replay-traffic.ts'),
  ])
  using traffic = TrafficFile.open(path)
  const rate = options.pace === 'free' ? null : options.rate
  await using replay: RunningReplay = await startReplay({ traffic, rate, port: options.port })
  const what = `${replay.frames} events from ${path}`
  io.stderr(announcement(what, replay.plcUrl, replay.endpoints))
  replay.start()
  await stopped
  io.stderr(`skein: ${replay.published()} of ${replay.frames} events were sent\n`)
  return EXIT.ok
}

/** Hosts that are named one by one. */
const HOSTS_SHOWN = 5

function announcement(what: string, plc: string, endpoints: readonly string[]): string {
  const [first = ''] = endpoints
  const rest = endpoints.length - HOSTS_SHOWN
  const hosts = endpoints.map((endpoint) => `--host ${endpoint}`).join(' ')
  const lines = [
    `skein ${VERSION}: ${what}`,
    `  directory  ${plc}`,
    ...endpoints.slice(0, HOSTS_SHOWN).map((endpoint) => `  host       ${endpoint}`),
    ...(rest > 0 ? [`             and ${rest} more on the ports after these`] : []),
    `  read it    curl '${first}/xrpc/com.atproto.sync.listRepos?limit=3'`,
    `  subscribe  ${first.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`,
    `  relay it   skein relay --allow-private-network --plc ${plc} \\`,
    `               ${hosts}`,
    `  stop       Ctrl-C`,
  ]
  return `${lines.join('\n')}\n`
}
