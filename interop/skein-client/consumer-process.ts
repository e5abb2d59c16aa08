/** A consumer as a child process that can be killed and started again on the same files. */

import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { openConsumerStore } from '../../src/store/consumer-store.ts'
import { withTimeout } from '../net/wait.ts'
import type { Consumed, Consumption, Remark, RepoState } from './consumed.ts'
import type { ConsumerFiles } from './consumer-files.ts'
import { filesIn } from './consumer-files.ts'

const ENTRY = fileURLToPath(new URL('consumer-main.ts', import.meta.url))
/** How long it may take to end after SIGTERM, ms. */
const STOP_TIMEOUT_MS = 15_000

const children = new Set<ChildProcess>()

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

export class ConsumerProcess implements Consumption {
  readonly #args: readonly string[]
  readonly #files: ConsumerFiles
  #child: ChildProcess | null = null
  #exit: Promise<void> = Promise.resolve()
  #position = 0
  #failure: string | null = null
  /** How many deliveries the lives before this one had made. */
  readonly #ends: number[] = []

  /** Its files go into `directory`. It is to be started. */
  constructor(origin: string, plcUrl: string, directory: string) {
    mkdirSync(directory, { recursive: true })
    this.#args = [origin, plcUrl, directory]
    this.#files = filesIn(directory)
  }

  start(): void {
    const child = fork(ENTRY, this.#args, { stdio: 'inherit' })
    children.add(child)
    this.#child = child
    child.on('message', (position) => {
      this.#position = Number(position)
    })
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        children.delete(child)
        if (this.#child === child) this.#failure = `it ended with ${code ?? signal ?? 'nothing'}`
        resolve()
      })
    })
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
    this.#ends.push(this.#read<Consumed>(this.#files.consumed).length)
  }

  lives(): readonly (readonly Consumed[])[] {
    const all = this.#read<Consumed>(this.#files.consumed)
    return [0, ...this.#ends].map((start, i) => all.slice(start, this.#ends[i]))
  }

  remarks(): readonly Remark[] {
    return this.#read<Remark>(this.#files.remarks)
  }

  get position(): number {
    return this.#position
  }

  get failure(): string | null {
    return this.#failure
  }

  async repo(did: string): Promise<RepoState> {
    using store = await openConsumerStore(this.#files.store)
    const row = store.repo(did)
    return { rev: row?.head?.rev ?? null, mark: row?.mark?.reason ?? null }
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === null) return
    this.#child = null
    child.kill(signal)
    try {
      await withTimeout(`the consumer's end after ${signal}`, this.#exit, STOP_TIMEOUT_MS)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  /** Each entry is written at once, so that a kill leaves whole lines. */
  #read<T>(file: string): T[] {
    if (!existsSync(file)) return []
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    return lines.map((line): T => JSON.parse(line))
  }
}
