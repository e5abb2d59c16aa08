/** The command line: which commands there are, and how they are called. */

import { Command, CommanderError } from 'commander'

import { VERSION } from '../ops/build-info.ts'
import type { OptionTable } from '../ops/option-table.ts'
import { checkEnvironment } from '../ops/options.ts'
import { parseRelayOptions, RELAY_OPTIONS } from '../ops/relay-options.ts'
import { DEMO_OPTIONS, parseDemoOptions, parseSimOptions, SIM_OPTIONS } from '../ops/sim-options.ts'
import { addOptions, flagsOf } from './shared/command-options.ts'
import { addBlobCommands } from './blob/blob-commands.ts'
import { addCallCommand } from './call/call-command.ts'
import type { CliContext, CliParts } from './shared/command.ts'
import { addCompletionCommand } from './call/completion-command.ts'
import { runDemo } from './run/demo-command.ts'
import { type CliIo, EXIT } from './io.ts'
import { addNetworkCommands } from './network/network-commands.ts'
import { addRecordCommands } from './repo/record-commands.ts'
import { runRelay } from './run/relay-command.ts'
import { addRepoCommands } from './repo/repo-commands.ts'
import { reportError } from './shared/report-error.ts'
import { runSim } from './run/sim-command.ts'

/** Every table whose environment variables are known. */
const TABLES: readonly OptionTable[] = [RELAY_OPTIONS, SIM_OPTIONS, DEMO_OPTIONS]

const EXAMPLES = `
Examples:
  A relay of one host, from its oldest event on:
    $ skein relay --host pds.example.com

  Development, with a PDS and a PLC directory on this machine:
    $ skein relay --allow-private-network --host http://localhost:2583 --plc http://localhost:2582

  The same from the environment, in public behind a TLS proxy on this machine:
    $ SKEIN_HOST=pds.example.com SKEIN_TRUSTED_PROXY=127.0.0.1 skein relay --data /var/lib/skein

Every option can be given as an environment variable; a flag wins.
`

const GENERAL_HELP = `
Start with:
  $ skein demo
  $ skein repo verify <handle>

Exit codes: 0 done; 1 the network, a service or the disk failed; 2 called
wrongly; 3 not there or not active; 4 did not verify; 130 ended by Ctrl-C.
`

const SIM_EXAMPLES = `
Examples:
  A PLC directory on port 2582, three hosts on 2583 to 2585, 20 events a second:
    $ skein sim

  A relay that reads all of it, in another terminal:
    $ skein relay --allow-private-network --plc http://localhost:2582 \\
        --host http://localhost:2583,http://localhost:2584,http://localhost:2585

  Liars and faults, to see what a reader makes of them:
    $ skein sim --seed 7 --lies 50 --faults 5

  Load: sign 100,000 events once, then serve them as fast as they are read:
    $ skein sim --record traffic.bin --events 100000
    $ skein sim --replay traffic.bin --pace free

With --start, equal options give equal bytes, whatever the ports. Host names are localhost:<port>.
Everything is in memory and on 127.0.0.1, and nothing is kept.
`

const DEMO_EXAMPLES = `
Examples:
  A network, a relay that crawls it, and what becomes of its events:
    $ skein demo

  Thirty seconds of many liars:
    $ skein demo --lies 300 --duration 30s

Needs no internet and leaves nothing behind. On a terminal it is one screen, else a line a second.
`

/** The groups of commands; each adds itself. */
const GROUPS: readonly ((program: Command, context: CliContext) => void)[] = [
  addRepoCommands,
  addRecordCommands,
  addBlobCommands,
  addNetworkCommands,
  addCallCommand,
  addCompletionCommand,
]

/**
 * Runs one command and returns the exit code: see EXIT in ./io.ts. Does not end the process, except
 * by `io.exit` on a second stop signal.
 *
 * @param args the arguments after the script's name
 */
export async function runCli(args: readonly string[], io: CliIo, parts: CliParts): Promise<number> {
  let code: number = EXIT.ok
  const program = buildProgram(io, parts, (ended) => (code = ended))
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    const debug = wants(args, io, 'debug') ? 'stack' : 'line'
    return reportError(io, error, debug, wants(args, io, 'json') ? 'json' : 'text')
  }
}

/** The whole tree of commands; `end` is told how the one that runs has ended. */
export function buildProgram(io: CliIo, parts: CliParts, end: (code: number) => void): Command {
  const context: CliContext = { io, parts, tables: [...TABLES], end }
  const program = createProgram(io)
  addServerCommands(program, context)
  for (const add of GROUPS) add(program, context)
  return program
}

function addServerCommands(program: Command, { io, parts, tables, end }: CliContext): void {
  const { environment } = io
  const relay = program
    .command('relay')
    .description('Run a relay: subscribe to hosts, verify every event, stream what is valid.')
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      checkEnvironment(tables, environment)
      const flags = flagsOf(relay, RELAY_OPTIONS)
      const options = parseRelayOptions({ flags, environment })
      end(await runRelay(options, io, await parts.loadRelay()))
    })
  addOptions(relay, RELAY_OPTIONS)
  const sim = program
    .command('sim')
    .description('Run a simulated network: directory, hosts, signed events, liars and faults.')
    .addHelpText('after', SIM_EXAMPLES)
    .action(async () => {
      checkEnvironment(tables, environment)
      const flags = flagsOf(sim, SIM_OPTIONS)
      end(await runSim(parseSimOptions({ flags, environment }), io))
    })
  addOptions(sim, SIM_OPTIONS)
  const demo = program
    .command('demo')
    .description('Show a relay at work on a simulated network.')
    .addHelpText('after', DEMO_EXAMPLES)
    .action(async () => {
      checkEnvironment(tables, environment)
      const flags = flagsOf(demo, DEMO_OPTIONS)
      const options = parseDemoOptions({ flags, environment })
      end(await runDemo(options, io, await parts.loadRelay()))
    })
  addOptions(demo, DEMO_OPTIONS)
}

function createProgram(io: CliIo): Command {
  return new Command('skein')
    .description('AT Protocol sync: many hosts in, one verified stream out.')
    .version(VERSION, '--version', 'Print the version.')
    .helpOption('--help', 'Show this help.')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout(text),
      writeErr: (text) => io.stderr(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'skein: ')),
    })
    .addHelpText('after', GENERAL_HELP)
}

/** Whether a switch is on. Read without the parser, since the error may be the parser's. */
function wants(args: readonly string[], io: CliIo, name: 'debug' | 'json'): boolean {
  const variable = io.environment[`SKEIN_${name.toUpperCase()}`] ?? ''
  return args.includes(`--${name}`) || /^(?:true|yes|on|1)$/i.test(variable)
}
