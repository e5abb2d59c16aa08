/** Hosts, a relay and subscribers, each in a process of its own, and what a load does to them. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { assert } from '../../src/lib/assert.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import type { ReplayPace } from '../../src/sim/replay-pacer.ts'
import { Child } from './child.ts'
import type { HostsCalls } from './hosts.ts'
import { departures, type Latency, latencyOf } from './latencies.ts'
import { type ProcessFigures, processFigures } from './process-figures.ts'
import { RelayProcess, type RelayRecipe } from './relay-process.ts'
import type { OpenSubscribers, Received, SubscribersCalls } from './subscribers.ts'
import type { TrafficFacts } from './traffic.ts'

export interface SessionOptions {
  readonly recipe: RelayRecipe
  readonly trafficPath: string
  readonly traffic: TrafficFacts
}

/** What is measured by process. `crowd`: all subscribers but the one whose latency is taken. */
export const PARTS = ['relay', 'hosts', 'meter', 'crowd'] as const
export type Part = (typeof PARTS)[number]

/** What one load did. */
export interface Round {
  /** Events that the hosts let go, and those that came to the metering subscriber. */
  readonly sent: number
  readonly received: number
  readonly commits: number
  /** From the first event that was let go to the last one that every subscriber had. */
  readonly seconds: number
  readonly latency: Latency | null
  /** Microseconds by process; null where the system does not tell. */
  readonly cpuUs: Readonly<Record<Part, number>> | null
  /** Messages and bytes of all subscribers together. */
  readonly deliveries: number
  readonly bytes: number
  readonly relay: ProcessFigures | null
}

/** What one replay to all of the crowd took. */
export interface Replay {
  readonly received: Received
  readonly seconds: number
  readonly cpuUs: Round['cpuUs']
  readonly relay: ProcessFigures | null
}

/**
 * So long without a message, and what has not come will not: a relay may drop events. On a machine
 * that others use, a disk may well take ten seconds for one flush.
 */
const SILENT_MS = 30_000
const HOSTS_READ_MS_MAX = 30_000
const POLL_MS = 20
const STREAM = '/xrpc/com.atproto.sync.subscribeRepos'

export class Session implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack
  readonly #directory: string
  readonly #hosts: Child<HostsCalls>
  readonly #relay: RelayProcess
  readonly #meter: Child<SubscribersCalls>
  readonly #crowd: Child<SubscribersCalls>
  readonly #traffic: TrafficFacts
  readonly #seqs: { readonly published: number[]; readonly sent: number[] }
  /** Null while others replay. */
  #crowdSize: number | null = 0
  #published = 0

  private constructor(
    stack: AsyncDisposableStack,
    parts: {
      readonly directory: string
      readonly hosts: Child<HostsCalls>
      readonly relay: RelayProcess
      readonly meter: Child<SubscribersCalls>
      readonly crowd: Child<SubscribersCalls>
    },
    traffic: TrafficFacts,
  ) {
    this.#stack = stack
    this.#directory = parts.directory
    this.#hosts = parts.hosts
    this.#relay = parts.relay
    this.#meter = parts.meter
    this.#crowd = parts.crowd
    this.#traffic = traffic
    const zeros = (): number[] => traffic.keys.map(() => 0)
    this.#seqs = { published: zeros(), sent: zeros() }
  }

  /** Everything runs, the relay reads every host, and one subscriber is live. */
  static async start({ recipe, trafficPath, traffic }: SessionOptions): Promise<Session> {
    await using stack = new AsyncDisposableStack()
    const { path: directory } = stack.use(await TemporaryDirectory.create('skein-bench-relay-'))
    const hosts = stack.use(new Child<HostsCalls>('./hosts.ts', [trafficPath]))
    const meter = stack.use(new Child<SubscribersCalls>('./subscribers.ts'))
    const crowd = stack.use(new Child<SubscribersCalls>('./subscribers.ts'))
    const { plcUrl, endpoints } = await hosts.call('addresses')
    const relay = stack.use(await RelayProcess.start({ recipe, directory, plcUrl, endpoints }))
    const until = performance.now() + HOSTS_READ_MS_MAX
    while ((await hosts.call('hostsRead')) < endpoints.length) {
      if (performance.now() > until) {
        throw new Error(`the relay does not read all hosts\n${relay.output}`)
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    const parts = { directory, hosts, relay, meter, crowd }
    const session = new Session(stack.move(), parts, traffic)
    await meter.call('open', session.#subscribers({ count: 1, keep: 'times' }))
    return session
  }

  /** Events that are left to be sent. */
  get eventsLeft(): number {
    return this.#traffic.events - this.#published
  }

  get eventsPublished(): number {
    return this.#published
  }

  /** So many subscribers in all, the metering one included; all are live. */
  async subscribe(subscribers: number): Promise<void> {
    if (this.#crowdSize === subscribers - 1) return
    await this.#crowd.call('close')
    this.#crowdSize = subscribers - 1
    if (this.#crowdSize === 0) return
    await this.#crowd.call('open', this.#subscribers({ count: this.#crowdSize, keep: 'counts' }))
  }

  /** Lets events go and waits until every subscriber has had them. */
  async measure(events: number, pace: ReplayPace): Promise<Round> {
    await this.#mark()
    const before = this.#figures()
    const { startUs, publishedEnd } = await this.#hosts.call('release', { events, pace })
    const messages = publishedEnd - this.#published
    const goal = { messages, silentMs: SILENT_MS }
    const [own, others] = await Promise.all([
      this.#meter.call('reach', goal),
      (this.#crowdSize ?? 0) === 0 ? null : this.#crowd.call('reach', goal),
    ])
    const after = this.#figures()
    if (own.messages === 0) throw new Error(`nothing came from the relay\n${this.#relay.output}`)
    for (const { ended } of [own, ...(others === null ? [] : [others])]) {
      if (ended !== null) throw new Error(`a subscriber lost its stream: ${ended}`)
    }
    this.#published = publishedEnd
    const { commits, latency } = await this.#latency(pace)
    return {
      sent: messages,
      received: own.messages,
      commits,
      seconds: (Math.max(own.lastUs, others?.lastUs ?? 0) - startUs) / 1e6,
      latency,
      cpuUs: cpuBetween(before, after),
      deliveries: own.messages + (others?.messages ?? 0),
      bytes: own.bytes + (others?.bytes ?? 0),
      relay: after.relay,
    }
  }

  /**
   * Others read so many events each from the oldest on; when all of them have had them, they leave.
   */
  async replay(subscribers: number, events: number): Promise<Replay> {
    await this.subscribe(1)
    const before = this.#figures()
    const start = performance.now()
    const until = { messages: events, afterwards: 'leave' } as const
    await this.#crowd.call('mark')
    await this.#crowd.call('open', this.#replaying({ count: subscribers, until }))
    const received = await this.#crowd.call('reach', { messages: events, silentMs: SILENT_MS })
    const seconds = (performance.now() - start) / 1_000
    const after = this.#figures()
    const cpuUs = cpuBetween(before, after)
    await this.#crowd.call('close')
    if (received.ended !== null) throw new Error(`replay: ${received.ended}`)
    assert(received.messagesLeast >= events, 'the whole window is replayed')
    return { received, seconds, cpuUs, relay: after.relay }
  }

  /** Begins replays that go on until the next call of `subscribe`, of so many events each. */
  async replayAgainAndAgain(subscribers: number, events: number): Promise<void> {
    await this.#crowd.call('close')
    this.#crowdSize = null
    const until = { messages: events, afterwards: 'begin-again' } as const
    await this.#crowd.call('open', this.#replaying({ count: subscribers, until }))
  }

  /** What the crowd has received since the last measurement began. */
  crowdReceived(): Promise<Received> {
    return this.#crowd.call('received')
  }

  /** Events that the relay says it has dropped so far, by reason. */
  dropped(): Promise<Readonly<Record<string, number>>> {
    return this.#relay.dropped()
  }

  /** Bytes below each entry of the relay's data directory. */
  async disk(): Promise<Readonly<Record<string, number>>> {
    const data = join(this.#directory, 'data')
    const found: Record<string, number> = {}
    for (const entry of await readdir(data, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const [top = ''] = path.slice(data.length + 1).split('/')
      const { size } = await stat(path)
      found[top] = (found[top] ?? 0) + size
    }
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  #subscribers(some: Pick<OpenSubscribers, 'count' | 'keep'>): OpenSubscribers {
    return { ...some, port: this.#relay.port, path: STREAM, until: null }
  }

  #replaying(some: Pick<OpenSubscribers, 'count' | 'until'>): OpenSubscribers {
    return { ...some, port: this.#relay.port, path: `${STREAM}?cursor=0`, keep: 'counts' }
  }

  async #mark(): Promise<void> {
    await Promise.all([this.#meter.call('mark'), this.#crowd.call('mark')])
  }

  #figures(): Readonly<Record<Part, ProcessFigures | null>> {
    return {
      relay: processFigures(this.#relay.pid),
      hosts: processFigures(this.#hosts.pid),
      meter: processFigures(this.#meter.pid),
      crowd: processFigures(this.#crowd.pid),
    }
  }

  /** At a rate from when an event was due, else from when a host could write it to its socket. */
  async #latency(pace: ReplayPace): Promise<ReturnType<typeof latencyOf>> {
    const steps = await this.#hosts.call('takeSteps')
    const { keys } = this.#traffic
    const published = departures(steps.published, this.#seqs.published, keys)
    const sent = departures(steps.sent, this.#seqs.sent, keys)
    const arrivals = await this.#meter.call('takeArrivals')
    return latencyOf(typeof pace === 'number' ? published : sent, arrivals)
  }
}

function cpuBetween(
  before: Readonly<Record<Part, ProcessFigures | null>>,
  after: Readonly<Record<Part, ProcessFigures | null>>,
): Readonly<Record<Part, number>> | null {
  const used: Partial<Record<Part, number>> = {}
  for (const part of PARTS) {
    const [from, to] = [before[part], after[part]]
    if (from === null || to === null) return null
    used[part] = to.cpuUs - from.cpuUs
  }
  return used as Record<Part, number>
}
