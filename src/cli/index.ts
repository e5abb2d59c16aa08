/**
 * The command line.
 *
 * - `main.ts`: the executable; the process's environment, streams, signals and exit
 * - `program.ts`: the commands and how they are called
 * - `io.ts`: what a command may touch of the process; exit codes
 * - `run/`: what runs until it is stopped: `skein relay`, `sim`, `demo`
 * - `repo/`: `skein repo` and `record`. `repo-source.ts`: a repository from a service or a CAR
 *   file; `repo-survey.ts`: everything that is wrong with a CAR file; `export-*.ts`: what an export
 *   writes and compares
 * - `blob/`: `skein blob`; `call/`: `skein call` and `completion`
 * - `network/`: `skein host`, `account` (over `account-view.ts`), `crawl`, `compare`
 * - `tail/`: `skein tail`: `tail-raw.ts` the stream as it is, `tail-verified.ts` the consumer's
 * - `doctor/`: `doctor.ts` is the chain of `skein doctor`; its steps are in `doctor-*.ts`, what can
 *   be found in `doctor-problems.ts`, a short look at a stream in `stream-look.ts`
 * - `shared/`: how a command is declared and what all of them take (`command.ts`,
 *   `common-options.ts`, `command-options.ts`), the network of a command and what people name
 *   (`session.ts`, `targets.ts`, `handle-resolver.ts`), text and JSON that are harmless to a
 *   terminal (`output.ts`, `progress.ts`), files whole or not at all (`files.ts`, `safe-name.ts`),
 *   errors as one line (`report-error.ts`)
 *
 * Commands are declared in `*-commands.ts` (words, options, examples), which help and completion
 * read, and done in files that are loaded when they run.
 *
 * Only this layer reads the environment, catches signals and ends the process. It holds no logic of
 * its own: a command parses options, starts a composition of `server`, and waits.
 *
 * @module
 */

export { type CliIo, EXIT, type StopSignal } from './io.ts'
export type { CliParts } from './shared/command.ts'
export { runCli } from './program.ts'
export type { RunningRelay, StartRelay } from './run/relay-command.ts'
