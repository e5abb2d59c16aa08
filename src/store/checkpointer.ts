/**
 * Keeps the write-ahead log of a database short, from a thread of its own: carrying its pages into
 * the database file waits for the disk, up to seconds, and whoever writes must not.
 */
import { Worker } from 'node:worker_threads'
import type { Statement } from 'better-sqlite3'
import type { CheckpointJob, CheckpointMessage, CheckpointPass } from './checkpoint-worker.ts'
import type { Connection } from './database.ts'

/** Pages that have not been carried over at which a pass begins: 16 MiB of 4 KiB pages. */
const PASS_PAGES = 4_096
/**
 * Pages in the write-ahead log over which writers are held up for what is left of a pass, or it
 * would never begin anew under load without a pause: 128 MiB, half a minute of a busy relay.
 */
const RESTART_PAGES = 32_768
/** Pages at which the writer does it itself, should the thread be gone: 512 MiB. */
const FALLBACK_PAGES = 131_072

/** How long a writer waits for the rest of a pass, ms: as long as a disk takes that is busy. */
const WRITER_WAIT_MS = 60_000

export interface CheckpointerOptions {
  readonly file: string
  /** The writer's connection. */
  readonly connection: Connection
  /** Default `PASS_PAGES` and `RESTART_PAGES`. */
  readonly passPages?: number
  readonly restartPages?: number
  readonly onPass?: (pass: CheckpointPass) => void
  /** The thread has failed; from now on the writer's own connection does the work. */
  readonly onFailed?: (error: unknown) => void
}

/** One for a database that is written to without a pause. The thread starts when it is needed. */
export class Checkpointer {
  readonly #options: CheckpointerOptions
  readonly #waiting: Statement
  #worker: Worker | null = null
  #ended: Promise<void> = Promise.resolve()
  #isPassing = false
  #isClosed = false

  constructor(options: CheckpointerOptions) {
    this.#options = options
    const { connection } = options
    // Says how long the write-ahead log is, and does nothing.
    this.#waiting = connection.prepare('pragma wal_checkpoint(NOOP)').raw(true)
    connection.pragma(`wal_autocheckpoint = ${FALLBACK_PAGES}`)
    connection.pragma(`busy_timeout = ${WRITER_WAIT_MS}`)
  }

  /** To be called after writing: begins a pass when there is enough to do. */
  note(): void {
    if (this.#isPassing || this.#isClosed) return
    const [, log, checkpointed] = this.#waiting.get() as readonly [number, number, number]
    if (log - checkpointed < (this.#options.passPages ?? PASS_PAGES)) return
    this.#isPassing = true
    this.#worker ??= this.#start()
    this.#send(this.#worker, 'pass')
  }

  /** Resolves when the thread has ended and holds the file no longer. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#worker !== null) {
      // Until now it kept no process running; now somebody waits for it.
      this.#worker.ref()
      this.#send(this.#worker, 'end')
    }
    await this.#ended
  }

  #send(worker: Worker, message: CheckpointMessage): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    worker.postMessage(message)
  }

  #start(): Worker {
    // The file beside this one, in the form that this one has: as it was written, or compiled.
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
    const script = new URL(`./checkpoint-worker${extension}`, import.meta.url)
    const { file, restartPages = RESTART_PAGES } = this.#options
    const workerData: CheckpointJob = { file, restartPages }
    const worker = new Worker(script, { workerData })
    worker.on('message', (pass: CheckpointPass) => {
      this.#isPassing = false
      this.#options.onPass?.(pass)
    })
    worker.on('error', (error) => {
      // `#isPassing` stays set: nothing is asked of a thread that is gone.
      this.#isClosed = true
      this.#options.onFailed?.(error)
    })
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()))
    worker.unref()
    return worker
  }
}
