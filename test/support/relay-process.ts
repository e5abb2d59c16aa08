/** A relay as a process of its own, started by the command line, to be stopped or killed. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Readable } from 'node:stream'
import { Signal } from './waiting.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface RelayProcessOptions {
  readonly data: string
  readonly plc: string
  readonly hosts: readonly string[]
  /** Further arguments. */
  readonly arguments?: readonly string[]
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A start takes a second or two; more when the machine is busy. */
const START_PATIENCE_MS = 30_000

export class RelayProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #signal = new Signal()
  #end: ProcessEnd | null = null
  /** Everything that a person has been told so far. */
  stderr = ''
  /** The log so far. */
  stdout = ''

  private constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#signal.notify()
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    // `close` comes when the last output has been read, `exit` may come before.
    child.on('close', (code, signal) => {
      this.#end = { code, signal }
      this.#signal.notify()
    })
  }

  /** Spawns `skein relay` and does not wait for anything. */
  static spawn(options: RelayProcessOptions): RelayProcess {
    const flags = [
      `--data=${options.data}`,
      `--plc=${options.plc}`,
      '--bind=127.0.0.1:0',
      '--metrics-bind=off',
      '--allow-private-network',
      ...options.hosts.flatMap((host) => ['--host', host]),
      ...(options.arguments ?? []),
    ]
    const child = spawn(process.execPath, [MAIN, 'relay', ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '' },
    })
    return new RelayProcess(child)
  }

  /** Spawns one and waits until it serves. */
  static async start(options: RelayProcessOptions): Promise<RelayProcess> {
    const relay = RelayProcess.spawn(options)
    await relay.#signal.until(
      () => {
        if (relay.#end !== null) throw new Error(`the relay did not start: ${relay.stderr}`)
        return /listening\s+http:\S+[^]*add a host/u.test(relay.stderr) ? true : null
      },
      () => `a start: ${relay.stderr}`,
      START_PATIENCE_MS,
    )
    return relay
  }

  /** Where it listens, `127.0.0.1:2470`. */
  get address(): string {
    const match = /listening\s+http:\/\/(\S+)/u.exec(this.stderr)
    if (match?.[1] === undefined) throw new Error(`no address in: ${this.stderr}`)
    return match[1]
  }

  /** What it has told a person since it began to serve, or at all if it never did: lines. */
  get complaints(): string[] {
    return this.stderr.split('\n').filter((line) => line.startsWith('skein: '))
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves when the process is gone. */
  async ended(): Promise<ProcessEnd> {
    return this.#signal.until(() => this.#end, 'the end of the relay', START_PATIENCE_MS)
  }

  /** Kills it, as a power cut does to a process. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end === null) this.signal('SIGKILL')
    await this.ended()
  }
}
