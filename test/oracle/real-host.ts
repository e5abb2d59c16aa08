/** One real host across the lives of its process, and everything that its stream has said. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { must } from '../../src/lib/assert.ts'
import { RelayClient, type ReceivedFrame, replay } from '../support/relay-client.ts'
import { within } from '../support/waiting.ts'
import type { ChildMessage, HostAnswer, HostCall, SentCall } from './real-hosts-calls.ts'

const CHILD = fileURLToPath(new URL('./real-hosts-child.ts', import.meta.url))
const CACHE = fileURLToPath(new URL('../../scripts/compile-cache.mjs', import.meta.url))
/** A start takes a second; more when the machine is busy. */
const START_PATIENCE_MS = 30_000

/** The answer of a call whose host was killed before it came: done or not, nobody knows. */
export const UNANSWERED = { kind: 'unanswered' } as const

/** What a caller learns. */
export type CallOutcome = HostAnswer | typeof UNANSWERED

/** The process. */
class HostProcess {
  readonly #child: ChildProcess
  readonly #calls = new Map<number, (outcome: CallOutcome) => void>()
  readonly #ready = Promise.withResolvers<string>()
  readonly #ended = Promise.withResolvers<void>()
  #nextId = 1
  #isGone = false

  constructor(directory: string, port: string) {
    this.#child = fork(CHILD, [directory, port], {
      serialization: 'advanced',
      execArgv: ['--import', CACHE],
    })
    this.#child.on('message', (message) => this.#receive(message as ChildMessage))
    // The channel closes when all that was sent has been read; the process may be gone before.
    this.#child.once('disconnect', () => this.#lose())
    const kill = (): void => void this.#child.kill('SIGKILL')
    // Before the directory goes, which a host that lives on would write to.
    process.prependListener('exit', kill)
    this.#child.once('exit', (code, signal) => {
      process.off('exit', kill)
      this.#ready.reject(new Error(`a host ended with ${signal ?? code ?? 'nothing'}`))
      this.#ended.resolve()
    })
    this.#ready.promise.catch(() => undefined)
  }

  /** `127.0.0.1:2583` */
  ready(): Promise<string> {
    return within(this.#ready.promise, 'the start of a host', START_PATIENCE_MS)
  }

  call(call: HostCall): Promise<CallOutcome> {
    if (this.#isGone) return Promise.resolve(UNANSWERED)
    const id = this.#nextId++
    const { promise, resolve } = Promise.withResolvers<CallOutcome>()
    this.#calls.set(id, resolve)
    const sent: SentCall = { id, call }
    this.#child.send(sent, (error) => {
      if (error !== null) resolve(UNANSWERED)
    })
    return promise
  }

  /** Ends when process and channel are gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal)
    await within(this.#ended.promise, `the end of a host by ${signal}`, START_PATIENCE_MS)
    if (this.#child.connected) await new Promise<void>((resolve) => setImmediate(resolve))
    this.#lose()
  }

  #receive(message: ChildMessage): void {
    if ('ready' in message) {
      this.#ready.resolve(message.ready.address)
      return
    }
    this.#calls.get(message.id)?.(message.answer)
    this.#calls.delete(message.id)
  }

  #lose(): void {
    this.#isGone = true
    for (const resolve of this.#calls.values()) resolve(UNANSWERED)
    this.#calls.clear()
  }
}

export class RealHost implements AsyncDisposable {
  readonly index: number
  readonly #directory: string
  #process: HostProcess
  #address: string
  #client: RelayClient
  #earlier: readonly ReceivedFrame[] = []

  private constructor(
    index: number,
    directory: string,
    parts: {
      readonly process: HostProcess
      readonly address: string
      readonly client: RelayClient
    },
  ) {
    this.index = index
    this.#directory = directory
    this.#process = parts.process
    this.#address = parts.address
    this.#client = parts.client
  }

  static async start(index: number, directory: string): Promise<RealHost> {
    const process = new HostProcess(directory, '0')
    const address = await process.ready()
    const client = await RelayClient.connect(address, 0)
    return new RealHost(index, directory, { process, address, client })
  }

  /** `localhost:2583`: stays the same from start to start. */
  get hostname(): string {
    return `localhost:${must(this.#address.split(':').at(-1), 'port')}`
  }

  get endpoint(): string {
    return `http://${this.hostname}`
  }

  /** All that its stream has said, in order, over all its lives. */
  get frames(): readonly ReceivedFrame[] {
    return [...this.#earlier, ...this.#client.frames]
  }

  get lastSeq(): number {
    return Math.max(this.#earlier.at(-1)?.seq ?? 0, this.#client.lastSeq)
  }

  call(call: HostCall): Promise<CallOutcome> {
    return this.#process.call(call)
  }

  /** The value of a call that must be done. */
  async must(call: HostCall): Promise<unknown> {
    const outcome = await this.call(call)
    if (outcome.kind === 'done') return outcome.value
    throw new Error(`host ${this.index}: ${call.op}: ${JSON.stringify(outcome)}`)
  }

  /** The seq of the last event, which the stream has said then. */
  async drain(): Promise<number> {
    const seq = (await this.must({ op: 'publishedSeq' })) as number
    if (seq > this.lastSeq) await this.#client.reached(seq)
    return seq
  }

  /** Everything that can be replayed. */
  async replay(): Promise<readonly ReceivedFrame[]> {
    const seq = await this.drain()
    return seq === 0 ? [] : replay(this.#address, seq)
  }

  /** Ends the process, in order or not. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#process.end(signal)
    await this.#client.untilClosed()
  }

  /** Opens the directory again, on the same port. */
  async reopen(): Promise<void> {
    this.#earlier = this.frames
    this.#process = new HostProcess(this.#directory, must(this.hostname.split(':')[1], 'port'))
    this.#address = await this.#process.ready()
    this.#client = await RelayClient.connect(this.#address, this.lastSeq)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end('SIGKILL')
    await this.#client[Symbol.asyncDispose]()
  }
}
