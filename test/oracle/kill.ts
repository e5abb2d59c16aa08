/**
 * The oracle of kills: a relay in a process of its own that is killed again and again, at chosen
 * places or by chance, while a simulated network writes and subscribers read. What they were sent
 * is held against what the hosts said, and against what is replayed after each start.
 */
import { join } from 'node:path'
import type { CrashPoint } from '../../src/lib/crash-point.ts'
import { sleep, systemClock } from '../../src/lib/clock.ts'
import { messageOf } from '../../src/lib/errors.ts'
import { type Random, seededRandom } from '../../src/lib/random.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { below, pickOf } from '../../src/sim/distributions.ts'
import { type SimNetwork, startNetwork } from '../../src/sim/network.ts'
import { encodeMessageFrame } from '../../src/stream/own-frames.ts'
import { compareAccounts } from './compare.ts'
import { KillAudit } from './kill-audit.ts'
import { KillModel } from './kill-model.ts'
import { drawKill, type KillPlan } from './kill-plan.ts'
import { KillReader } from './kill-reader.ts'
import { KillRelay } from './kill-relay.ts'
import { callJson } from './xrpc-call.ts'

export interface KillOptions {
  readonly seed: number
  readonly kills: number
  /** Events a second of the whole network; default 400. */
  readonly rate?: number
  /** The first kills; those after them are drawn by chance. */
  readonly plans?: readonly KillPlan[]
  /** Told now and then how it stands. */
  readonly onProgress?: (line: string) => void
}

export interface KillReport {
  readonly seed: number
  /** What is wrong; empty when everything is as it must be. */
  readonly violations: readonly string[]
  readonly kills: number
  /** How often the relay killed itself at each crash point. */
  readonly struck: ReadonlyMap<CrashPoint, number>
  /** Kills from outside: while it started, and while it served. */
  readonly inStart: number
  readonly inService: number
  /** Honest events, frames that were sent again, cursors that were checked, changes of accounts. */
  readonly events: number
  readonly replayed: number
  readonly cursors: number
  readonly changes: number
  readonly tookMs: number
}

const HOSTS = 3
const ACCOUNTS = 40
const RATE = 400
/** How long events may take to come out after a start before a kill does not wait for them, ms. */
const FLOW_PATIENCE_MS = 3_000
/** A relay is stopped in order so long after a start at most, ms, and may take so long. */
const STOPS_MS = 400
const STOP_PATIENCE_MS = 5_000
/** How long nothing may come out when nothing is killed and there is something to come, ms. */
const QUIET_PATIENCE_MS = 30_000
/** Events that may be on their way: with more, a busy machine has a relay that only catches up. */
const BEHIND_MAX = 1_500
const BURST = 20
const LOOK_MS = 5
/** Accounts change when everything has come out, before every so many kills. */
const KILLS_PER_CHANGE = 8
const CHANGES = 2
/** Commits that a host sends again under new seqs in each life: dropped, with a place. */
const REPEATS = 5
const KILLS_PER_REPORT = 10
/** Points that somebody's end leads to. */
const OF_ENDS = /^(?:purge\.|relay\.purging$)/u
/** A first guess, ms. */
const START_MS = 600

class Run {
  readonly #network: SimNetwork
  readonly #random: Random
  readonly #data: string
  readonly model: KillModel
  readonly #tips: readonly KillReader[]
  readonly #slow: KillReader
  readonly #struck = new Map<CrashPoint, number>()
  #life = 0
  #inStart = 0
  #inService = 0
  #changes = 0
  #startMs = START_MS
  /** Cursors that this life has asked its hosts for: the first of each. */
  readonly #asked = new Map<number, number>()
  #load: { readonly abort: AbortController; readonly done: Promise<void> } | null = null

  constructor(network: SimNetwork, random: Random, data: string) {
    this.#network = network
    this.#random = random
    this.#data = data
    this.model = new KillModel(network.world)
    this.#tips = ['first', 'second'].map((name) => new KillReader(name, this.model))
    this.#slow = new KillReader('slow', this.model)
    for (const [host, front] of network.hosts.entries()) {
      front.onAsked((cursor) => {
        if (cursor === null) this.model.violate(`host ${host} was asked for no cursor`)
        else if (!this.#asked.has(host)) this.#asked.set(host, cursor)
      })
    }
  }

  get #startedLoad(): boolean {
    return this.#load !== null
  }

  report(seed: number, startedMs: number): KillReport {
    const { violations, looked, honest } = this.model
    return {
      seed,
      violations,
      kills: this.#inStart + this.#inService + this.#atPoints,
      struck: this.#struck,
      inStart: this.#inStart,
      inService: this.#inService,
      events: honest,
      replayed: looked.replayed,
      cursors: looked.cursors,
      changes: this.#changes,
      tookMs: systemClock.monotonicMs() - startedMs,
    }
  }

  get #atPoints(): number {
    return [...this.#struck.values()].reduce((sum, count) => sum + count, 0)
  }

  /** The next kill, by chance. */
  draw(): KillPlan {
    return drawKill(this.#random, this.#startMs)
  }

  #startLoad(): void {
    if (this.#startedLoad) return
    const abort = new AbortController()
    this.#load = { abort, done: this.#send(abort.signal) }
  }

  /** Sends until the signal aborts, and waits for a relay that has fallen behind. */
  async #send(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const behind = this.#network.world.eventCount - this.model.honest
      if (behind < BEHIND_MAX) await this.#network.run({ events: BURST, pace: 'clock', signal })
      else await sleep(systemClock, LOOK_MS, signal)
    }
  }

  async stopLoad(): Promise<void> {
    this.#load?.abort.abort()
    await this.#load?.done
    this.#load = null
  }

  #spawn(plan: KillPlan | null): KillRelay {
    this.#life++
    this.#asked.clear()
    const { plc, hosts } = this.#network
    return KillRelay.spawn({
      data: this.#data,
      plc: plc.url,
      hosts: hosts.map(({ endpoint }) => endpoint),
      ...(plan?.kind === 'point' ? { point: plan.point, nth: plan.nth } : { point: null, nth: 0 }),
    })
  }

  /** One life, which ends as planned; `changes` accounts change before. */
  async kill(plan: KillPlan, changes: number): Promise<void> {
    this.#startLoad()
    const startedMs = systemClock.monotonicMs()
    await using relay = this.#spawn(plan)
    if (plan.kind === 'start') await this.#killAfter(relay, plan.afterMs)
    const address = await relay.serving()
    if (address !== null) {
      this.#startMs = (this.#startMs + systemClock.monotonicMs() - startedMs) / 2
      await using audit = this.#join(relay, address)
      audit.start()
      const isEnd = plan.kind === 'point' && OF_ENDS.test(plan.point)
      if (changes > 0) await this.#changeAccounts(relay, changes)
      if (isEnd) await this.#endSomebody(relay)
      this.#startLoad()
      if (plan.kind === 'point' && plan.point === 'log.closing') {
        await pass(relay, this.#random.next() * STOPS_MS)
        relay.signal('SIGTERM')
        await pass(relay, STOP_PATIENCE_MS)
      }
      if (plan.kind !== 'time' || plan.from === 'flowing') await this.#untilFlowing(relay)
      await this.#killAfter(relay, plan.kind === 'point' ? plan.patienceMs : plan.afterMs)
    }
    await this.#over(relay, plan)
  }

  async #killAfter(relay: KillRelay, ms: number): Promise<void> {
    await pass(relay, ms)
    relay.signal('SIGKILL')
    await relay.ended()
  }

  /** Waits until something new has come out. */
  async #untilFlowing(relay: KillRelay): Promise<void> {
    const { frontier } = this.model
    const untilMs = systemClock.monotonicMs() + FLOW_PATIENCE_MS
    while (this.model.frontier === frontier && !relay.isOver) {
      if (systemClock.monotonicMs() > untilMs) return
      await sleep(systemClock, LOOK_MS)
    }
  }

  /** Subscribers come back, each to its place; hosts repeat themselves. */
  #join(relay: KillRelay, address: string): KillAudit {
    for (const reader of this.#tips) reader.connect(address)
    this.#slow.connect(address)
    this.#repeat()
    return new KillAudit({
      model: this.model,
      random: this.#random,
      relay,
      address,
      slow: this.#slow,
    })
  }

  async #leave(): Promise<void> {
    await Promise.all([...this.#tips, this.#slow].map((reader) => reader.gone()))
  }

  /** Sends newest commits again under new seqs: nothing may come of them but a dropped event. */
  #repeat(): void {
    const { simulation } = this.#network
    for (let i = 0; i < REPEATS; i++) {
      const { host, status, lastCommit } = pickOf(this.#random, simulation.accounts)
      if (lastCommit === null || status !== 'active') continue
      const { log } = simulation.host(host)
      log.append(encodeMessageFrame('#commit', { ...lastCommit, seq: log.nextSeq }))
    }
  }

  /** The relay is gone: what it leaves is counted, and its subscribers too. */
  async #over(relay: KillRelay, plan: KillPlan | null): Promise<void> {
    const { code, signal } = await relay.ended()
    await this.#leave()
    const asCalledFor = relay.sent === 'SIGTERM' && code === 0
    if (signal !== 'SIGKILL' && !asCalledFor) {
      this.model.violate(`life ${this.#life} ended with ${code ?? signal}: ${relay.stderr}`)
    }
    for (const text of relay.violations) this.model.violate(`life ${this.#life}: ${text}`)
    for (const [host, cursor] of this.#asked) {
      const { durableSeq } = relay
      if (durableSeq === null) this.model.violate(`life ${this.#life} read without a log`)
      else this.model.asked({ life: this.#life, host, cursor, durableSeq })
    }
    this.model.checkCursors()
    if (plan === null || signal !== 'SIGKILL') return
    if (plan.kind === 'point' && relay.sent !== 'SIGKILL') {
      this.#struck.set(plan.point, (this.#struck.get(plan.point) ?? 0) + 1)
    } else if (plan.kind === 'start') this.#inStart++
    else this.#inService++
  }

  // ---- When everything has come out

  /** Waits until every honest event has come out; false when the relay ended before. */
  async #untilQuiet(relay: KillRelay): Promise<boolean> {
    await this.stopLoad()
    let { honest } = this.model
    let untilMs = systemClock.monotonicMs() + QUIET_PATIENCE_MS
    while (this.model.honest !== this.#network.world.eventCount) {
      if (this.model.honest > honest) untilMs = systemClock.monotonicMs() + QUIET_PATIENCE_MS
      ;({ honest } = this.model)
      if (relay.isOver) return false
      if (this.model.violations.length > 0) throw new Error('something is wrong already')
      if (systemClock.monotonicMs() > untilMs) {
        const missing = this.model.missing()
        throw new Error(`${missing.length} events do not come out: ${missing.slice(0, 5).join()}`)
      }
      await sleep(systemClock, LOOK_MS)
    }
    return !relay.isOver
  }

  async #changeAccounts(relay: KillRelay, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      if (!(await this.#untilQuiet(relay))) return
      if ((await this.#network.changeInTurn()) !== null) this.#changes++
      this.model.noteEnds()
    }
  }

  /** An account is gone for good, and another comes in its place. */
  async #endSomebody(relay: KillRelay): Promise<void> {
    if (!(await this.#untilQuiet(relay))) return
    const kind = below(this.#random, 2) === 0 ? 'takedown' : 'delete'
    if (await this.#network.change(kind)) this.#changes++
    this.model.noteEnds()
    await this.#network.change('create')
  }

  /** Everything comes out, is replayed whole, and hosts are asked for no more than is new. */
  async end(): Promise<void> {
    for (const isLast of [false, true]) {
      await using relay = this.#spawn(null)
      const address = await relay.serving()
      if (address === null) throw new Error(`the relay does not start: ${relay.stderr}`)
      for (const reader of [...this.#tips, this.#slow]) reader.connect(address)
      await this.#untilQuiet(relay)
      await Promise.all(
        [...this.#tips, this.#slow].map((reader) => reader.reached(this.model.frontier)),
      )
      const all = new KillReader('replay of all', this.model)
      all.connect(address)
      await all.reached(this.model.frontier)
      await all.gone()
      const faults = await compareAccounts(this.#network, {
        call: (nsid, params = {}) => callJson(`http://${address}`, nsid, params),
      })
      for (const fault of faults) this.model.violate(fault)
      if (isLast) this.#checkLastCursors()
      relay.signal('SIGTERM')
      await this.#over(relay, null)
    }
  }

  /** After a stop in order with nothing undecided, hosts are asked for what is new. */
  #checkLastCursors(): void {
    for (const [host, cursor] of this.#asked) {
      const { publishedSeq } = this.#network.simulation.host(host).log
      if (cursor === publishedSeq) continue
      this.model.violate(`I7: host ${host} is at ${publishedSeq}, and was asked for ${cursor}`)
    }
    if (this.#asked.size !== HOSTS) this.model.violate('not every host was asked')
  }

  progress(kills: number, of: number): string {
    const { model } = this
    const points = [...this.#struck.keys()].length
    return (
      `kill ${kills}/${of}: ${model.honest} events, ${this.#inStart} kills in a start, ` +
      `${this.#inService} in service, ${this.#atPoints} at ${points} crash points; ` +
      `${model.looked.replayed} frames replayed, ${model.looked.cursors} cursors checked, ` +
      `${model.violations.length} violations`
    )
  }
}

/** Waits so long, or until the relay is gone. */
async function pass(relay: KillRelay, ms: number): Promise<void> {
  const abort = new AbortController()
  const ended = relay.ended().finally(() => abort.abort())
  await Promise.race([sleep(systemClock, ms, abort.signal), ended])
}

/** Kills one relay as often as is wanted. What could not go on is a violation too. */
export async function runKills(options: KillOptions): Promise<KillReport> {
  const { seed, kills, rate = RATE, plans = [], onProgress = () => undefined } = options
  const startedMs = systemClock.monotonicMs()
  await using directory = await TemporaryDirectory.create('skein-kill-')
  await using network = await startNetwork({
    seed,
    hosts: HOSTS,
    accounts: ACCOUNTS,
    records: 80,
    rate,
    changes: 0,
    history: 'kept',
    // Whoever changes an account has waited before.
    gate: () => Promise.resolve(),
  })
  const run = new Run(network, seededRandom(seed), join(directory.path, 'data'))
  let number = 0
  try {
    while (number < kills && run.model.violations.length === 0) {
      const plan = plans[number] ?? run.draw()
      number++
      const isDue = number % KILLS_PER_CHANGE === 0
      await run.kill(plan, isDue ? CHANGES : 0)
      if (number % KILLS_PER_REPORT === 0) onProgress(run.progress(number, kills))
    }
    if (run.model.violations.length === 0) await run.end()
  } catch (error) {
    run.model.violate(`kill ${number}: ${messageOf(error)}`)
  } finally {
    await run.stopLoad()
  }
  return run.report(seed, startedMs)
}
