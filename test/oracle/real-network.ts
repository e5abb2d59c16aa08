/** Real hosts, a directory and a real relay, with the model of what must be true of all of them. */
import { join } from 'node:path'
import { PrivateKey } from '../../src/crypto/private-key.ts'
import { sha256 } from '../../src/crypto/sha256.ts'
import { must } from '../../src/lib/assert.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Random } from '../../src/lib/random.ts'
import { below, streamOf } from '../../src/sim/distributions.ts'
import { FaultCounters } from '../../src/sim/faults.ts'
import { PlcDirectory } from '../../src/sim/plc-directory.ts'
import { PlcFront } from '../../src/sim/plc-front.ts'
import { World } from '../../src/sim/world.ts'
import type { MessageType } from '../../src/stream/frame-types.ts'
import { JumpingClock } from '../support/jumping-clock.ts'
import { didOf, type ReceivedFrame, RelayClient } from '../support/relay-client.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { TestRelay } from '../support/test-relay.ts'
import { eventually } from '../support/waiting.ts'
import { HostedAccount } from './hosted-account.ts'
import { cidTextOf, saidIn } from './real-host-events.ts'
import type { Operation, SaidCommit } from './real-host-operations.ts'
import { HostStream } from './real-host-stream.ts'
import { type CallOutcome, RealHost } from './real-host.ts'

/** An account as its owner sees it. */
export interface Person {
  readonly number: number
  readonly did: string
  /** Index of the host that the directory names. */
  home: number
  handle: string
  keys: number
  /** What each host that it has ever been on makes of it. */
  readonly at: Map<number, HostedAccount>
}

/** The relay's durations pass so many times faster than those of the wall clock. */
const SPEED = 20
const CATCH_UP_PATIENCE_MS = 30_000
/** The relay looks a changed key up once in ten seconds for a host and a DID. */
const LOOK_UP_JUMP_MS = 31_000
const CRAWL_LOOKS = 40

export class RealNetwork implements AsyncDisposable {
  readonly seed: number
  readonly random: Random
  readonly directory: PlcDirectory
  readonly hosts: readonly RealHost[]
  readonly world: World = new World('kept')
  readonly people: Person[] = []
  /** What is wrong so far. */
  readonly faults: string[] = []
  /** Events of hosts that their accounts had left. */
  refusals = 0
  /** How the relay let its subscriber go, each time that it did. */
  readonly interruptions: string[] = []
  readonly #streams: readonly HostStream[]
  /** Accounts of each host in order of creation. */
  readonly #created: HostedAccount[][]
  readonly #plc: PlcFront
  readonly #data: string
  readonly #stack: AsyncDisposableStack
  #relay: TestRelay
  #client: RelayClient
  #earlier: readonly ReceivedFrame[] = []
  #earlierDrops: Readonly<Record<string, number>> = {}

  private constructor(
    seed: number,
    parts: {
      readonly hosts: readonly RealHost[]
      readonly plc: PlcFront
      readonly data: string
      readonly stack: AsyncDisposableStack
      readonly relay: TestRelay
      readonly client: RelayClient
    },
  ) {
    this.seed = seed
    this.random = streamOf(seed, 'real hosts')
    this.directory = new PlcDirectory(sha256(utf8(`${seed} directory`)))
    this.hosts = parts.hosts
    this.#streams = parts.hosts.map((host) => new HostStream(host))
    this.#created = parts.hosts.map(() => [])
    this.#plc = parts.plc
    this.#plc.serve(this.directory)
    this.#data = parts.data
    this.#stack = parts.stack
    this.#relay = parts.relay
    this.#client = parts.client
  }

  static async start(seed: number, hostCount: number): Promise<RealNetwork> {
    await using stack = new AsyncDisposableStack()
    const { path } = stack.use(await TemporaryDirectory.create('skein-real-hosts-'))
    const bind = { host: '127.0.0.1', port: 0 }
    const counters = new FaultCounters()
    const plc = stack.use(await PlcFront.listen({ bind, clock: systemClock, counters }))
    const starting = Array.from({ length: hostCount }, (_, i) =>
      RealHost.start(i, join(path, `host-${i}`)),
    )
    for (const host of starting) stack.defer(async () => (await host)[Symbol.asyncDispose]())
    const hosts = await Promise.all(starting)
    const data = join(path, 'relay')
    const relay = await startRelay({ hosts, plc, data })
    const client = await RelayClient.connect(relay.address, 0)
    const parts = { hosts, plc, data, relay, client }
    return new RealNetwork(seed, { ...parts, stack: stack.move() })
  }

  get relay(): TestRelay {
    return this.#relay
  }

  /** All that the relay's subscriber was sent. */
  get received(): readonly ReceivedFrame[] {
    return [...this.#earlier, ...this.#client.frames]
  }

  host(index: number): RealHost {
    return must(this.hosts[index], 'host')
  }

  /** What a person's own host makes of it. */
  account(person: Person): HostedAccount {
    return must(person.at.get(person.home), 'account at home')
  }

  /** Accounts of a host in order of creation. */
  accountsOf(host: number): readonly HostedAccount[] {
    return must(this.#created[host], 'host')
  }

  /** The next key of a person: of both curves in turn. */
  nextKey(person: Pick<Person, 'number' | 'keys'>): PrivateKey {
    const curve = (person.number + person.keys) % 2 === 0 ? 'k256' : 'p256'
    const text = `${this.seed} account ${person.number} key ${person.keys++}`
    return PrivateKey.import(curve, sha256(utf8(text)))
  }

  /** Somebody new, in the directory and on no host yet. */
  addPerson(home: number): { readonly person: Person; readonly account: HostedAccount } {
    const number = this.people.length
    const keyed = { number, keys: 0 }
    const key = this.nextKey(keyed)
    const handle = `user${number}.test`
    const state = { key: key.publicKey, endpoint: this.host(home).endpoint, handle }
    const format = number % 3 === 0 ? 'legacy' : 'multikey'
    const did = this.directory.create(state, format, systemClock.nowMs())
    const account = new HostedAccount(did, home, key, handle)
    const at = new Map([[home, account]])
    const person = { ...keyed, did, home, handle, at }
    this.people.push(person)
    this.world.add({ did, host: home, handle, status: 'active', head: null }, new Map())
    return { person, account }
  }

  /** The host has it from now on; one that comes back keeps its place. */
  noteCreated(account: HostedAccount): void {
    const created = must(this.#created[account.host], 'host')
    if (!created.includes(account)) created.push(account)
  }

  someone(): string {
    return this.people[below(this.random, this.people.length)]?.did ?? 'did:plc:nobody'
  }

  /** Changes the directory. What the relay has not read by then it could not verify any more. */
  async tellDirectory(
    person: Person,
    change: Parameters<PlcDirectory['update']>[1],
  ): Promise<void> {
    await this.quiet()
    this.#relay.clock.jump(LOOK_UP_JUMP_MS)
    this.directory.update(person.did, change, systemClock.nowMs())
  }

  // ---- Calls

  /** Sends a call and gives its outcome; nothing is applied. */
  call(operation: Operation): Promise<CallOutcome> {
    return this.host(operation.account.host).call(operation.call)
  }

  /** What was acknowledged changes the model, and its events are expected. */
  async acknowledge(operation: Operation, outcome: CallOutcome): Promise<void> {
    const { account, call } = operation
    if (outcome.kind !== 'done') {
      throw new Error(`${call.op} of ${account.did}: ${JSON.stringify(outcome)}`)
    }
    const commits = operation.commits()
    const said = saidBy(outcome.value)
    if (call.op === 'applyWrites' && commits !== (said !== null)) {
      throw new Error(`applyWrites of ${account.did}: a commit is ${commits ? 'missing' : 'made'}`)
    }
    const head = commits && said === null ? await this.#latest(account) : said
    this.#stream(account.host).expect(account.did, await operation.apply(commits ? head : null))
  }

  async perform(operation: Operation): Promise<void> {
    await this.acknowledge(operation, await this.call(operation))
  }

  /** A call that must be refused. */
  async refuse(operation: Operation, reason: string): Promise<void> {
    const outcome = await this.call(operation)
    const found = outcome.kind === 'refused' ? outcome.reason : outcome.kind
    if (found === reason) return
    this.faults.push(`${operation.call.op} of ${operation.account.did}: ${found}, not ${reason}`)
  }

  /** Its host died before it answered. */
  wonder(operation: Operation): void {
    this.#stream(operation.account.host).wonder(operation)
  }

  // ---- Waiting

  /** Holds what one host has said against the model; what its accounts said goes to the world. */
  async settle(host: RealHost): Promise<ReadonlySet<Operation>> {
    const { faults, frames, happened } = await this.#stream(host.index).settle()
    this.faults.push(...faults)
    for (const frame of frames) this.#tellWorld(host, frame)
    // A model that is wrong finds more faults than there are.
    if (this.faults.length > 0) throw new Error('the model and a host differ')
    return happened
  }

  #tellWorld(host: RealHost, frame: ReceivedFrame): void {
    const did = didOf(frame)
    if (this.directory.state(did)?.endpoint !== host.endpoint) {
      this.refusals++
      return
    }
    this.world.sent(did, frame.type as MessageType, frame.body, host.index, frame.seq)
    const head = saidIn([frame])
    if (head !== null) this.world.change(did, { head })
    if (frame.type !== '#account') return
    const status = frame.body['active'] === true ? 'active' : frame.body['status']
    this.world.change(did, { status: status as HostedAccount['status'] })
  }

  /** Every host has said everything, the relay has decided it, its subscriber has it. */
  async quiet(): Promise<void> {
    for (const host of this.hosts) await this.settle(host)
    let looks = 0
    const behind = (): RealHost[] =>
      this.hosts.filter(({ hostname, lastSeq }) => {
        return (this.#relay.relay.host(hostname)?.seq ?? 0) !== lastSeq
      })
    await eventually(
      async () => {
        const late = behind()
        if (late.length === 0) return true
        if (++looks % CRAWL_LOOKS !== 0) return null
        for (const { hostname } of late) await this.#relay.relay.requestCrawl(hostname)
        return null
      },
      () => {
        const lines = this.#relay.lines.slice(-20).map((line) => JSON.stringify(line))
        return `the relay, behind on ${behind()
          .map(({ index }) => index)
          .join()}\n${lines.join('\n')}`
      },
      CATCH_UP_PATIENCE_MS,
    )
    const lastSeq = (await this.#relay.metric('skein_log_last_seq'))[''] ?? 0
    await this.#receiveUpTo(lastSeq)
  }

  /** A subscriber that was let go comes back where it was: a fast clock is impatient under load. */
  async #receiveUpTo(lastSeq: number): Promise<void> {
    await eventually(
      async () => {
        if (lastSeq <= Math.max(this.#earlier.at(-1)?.seq ?? 0, this.#client.lastSeq)) return true
        if (this.#client.ended !== null) await this.#subscribeAgain()
        return null
      },
      () => `seq ${lastSeq} from the relay, at ${this.#client.lastSeq}`,
      CATCH_UP_PATIENCE_MS,
    )
  }

  async #subscribeAgain(): Promise<void> {
    this.interruptions.push(JSON.stringify(this.#client.ended))
    this.#earlier = this.received
    const lastSeq = this.#earlier.at(-1)?.seq ?? 0
    this.#client = await RelayClient.connect(this.#relay.address, lastSeq)
  }

  // ---- The relay

  /** Events that the relay has refused, by reason, over all its lives. */
  async drops(): Promise<Readonly<Record<string, number>>> {
    const all = { ...this.#earlierDrops }
    for (const [reason, count] of Object.entries(await this.#relay.drops())) {
      all[reason] = (all[reason] ?? 0) + count
    }
    return all
  }

  /** @param meanwhile What happens while there is no relay. */
  async restartRelay(meanwhile: () => Promise<void>): Promise<void> {
    await this.#relay.stop()
    this.#earlierDrops = await this.drops()
    this.#complain()
    await this.#client.untilClosed()
    this.#earlier = this.received
    await meanwhile()
    const parts = { hosts: this.hosts, plc: this.#plc, data: this.#data }
    this.#relay = await startRelay(parts)
    const lastSeq = this.#earlier.at(-1)?.seq ?? 0
    this.#client = await RelayClient.connect(this.#relay.address, lastSeq)
  }

  /** What the relay says went wrong. */
  #complain(): void {
    for (const line of this.#relay.lines) {
      const { level } = line
      if (level === 'error' || level === 'fatal') this.faults.push(`relay: ${JSON.stringify(line)}`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
    await this.#relay[Symbol.asyncDispose]()
    await this.#stack[Symbol.asyncDispose]()
  }

  #stream(index: number): HostStream {
    return must(this.#streams[index], 'stream')
  }

  async #latest(account: HostedAccount): Promise<SaidCommit | null> {
    const { did, host } = account
    return saidBy(await this.host(host).must({ op: 'latestCommit', did }))
  }
}

interface RelayParts {
  readonly hosts: readonly RealHost[]
  readonly plc: PlcFront
  readonly data: string
}

function startRelay({ hosts, plc, data }: RelayParts): Promise<TestRelay> {
  const options = {
    data,
    plc: [plc.url],
    hosts: hosts.map(({ endpoint }) => endpoint),
    hostEventsPerSecond: 100_000,
    requestsPerMinute: 1_000_000,
  }
  // Time of day is that of the hosts; only durations pass faster.
  const clock = new JumpingClock({ speed: SPEED, nowMs: () => systemClock.nowMs() })
  return TestRelay.start(options, clock)
}

/** The commit that an answer speaks of: a head, what an import came to, or what writes did. */
function saidBy(value: unknown): SaidCommit | null {
  const { rev, commit } = Object(value) as { readonly rev?: unknown; readonly commit?: unknown }
  if (commit instanceof Uint8Array) return { rev: String(rev), commit: cidTextOf(commit) }
  if (typeof commit !== 'object' || commit === null) return null
  const written = commit as { readonly cid: Uint8Array; readonly rev: string }
  return { rev: written.rev, commit: cidTextOf(written.cid) }
}
