/** One run: a network with one format of DID documents, the relay, and all steps and checks. */

import { join } from 'node:path'

import type { Check } from './checks/check.ts'
import { checkOf } from './checks/check.ts'
import { checkClientCalls } from './checks/client-calls.ts'
import { checkClientErrors } from './checks/client-errors.ts'
import { checkClientEvents } from './checks/client-events.ts'
import { checkClientProofs } from './checks/client-proofs.ts'
import { checkConsumers } from './checks/consumers.ts'
import { checkHostBlobs } from './checks/host-blobs.ts'
import { checkHostRepos } from './checks/host-repos.ts'
import { checkHostStream } from './checks/host-stream.ts'
import { checkHttp } from './checks/http.ts'
import { checkOracle } from './checks/oracle.ts'
import { checkReplay } from './checks/replay.ts'
import { checkStop, checkStreams, countCloses } from './checks/streams.ts'
import { Ledger } from './compare/ledger.ts'
import type { Observations, Row } from './compare/rows.ts'
import { compare } from './compare/rows.ts'
import { freePort } from './net/ports.ts'
import { mustHappen, sleep, waitUntil } from './net/wait.ts'
import { procedure } from './net/xrpc.ts'
import { RelayProcess } from './relay/relay-process.ts'
import { writesAcrossCrash, writesAcrossKill, writesWhileDown } from './scenario/load-steps.ts'
import { Scene } from './scenario/scene.ts'
import { scenario } from './scenario/steps.ts'
import { warmUpStep } from './scenario/warm-up.ts'
import { Consumers } from './skein-client/consumers.ts'
import { StepRunner } from './step-runner.ts'
import { CONNECTIONS_PER_WATCHER, Watcher } from './streams/observers.ts'
import type { Pds, PdsName } from './world/pds.ts'
import type { DocumentFormat } from './world/plc.ts'
import type { World } from './world/world.ts'
import { startWorld } from './world/world.ts'

/** How long connections may take to be established, ms. */
const CONNECT_TIMEOUT_MS = 15_000
/** How long the PDSes keep quiet after that, for both ends to be ready, ms. */
const CONNECT_GRACE_MS = 300
/**
 * When the relay is killed, ms after the first event of a round of writes has come through; a round
 * takes two seconds or more.
 */
const CRASH_DELAYS_MS = [50, 250, 500]
/** How long that first event may take, ms. */
const FIRST_EVENT_TIMEOUT_MS = 5_000
/** How long a killed relay stays away, ms. */
const CRASH_PAUSE_MS = 300

export interface RunSettings {
  readonly format: DocumentFormat
  /** The relay's entry point. */
  readonly entry: string
  /** For everything that the run writes; the caller removes it. */
  readonly directory: string
  readonly progress: (text: string) => void
  readonly onRelayOutput: (text: string) => void
}

export interface RunReport {
  readonly format: DocumentFormat
  /** Names of the steps in order, also of those that made no event. */
  readonly steps: readonly string[]
  readonly rows: readonly Row[]
  readonly checks: readonly Check[]
}

/** Boots everything, runs the scenario, restarts and crashes, and stops everything again. */
export async function run(settings: RunSettings): Promise<RunReport> {
  settings.progress('booting a PLC directory, two PDSes and a repository host')
  await using stack = new AsyncDisposableStack()
  const world = await startWorld(settings.format, settings.directory)
  stack.defer(() => world.close())
  const direct = {
    A: new Watcher(world.pdses.A.origin, world.plc.url),
    B: new Watcher(world.pdses.B.origin, world.plc.url),
    S: new Watcher(world.pdses.S.origin, world.plc.url),
  }
  stack.defer(async () => {
    await Promise.all(Object.values(direct).map((watcher) => watcher.stop()))
  })
  await connected(world, CONNECTIONS_PER_WATCHER, 'the clients did not reach the PDSes')

  const { plc, pdses } = world
  const relay = new RelayProcess(
    settings.entry,
    {
      port: await freePort(),
      plcUrl: plc.url,
      hosts: [pdses.A.host],
      dataDirectory: join(settings.directory, 'relay'),
    },
    settings.onRelayOutput,
  )
  stack.defer(async () => {
    await relay.kill()
  })
  settings.progress(`the relay started in ${await relay.start()} ms`)
  // The other way to add hosts, which the relay has to remember over its restarts.
  for (const { host } of [pdses.B, pdses.S]) {
    await procedure(relay.origin, 'com.atproto.sync.requestCrawl', { hostname: host })
  }
  await connected(world, CONNECTIONS_PER_WATCHER + 1, 'the relay did not subscribe to all PDSes')
  const relayed = new Watcher(relay.origin, plc.url)
  stack.defer(() => relayed.stop())
  const consumers = new Consumers(world, relay.origin, settings.directory)
  stack.defer(() => consumers.stop())
  return await new Run({ settings, world, direct, relay, relayed, consumers }).go()
}

async function connected(world: World, count: number, otherwise: string): Promise<void> {
  const all = async (): Promise<boolean> => {
    const counts = Object.values(world.pdses).map((pds: Pds) => pds.upgradeCount())
    return (await Promise.all(counts)).every((found) => found >= count)
  }
  await mustHappen(otherwise, all, CONNECT_TIMEOUT_MS)
  await sleep(CONNECT_GRACE_MS)
}

class Run {
  readonly #settings: RunSettings
  readonly #scene: Scene
  readonly #direct: Readonly<Record<PdsName, Watcher>>
  readonly #relay: RelayProcess
  readonly #relayed: Watcher
  readonly #consumers: Consumers
  readonly #ledger: Ledger
  readonly #runner: StepRunner
  readonly #checks: Check[] = []

  constructor(parts: {
    readonly settings: RunSettings
    readonly world: World
    readonly direct: Readonly<Record<PdsName, Watcher>>
    readonly relay: RelayProcess
    readonly relayed: Watcher
    readonly consumers: Consumers
  }) {
    const { settings, world, direct, relay, relayed, consumers } = parts
    this.#settings = settings
    this.#scene = new Scene(world)
    this.#direct = direct
    this.#relay = relay
    this.#relayed = relayed
    this.#consumers = consumers
    this.#ledger = new Ledger({ A: direct.A.raw, B: direct.B.raw, S: direct.S.raw })
    this.#runner = new StepRunner({
      scene: this.#scene,
      direct,
      relayed,
      consumers,
      ledger: this.#ledger,
      progress: settings.progress,
    })
  }

  async go(): Promise<RunReport> {
    const warmUp = warmUpStep(() => this.#relayed.position > 0)
    await this.#runner.run(warmUp, 'connecting')
    for (const step of scenario) await this.#runner.run(step)
    await this.#look('after the scenario')
    await this.#killConsumer()
    await this.#restart()
    for (const [i, delayMs] of CRASH_DELAYS_MS.entries()) await this.#crash(i + 1, delayMs)
    await this.#look('at the end')
    this.#checks.push(
      checkOf('the events of every step came in time', this.#runner.late),
      ...checkStreams(this.#relayed, this.#direct),
      ...(await checkOracle(this.#scene, this.#direct, this.#ledger)),
      ...this.#scene.checks,
      ...checkHostStream(this.#scene, this.#direct.S),
      ...(await checkHostRepos(this.#scene)),
      ...(await checkHostBlobs(this.#scene)),
      ...(await this.#lookAtClient()),
    )
    const { A, B, S } = this.#direct
    const rows = compare(
      this.#ledger.entries(),
      { A: observationsOf(A), B: observationsOf(B), S: observationsOf(S) },
      observationsOf(this.#relayed),
    )
    const steps = this.#ledger.windows.map((window) => window.step.name)
    return { format: this.#settings.format, steps, rows, checks: this.#checks }
  }

  async #look(when: string): Promise<void> {
    this.#settings.progress(`looking at HTTP and replay ${when}`)
    const { origin } = this.#relay
    this.#checks.push(
      ...(await checkHttp(origin, this.#scene, when)),
      ...(await checkReplay(origin, this.#relayed.raw.events, this.#scene, when)),
    )
  }

  /** Calls, errors, proofs and events of Skein's client, then what its consumers have delivered. */
  async #lookAtClient(): Promise<Check[]> {
    this.#settings.progress("looking at Skein's client")
    const { origin } = this.#relay
    const scene = this.#scene
    const checks = [
      ...(await checkClientCalls(origin, scene)),
      ...(await checkClientErrors(origin, scene)),
      ...(await checkClientProofs(origin, scene)),
      ...(await checkClientEvents(this.#direct, this.#relayed)),
    ]
    await this.#consumers.stop()
    const consumed = await checkConsumers({
      scene,
      consumers: this.#consumers,
      direct: this.#direct,
      relayed: this.#relayed,
      entries: this.#ledger.entries(),
    })
    return [...checks, ...consumed]
  }

  /** In the midst of a step; what it has missed must come when it is back. */
  async #killConsumer(): Promise<void> {
    this.#runner.restorePatience()
    const { relayed } = this.#consumers
    const consumedCount = (): number => relayed.lives().flat().length
    const before = consumedCount()
    let atKill = before
    const step = writesAcrossKill(async () => {
      await waitUntil(() => consumedCount() > before, FIRST_EVENT_TIMEOUT_MS)
      await relayed.kill()
      atKill = consumedCount()
      await sleep(CRASH_PAUSE_MS)
      relayed.start()
    })
    await this.#runner.run(step)
    const faults: string[] = []
    if (atKill === before) faults.push('nothing of the step had been delivered')
    if (consumedCount() === atKill) faults.push('nothing was left to be delivered')
    this.#checks.push(checkOf('kill -9 of the consumer struck in the midst of writes', faults))
  }

  async #restart(): Promise<void> {
    const before = countCloses(this.#relayed)
    const exit = await this.#relay.stop()
    this.#checks.push(...(await checkStop(this.#relayed, before, exit)))
    this.#runner.restorePatience()
    const step = writesWhileDown(async () => {
      await this.#relay.start()
    })
    await this.#runner.run(step)
  }

  async #crash(round: number, delayMs: number): Promise<void> {
    this.#runner.restorePatience()
    const progressOf = (): number => this.#relayed.raw.events.length
    const before = progressOf()
    let atCrash = before
    const step = writesAcrossCrash(round, async () => {
      // The first of the step must have come through, or nothing is torn apart.
      await waitUntil(() => progressOf() > before, FIRST_EVENT_TIMEOUT_MS)
      await sleep(delayMs)
      await this.#relay.kill()
      atCrash = progressOf()
      await sleep(CRASH_PAUSE_MS)
      await this.#relay.start()
    })
    await this.#runner.run(step)
    const faults: string[] = []
    if (atCrash === before) faults.push('nothing of the step had come through')
    if (progressOf() === atCrash) faults.push('nothing was left to come through')
    this.#checks.push(checkOf(`kill -9, round ${round}, struck in the midst of writes`, faults))
  }
}

function observationsOf(watcher: Watcher): Observations {
  return { frames: watcher.raw.events, clients: watcher.clients }
}
