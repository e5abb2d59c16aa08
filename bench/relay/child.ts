/** Child processes that answer calls: one side starts them and asks, the other side serves. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { must } from '../../src/lib/assert.ts'
import { messageOf } from '../../src/lib/errors.ts'

/** What a child answers, by name. Arguments and results are copied (structured clone). */
export type Calls<C> = { readonly [K in keyof C]: (argument: never) => unknown }

interface Request {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** A script in a process of its own, which serves the calls `C`. */
export class Child<C extends Calls<C>> implements AsyncDisposable {
  readonly pid: number
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  /** @param script Of the folder of this file. */
  constructor(script: string, args: readonly string[] = []) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    // What loads this process, a profiler say, is not for its children.
    this.#process = fork(path, args, { serialization: 'advanced', execArgv: [] })
    this.pid = must(this.#process.pid, 'process')
    this.#process.on('message', (answer) => this.#take(answer as Answer))
    this.#ended = new Promise((resolve) => {
      this.#process.on('exit', (code, signal) => {
        const error = new Error(`${script} ended: ${signal ?? `code ${code}`}`)
        for (const { reject } of this.#waiting.values()) reject(error)
        this.#waiting.clear()
        resolve()
      })
    })
  }

  /** Rejects when the child ends before it has answered, or what it does throws. */
  call<K extends keyof C & string>(
    name: K,
    ...[argument]: Parameters<C[K]>
  ): Promise<Awaited<ReturnType<C[K]>>> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject })
      this.#process.send({ id, name, argument } satisfies Request, (error) => {
        if (error !== null) reject(error)
      })
    })
  }

  /** Ends it: it notices that nobody is there to ask. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.connected) this.#process.disconnect()
    await this.#ended
  }

  #take(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(new Error(answer.error))
    else waiting?.resolve(answer.value)
  }
}

/** The other side: answers until the one who asks has gone, then calls `onGone`. */
export function serve<C extends Calls<C>>(calls: C, onGone: () => void | Promise<void>): void {
  process.on('message', (message) => {
    const { id, name, argument } = message as Request
    const call = must(calls[name as keyof C], 'call') as unknown as (argument: unknown) => unknown
    Promise.resolve()
      .then(() => call(argument))
      .then(
        (value) => reply({ id, value }),
        (error: unknown) => reply({ id, error: messageOf(error) }),
      )
  })
  process.on('disconnect', () => {
    void Promise.resolve(onGone()).finally(() => process.exit())
  })
}

function reply(answer: Answer): void {
  // Whoever asked may have ended meanwhile; that is noticed as the end of the connection.
  process.send?.(answer, undefined, undefined, () => undefined)
}
