/** Waiting for the signal that ends a command. */
import type { CliIo, StopSignal } from '../io.ts'

/** One wait. `forget` when it is over. */
export interface StopListener {
  readonly received: Promise<StopSignal>
  forget(): void
}

/** Exit codes of a process that a signal ended, by the shell's convention. */
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const

/** The first signal is received; a second one ends the process at once. */
export function listenForStop(io: CliIo): StopListener {
  const { promise, resolve: receive } = Promise.withResolvers<StopSignal>()
  let count = 0
  const forget = io.onStopSignal((signal) => {
    count++
    if (count === 1) {
      receive(signal)
      return
    }
    io.stderr(`skein: ${signal}: stopped at once\n`)
    io.exit(SIGNAL_EXIT[signal])
  })
  return { received: promise, forget }
}
