/** What a command may touch of the process, so that commands can be run in tests. */

import type { Environment } from '../ops/options.ts'

/** A signal that asks for a stop. */
export type StopSignal = 'SIGTERM' | 'SIGINT'

export interface CliIo {
  /** Results and log lines. */
  stdout(text: string): void
  /** What is meant for a person: announcements and errors. */
  stderr(text: string): void
  /** Results in pieces; resolves when there is room for more. Bytes are copied or sent by then. */
  write(piece: Uint8Array | string): Promise<void>
  readonly stdoutIsTerminal: boolean
  readonly stderrIsTerminal: boolean
  /** Width of the terminal, columns; 80 where there is none. */
  readonly columns: number
  /**
   * Aborts when the reader of standard output goes away (`| head`), and with a SkeinError as its
   * reason when what was written is lost (a full disk).
   */
  readonly outputClosed: AbortSignal
  readonly environment: Environment
  /** Calls `listener` at each stop signal; returns what removes it. */
  onStopSignal(listener: (signal: StopSignal) => void): () => void
  /** Ends the process at once. */
  exit(code: number): void
}

/** Exit codes, the same for every command. docs/cli.md explains them. */
export const EXIT = {
  /** What was asked for has been done. */
  ok: 0,
  /** The environment failed: a network, a service, a disk. Trying again may help. */
  failure: 1,
  /** The command was called in a way that it does not understand. */
  usage: 2,
  /** What was asked for is not there, or not active; trying again says the same. */
  absent: 3,
  /** Something was there, and did not verify. */
  unverified: 4,
  /** Ctrl-C came before the end, by the shell's convention. */
  interrupted: 130,
} as const
