/** The page of all commands with their options, from the tree that `skein --help` is made of. */

import type { Command } from 'commander'

import type { CliIo } from '../src/cli/io.ts'
import { buildProgram } from '../src/cli/program.ts'

/** Nothing runs while the tree is read. */
function unused(): never {
  throw new Error('no command runs here')
}

const IO: CliIo = {
  stdout: unused,
  stderr: unused,
  write: unused,
  stdoutIsTerminal: false,
  stderrIsTerminal: false,
  columns: 80,
  outputClosed: new AbortController().signal,
  environment: {},
  onStopSignal: unused,
  exit: unused,
}

/** A command that does something, with its words: `repo get`. */
export interface DocumentedCommand {
  readonly path: string
  readonly command: Command
}

/** All commands but the groups that hold them, in the order of help. */
export function documentedCommands(): readonly DocumentedCommand[] {
  return below(buildProgram(IO, { loadRelay: unused }, unused), '')
}

function below(parent: Command, path: string): DocumentedCommand[] {
  return parent.commands.flatMap((command) => {
    const words = path === '' ? command.name() : `${path} ${command.name()}`
    return command.commands.length > 0 ? below(command, words) : [{ path: words, command }]
  })
}

/** These have pages of their own. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  relay: '[options.md](options.md)',
  sim: '[sim-options.md](sim-options.md)',
}

/** docs/generated/commands.md. */
export function commandsPage(): string {
  const sections = documentedCommands().map(({ path, command }) => {
    const head = [`## \`skein ${path}${wordsOf(command)}\``, '', command.description(), '']
    const page = ELSEWHERE[path]
    if (page !== undefined) return [...head, `Options: ${page}.`, ''].join('\n')
    const rows = command.options
      .filter((option) => !option.hidden)
      .map(({ flags, description }) => `| \`${flags.replaceAll('|', '\\|')}\` | ${description} |`)
    return [...head, '| option | what it does |', '| --- | --- |', ...rows, ''].join('\n')
  })
  const intro = [
    '# Commands',
    '',
    'Every command with its options. [cli.md](../cli.md) explains them with examples.',
    '',
  ]
  return [...intro, ...sections].join('\n').trimEnd() + '\n'
}

function wordsOf(command: Command): string {
  return command.usage().replace('[options]', '')
}
