/** What a command may touch of the process, so that commands can be run in tests. */

import type { Environment } from '../ops/options.ts'

/** A signal that asks for a stop. */
export type StopSignal = 'SIGTERM' | 'SIGINT'

export interface CliIo {
  /** Results and log lines. */
  stdout(text: string): void
  /** What is meant for a person: announcements and errors. */
  stderr(text: string): void
  readonly stdoutIsTerminal: boolean
  readonly environment: Environment
  /** Calls `listener` at each stop signal; returns what removes it. */
  onStopSignal(listener: (signal: StopSignal) => void): () => void
  /** Ends the process at once. */
  exit(code: number): void
}

/** Exit codes: success, a failure of the environment, a mistake in how the command was called. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const
