/** The command line: which commands there are, and how they are called. */

import { Command, CommanderError } from 'commander'

import { VERSION } from '../ops/build-info.ts'
import type { OptionTable } from '../ops/option-table.ts'
import { checkEnvironment } from '../ops/options.ts'
import { parseRelayOptions, RELAY_OPTIONS } from '../ops/relay-options.ts'
import { DEMO_OPTIONS, parseDemoOptions, parseSimOptions, SIM_OPTIONS } from '../ops/sim-options.ts'
import { addOptions, flagsOf } from './command-options.ts'
import { runDemo } from './demo-command.ts'
import { type CliIo, EXIT } from './io.ts'
import { runRelay, type StartRelay } from './relay-command.ts'
import { reportError } from './report-error.ts'
import { runSim } from './sim-command.ts'

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

/** How the parts that are slow to load are found; only the commands that need them do. */
export interface CliParts {
  loadRelay(): Promise<StartRelay>
}

/**
 * Runs one command and returns the exit code: 0, 1 for a failure of the environment, 2 for a
 * mistake in how it was called. Does not end the process, except by `io.exit` on a second stop
 * signal.
 *
 * @param args the arguments after the script's name
 */
export async function runCli(args: readonly string[], io: CliIo, parts: CliParts): Promise<number> {
  let code: number = EXIT.ok
  const program = createProgram(io)
  const relay = program
    .command('relay')
    .description('Run a relay: subscribe to hosts, verify every event, stream what is valid.')
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      checkEnvironment(TABLES, io.environment)
      const flags = flagsOf(relay, RELAY_OPTIONS)
      const options = parseRelayOptions({ flags, environment: io.environment })
      code = await runRelay(options, io, await parts.loadRelay())
    })
  addOptions(relay, RELAY_OPTIONS)
  const sim = program
    .command('sim')
    .description('Run a simulated network: directory, hosts, signed events, liars and faults.')
    .addHelpText('after', SIM_EXAMPLES)
    .action(async () => {
      checkEnvironment(TABLES, io.environment)
      const flags = flagsOf(sim, SIM_OPTIONS)
      code = await runSim(parseSimOptions({ flags, environment: io.environment }), io)
    })
  addOptions(sim, SIM_OPTIONS)
  const demo = program
    .command('demo')
    .description('Show a relay at work on a simulated network.')
    .addHelpText('after', DEMO_EXAMPLES)
    .action(async () => {
      checkEnvironment(TABLES, io.environment)
      const flags = flagsOf(demo, DEMO_OPTIONS)
      const options = parseDemoOptions({ flags, environment: io.environment })
      code = await runDemo(options, io, await parts.loadRelay())
    })
  addOptions(demo, DEMO_OPTIONS)
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return reportError(io, error, wantsStack(args, io) ? 'stack' : 'line')
  }
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
    .addHelpText('after', '\nStart with: skein demo\n')
}

/** Read without the parser, since the error may be the parser's. */
function wantsStack(args: readonly string[], io: CliIo): boolean {
  return (
    args.includes('--debug') || /^(?:true|yes|on|1)$/i.test(io.environment['SKEIN_DEBUG'] ?? '')
  )
}
