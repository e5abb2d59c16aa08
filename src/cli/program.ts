/** The command line: which commands there are, and how they are called. */

import { Command, CommanderError } from 'commander'

import { VERSION } from '../ops/build-info.ts'
import type { OptionTable } from '../ops/option-table.ts'
import { checkEnvironment } from '../ops/options.ts'
import { parseRelayOptions, RELAY_OPTIONS } from '../ops/relay-options.ts'
import { addOptions, flagsOf } from './command-options.ts'
import { type CliIo, EXIT } from './io.ts'
import { runRelay, type StartRelay } from './relay-command.ts'
import { reportError } from './report-error.ts'

/** Every table whose environment variables are known. */
const TABLES: readonly OptionTable[] = [RELAY_OPTIONS]

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

/** How the parts that are slow to load are found; only `relay` loads them. */
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
    .addHelpText('after', '\nStart with: skein relay --help\n')
}

/** Read without the parser, since the error may be the parser's. */
function wantsStack(args: readonly string[], io: CliIo): boolean {
  return (
    args.includes('--debug') || /^(?:true|yes|on|1)$/i.test(io.environment['SKEIN_DEBUG'] ?? '')
  )
}
