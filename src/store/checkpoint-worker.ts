/**
 * The thread of ./checkpointer.ts: carries pages from the write-ahead log into the database file,
 * and waits for the disk where nobody else has to. Started with a `CheckpointJob` as its data; each
 * message to it asks for a pass, and is answered with a `CheckpointPass`.
 */
import { parentPort, workerData } from 'node:worker_threads'
import Database from 'better-sqlite3'

/** What the thread is to work on. */
export interface CheckpointJob {
  readonly file: string
  /** Pages in the write-ahead log over which writers may be held up to have it begin anew. */
  readonly restartPages: number
}

/** What the thread is told: to make a pass, or to end. */
export type CheckpointMessage = 'pass' | 'end'

/** What a pass has led to. */
export interface CheckpointPass {
  /** Pages in the write-ahead log, and how many of them the database file has. */
  readonly pages: number
  readonly checkpointed: number
  /** Whether writers were held up for the rest. */
  readonly held: boolean
}

/**
 * Tries in a row to catch up with the writer, each with less left to do than the one before: when
 * one finds nothing left, the next writer begins the write-ahead log anew.
 */
const TRIES_MAX = 4

interface Outcome {
  readonly log: number
  readonly checkpointed: number
}

function checkpoint(connection: Database.Database, mode: 'PASSIVE' | 'RESTART'): Outcome {
  const [outcome] = connection.pragma(`wal_checkpoint(${mode})`) as readonly Outcome[]
  return outcome ?? { log: 0, checkpointed: 0 }
}

function pass(connection: Database.Database, restartPages: number): CheckpointPass {
  let outcome = checkpoint(connection, 'PASSIVE')
  for (let i = 1; i < TRIES_MAX && outcome.checkpointed < outcome.log; i++) {
    outcome = checkpoint(connection, 'PASSIVE')
  }
  const held = outcome.checkpointed < outcome.log && outcome.log >= restartPages
  if (held) outcome = checkpoint(connection, 'RESTART')
  return { pages: outcome.log, checkpointed: outcome.checkpointed, held }
}

function serve({ file, restartPages }: CheckpointJob): void {
  const connection = new Database(file, { fileMustExist: true })
  connection.pragma('synchronous = NORMAL')
  parentPort?.on('message', (message: CheckpointMessage) => {
    if (message === 'pass') {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      parentPort?.postMessage(pass(connection, restartPages))
      return
    }
    connection.close()
    parentPort?.close()
  })
}

serve(workerData as CheckpointJob)
