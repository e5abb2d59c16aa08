/**
 * The relay as a child process that can be stopped, killed and started again on the same port and
 * data. Children still running are killed when this process exits, whatever the cause.
 */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'

import { monotonicMs, waitUntil, withTimeout } from '../net/wait.ts'
import type { RelaySettings } from './relay-command.ts'
import { relayArguments } from './relay-command.ts'

/** How long the relay may take to answer its health check after its start, ms. */
const START_TIMEOUT_MS = 30_000
/** How long it may take to end after SIGTERM, ms. */
const STOP_TIMEOUT_MS = 15_000
/** How much of its output is kept for the report of a failure, characters. */
const OUTPUT_LENGTH_MAX = 200_000

const children = new Set<ChildProcess>()

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** How a process ended: one of the two is null. */
export interface ExitStatus {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class RelayProcess {
  readonly origin: string
  readonly #entry: string
  readonly #settings: RelaySettings
  readonly #onOutput: (text: string) => void
  #child: ChildProcess | null = null
  #exit: Promise<ExitStatus> | null = null
  #output = ''

  /** `onOutput` is given whatever the relay prints, as it comes. */
  constructor(entry: string, settings: RelaySettings, onOutput: (text: string) => void) {
    this.origin = `http://localhost:${settings.port}`
    this.#entry = entry
    this.#settings = settings
    this.#onOutput = onOutput
  }

  /** The last of what the relay has printed, over all its lives. */
  get output(): string {
    return this.#output
  }

  /** Starts it and waits until it answers its health check. Returns the ms that this took. */
  async start(): Promise<number> {
    const startedMs = monotonicMs()
    const child = spawn(process.execPath, relayArguments(this.#entry, this.#settings), {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    this.#child = child
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        children.delete(child)
        resolve({ code, signal })
      })
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_LENGTH_MAX)
        this.#onOutput(text)
      })
    }
    const running = (): boolean => child.exitCode === null && child.signalCode === null
    const ready = await waitUntil(
      async () => !running() || (await this.healthy()),
      START_TIMEOUT_MS,
    )
    if (!ready || !running()) {
      child.kill('SIGKILL')
      throw new Error(`the relay did not start:\n${this.#output.slice(-4_000)}`)
    }
    return Math.round(monotonicMs() - startedMs)
  }

  /** Whether its health check answers 200 now. */
  async healthy(): Promise<boolean> {
    try {
      const response = await fetch(`${this.origin}/xrpc/_health`, {
        signal: AbortSignal.timeout(1_000),
      })
      await response.body?.cancel()
      return response.status === 200
    } catch {
      return false
    }
  }

  /** Asks it to stop and waits for its end. */
  stop(): Promise<ExitStatus> {
    return this.#end('SIGTERM')
  }

  /** Ends it at once, as a crash or a power cut would. */
  kill(): Promise<ExitStatus> {
    return this.#end('SIGKILL')
  }

  async #end(signal: NodeJS.Signals): Promise<ExitStatus> {
    const child = this.#child
    const exit = this.#exit
    if (child === null || exit === null) return { code: null, signal: null }
    child.kill(signal)
    try {
      return await withTimeout(`the relay's end after ${signal}`, exit, STOP_TIMEOUT_MS)
    } catch (error) {
      child.kill('SIGKILL')
      await exit
      throw error
    } finally {
      this.#child = null
    }
  }
}
