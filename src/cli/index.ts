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
 * - `report-error.ts`: errors as one line, and their exit codes
 * - `io.ts`: what a command may touch of the process; exit codes
 *
 * Commands of the client side are declared in `*-commands.ts` (words, options, examples), which
 * help and completion read, and done in files that are loaded when they run:
 *
 * - `command.ts`, `common-options.ts`: how a command is declared, and what all of them take
 * - `session.ts`, `targets.ts`, `handle-resolver.ts`: the network of a command; what people name
 * - `output.ts`, `progress.ts`: text and JSON, harmless to terminals; progress on standard error
 * - `files.ts`, `safe-name.ts`: files whole or not at all; names that every file system takes
 * - `repo-source.ts`: a repository from a service or a CAR file, and how its signature is judged
 * - `repo-*.ts`: `skein repo`; `repo-survey.ts` finds everything that is wrong with a CAR file
 * - `export-index.ts`, `export-records.ts`: what `skein repo export` writes and compares
 * - `record-*.ts`: `skein record`; `blob-*.ts`: `skein blob`; `call*.ts`: `skein call`
 * - `completion*.ts`: `skein completion`
 * - `network-commands.ts`, `network-options.ts`: commands about hosts, accounts and relays
 * - `tail-*.ts`: `skein tail`: `tail-raw.ts` the stream as it is, `tail-verified.ts` the consumer's
 * - `host-commands.ts`, `account-command.ts` over `account-view.ts`, `crawl-command.ts`
 * - `doctor.ts`: the chain of `skein doctor`; its steps are in `doctor-*.ts`, what can be found in
 *   `doctor-problems.ts`, a short look at a stream in `stream-look.ts`
 * - `compare-*.ts`: `skein compare`; `status-line.ts`: one line that is drawn over
 *
 * Only this layer reads the environment, catches signals and ends the process. It holds no logic of
 * its own: a command parses options, starts a composition of `server`, and waits.
 *
 * @module
 */

export { type CliIo, EXIT, type StopSignal } from './io.ts'
export type { CliParts } from './command.ts'
export { runCli } from './program.ts'
export type { RunningRelay, StartRelay } from './relay-command.ts'
