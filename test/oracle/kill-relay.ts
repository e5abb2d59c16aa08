/** A relay in a process of its own that is killed, or kills itself at a crash point. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { CrashPoint } from '../../src/lib/crash-point.ts'
import type { ProcessEnd } from '../support/relay-process.ts'
import { within } from '../support/waiting.ts'

const CHILD = fileURLToPath(new URL('./kill-child.ts', import.meta.url))
/** Without it, stripping types would take most of a life. */
const CACHE = fileURLToPath(new URL('../../scripts/compile-cache.mjs', import.meta.url))
/** A start or an end takes a second or two; more when the machine is busy, ms. */
const PATIENCE_MS = 60_000

export interface KillRelayOptions {
  readonly data: string
  readonly plc: string
  readonly hosts: readonly string[]
  /** Where it kills itself, and at which passage; null for nowhere. */
  readonly point: CrashPoint | null
  readonly nth: number
  /** Most files and sockets that it may have open; default those of this process. */
  readonly openFilesMax?: number
}

/** A command for a shell that takes the rest of its arguments for another, under the limit. */
function limit(openFilesMax: number): string {
  return `ulimit -n ${openFilesMax} && exec "$0" "$@"`
}

/** One life of a relay. */
export class KillRelay implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #serving = Promise.withResolvers<string | null>()
  readonly #ended = Promise.withResolvers<ProcessEnd>()
  #unread = ''
  #durableSeq: number | null = null
  /** The signal that was sent to it, if any: a kill without one is that of a crash point. */
  sent: NodeJS.Signals | null = null
  isOver = false
  /** What it says is wrong. */
  readonly violations: string[] = []
  /** What it said on standard error. */
  stderr = ''

  private constructor(options: KillRelayOptions) {
    const command = [process.execPath, '--import', CACHE, CHILD, JSON.stringify(options)]
    const { openFilesMax } = options
    const limited =
      openFilesMax === undefined ? command : ['/bin/sh', '-c', limit(openFilesMax), ...command]
    const [executable = '', ...args] = limited
    const child = spawn(executable, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '' },
    })
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    child.on('close', (code, signal) => {
      this.isOver = true
      this.#serving.resolve(null)
      this.#ended.resolve({ code, signal })
    })
  }

  static spawn(options: KillRelayOptions): KillRelay {
    return new KillRelay(options)
  }

  /** Seq of the last event in its log when it opened it; null before that. */
  get durableSeq(): number | null {
    return this.#durableSeq
  }

  /** Where it serves, `127.0.0.1:2470`; null when it ended before. */
  serving(): Promise<string | null> {
    return within(this.#serving.promise, () => `a start: ${this.stderr}`, PATIENCE_MS)
  }

  signal(signal: 'SIGKILL' | 'SIGTERM'): void {
    if (this.isOver) return
    this.sent = signal
    this.#child.kill(signal)
  }

  /** Resolves when it is gone and all that it said has been read. */
  ended(): Promise<ProcessEnd> {
    return within(this.#ended.promise, () => `an end: ${this.stderr}`, PATIENCE_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isOver) this.#child.kill('SIGKILL')
    await this.ended()
  }

  #read(text: string): void {
    const lines = (this.#unread + text).split('\n')
    this.#unread = lines.pop() ?? ''
    for (const line of lines) {
      const space = line.indexOf(' ')
      const [what, rest] = [line.slice(0, space), line.slice(space + 1)]
      if (what === 'opened') {
        this.#durableSeq = Number(rest)
      } else if (what === 'serving') this.#serving.resolve(rest)
      else this.violations.push(rest)
    }
  }
}
