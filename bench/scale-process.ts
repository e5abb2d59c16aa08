/** A script of this folder in a process of its own, which answers lines with lines of JSON. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { assert } from '../src/lib/assert.ts'

/** Ends with the scope that it is used in; the script is to end with its standard input. */
export class ScaleProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  readonly #ended: Promise<void>

  constructor(script: string, args: readonly string[]) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    // As `npm start` has it.
    const flags = ['--max-semi-space-size=4', path, ...args]
    this.#child = spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#ended = new Promise((resolve) => this.#child.on('close', () => resolve()))
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** The next line that it prints. */
  async next(): Promise<unknown> {
    const line = await this.#lines.next()
    assert(line.done !== true, 'the process prints a line before it ends')
    return JSON.parse(line.value) as unknown
  }

  send(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  async ask(line: string): Promise<unknown> {
    this.send(line)
    return this.next()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    await this.#ended
  }
}
