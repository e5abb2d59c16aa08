/** How a command is declared: its words, its options, its examples, and where its work is found. */

import type { Command } from 'commander'

import { stayAwake } from '../../lib/clock.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { OptionTable, OptionValues } from '../../ops/option-table.ts'
import { checkEnvironment, parseOptions } from '../../ops/options.ts'
import { addOptions, flagsOf } from './command-options.ts'
import { COMMON_OPTIONS } from './common-options.ts'
import { type CliIo, EXIT } from '../io.ts'
import { Output } from './output.ts'
import { Session } from './session.ts'
import type { StartRelay } from '../run/relay-command.ts'
import { listenForStop } from '../run/stop-signal.ts'

/** How parts that are slow to load, or reach out, are found; tests put others in their place. */
export interface CliParts {
  loadRelay(): Promise<StartRelay>
  /** TXT records of a name, the strings of each; rejects like node:dns. Default the system's. */
  readonly lookUpTxt?: (name: string) => Promise<readonly (readonly string[])[]>
}

/** What all commands of one program share while it is built. */
export interface CliContext {
  readonly io: CliIo
  readonly parts: CliParts
  /** Every table whose environment variables are known; complete before a command runs. */
  readonly tables: OptionTable[]
  /** Tells the program how a command ended. */
  readonly end: (code: number) => void
}

/** What a command is given when it runs. */
export interface CommandCall<T extends OptionTable> {
  /** The words after the command, without options; those that are optional may be missing. */
  readonly words: readonly string[]
  readonly options: OptionValues<T & typeof COMMON_OPTIONS>
  readonly io: CliIo
  readonly output: Output
  /** The network as the options want it; closed when the command ends. */
  readonly session: Session
  /** Aborts at Ctrl-C, and when the reader of standard output goes away. */
  readonly signal: AbortSignal
  readonly parts: CliParts
}

/** Does the work and gives the exit code. Rejects with SkeinError or CallError. */
export type CommandRun<T extends OptionTable> = (call: CommandCall<T>) => Promise<number>

export interface CommandSpec<T extends OptionTable> {
  /** The command's word: `get`. */
  readonly name: string
  /** What follows it, in commander's form: `<target> [path...]`. Empty for nothing. */
  readonly words: string
  /** One sentence. */
  readonly description: string
  /** Its own options; {@link COMMON_OPTIONS} are added. */
  readonly options: T
  /** Two or three: what it is for, and the command line without `$`. */
  readonly examples: readonly (readonly [string, string])[]
  /** Further help below the examples; lines of at most 80 columns. */
  readonly notes?: string | undefined
  /** Finds the work; called when the command runs, so that help needs none of it. */
  readonly load: () => Promise<CommandRun<T>>
}

/** A word with commands below it: `skein repo`. Alone it shows its help and counts as misuse. */
export function addGroup(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).helpOption('--help', 'Show this help.')
}

/**
 * Adds a command. When it runs, its options are parsed, Ctrl-C aborts `signal`, and its exit code
 * goes to `context.end`: that of the work, 0 when the reader of standard output has gone, 130 when
 * Ctrl-C ended the work with an error.
 */
export function addCommand<const T extends OptionTable>(
  parent: Command,
  context: CliContext,
  spec: CommandSpec<T>,
): Command {
  const table = { ...spec.options, ...COMMON_OPTIONS }
  context.tables.push(table)
  const usage = spec.words === '' ? spec.name : `${spec.name} ${spec.words}`
  const command = parent
    .command(usage)
    .description(spec.description)
    .addHelpText('after', examplesText(spec))
  addOptions(command, table)
  command.action(async () => {
    const { io } = context
    checkEnvironment(context.tables, io.environment)
    const flags = flagsOf(command, table)
    const options = parseOptions(table, { flags, environment: io.environment })
    const run = await spec.load()
    context.end(await runCommand(run, options, command.args, context))
  })
  return command
}

async function runCommand<T extends OptionTable>(
  run: CommandRun<T>,
  options: OptionValues<T & typeof COMMON_OPTIONS>,
  words: readonly string[],
  { io, parts }: CliContext,
): Promise<number> {
  const stop = listenForStop(io)
  // A command that waits for its next try has nothing else under way.
  const awake = stayAwake()
  const interrupt = new AbortController()
  // Never rejects.
  void stop.received.then(() => interrupt.abort())
  const signal = AbortSignal.any([interrupt.signal, io.outputClosed])
  const common: OptionValues<typeof COMMON_OPTIONS> = options
  await using session = new Session({ ...common, signal, lookUpTxt: parts.lookUpTxt })
  const output = new Output(io, common.json ? 'json' : 'text')
  try {
    const code = await run({ words, options, io, output, session, signal, parts })
    checkOutput(io)
    return code
  } catch (error) {
    checkOutput(io)
    if (io.outputClosed.aborted) return EXIT.ok
    if (!interrupt.signal.aborted) throw error
    io.stderr('skein: interrupted\n')
    return EXIT.interrupted
  } finally {
    awake.cancel()
    stop.forget()
  }
}

/** Results that could not be written are a failure, unlike those that nobody wanted. */
function checkOutput({ outputClosed }: CliIo): void {
  const reason: unknown = outputClosed.reason
  if (reason instanceof SkeinError) throw reason
}

function examplesText({
  examples,
  notes,
}: Pick<CommandSpec<OptionTable>, 'examples' | 'notes'>): string {
  const lines = examples.flatMap(([what, line]) => [`  ${what}:`, `    $ ${line}`, ''])
  return ['', 'Examples:', ...lines, ...(notes === undefined ? [] : [notes, ''])].join('\n')
}
