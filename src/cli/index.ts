/**
 * The command line.
 *
 * - `main.ts`: the executable; the process's environment, streams, signals and exit
 * - `program.ts`: the commands and how they are called
 * - `relay-command.ts`: `skein relay`
 * - `sim-command.ts`: `skein sim`
 * - `demo-command.ts`, `demo-stats.ts`, `demo-screen.ts`: `skein demo`
 * - `stop-signal.ts`: waiting for the signal that ends a command
 * - `command-options.ts`: option tables as flags
 * - `report-error.ts`: errors as one line
 * - `io.ts`: what a command may touch of the process
 *
 * Only this layer reads the environment, catches signals and ends the process. It holds no logic of
 * its own: a command parses options, starts a composition of `server`, and waits.
 *
 * @module
 */

export { type CliIo, EXIT, type StopSignal } from './io.ts'
export { type CliParts, runCli } from './program.ts'
export type { RelayDependencies, RunningRelay, StartRelay } from './relay-command.ts'
