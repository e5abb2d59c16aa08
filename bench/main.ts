/** `npm run bench NAME -- [--json]`: runs one benchmark. */
import { parseArgs } from 'node:util'

import { messageOf } from '../src/lib/errors.ts'
import type { Bench, BenchContext } from './bench.ts'
import { consumerBench } from './consumer.ts'
import { decodeBench } from './decode.ts'
import { hostBench } from './host.ts'
import { scaleBench } from './scale.ts'
import { simBench } from './sim.ts'
import { verifyBench } from './verify.ts'

const BENCHES: Readonly<Record<string, Bench>> = {
  verify: verifyBench,
  decode: decodeBench,
  consumer: consumerBench,
  host: hostBench,
  scale: scaleBench,
  sim: simBench,
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

const HELP = [
  'Usage: npm run bench NAME [-- --json]',
  '',
  ...Object.entries(BENCHES).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`),
  '',
  '  --json    print one JSON object',
  '  --help    print this',
  '  --accounts, --hosts, --commits, --rate, --seconds N    of scale',
].join('\n')

interface Arguments {
  readonly names: readonly string[]
  readonly format: 'text' | 'json'
  readonly isHelp: boolean
  readonly values: NonNullable<BenchContext['values']>
}

/** Null when the arguments are not understood; what is wrong has been printed. */
function readArguments(): Arguments | null {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        accounts: { type: 'string' },
        hosts: { type: 'string' },
        commits: { type: 'string' },
        rate: { type: 'string' },
        seconds: { type: 'string' },
      },
    })
    const { json, help, ...rest } = values
    const format = json === true ? 'json' : 'text'
    return { names: positionals, format, isHelp: help === true, values: rest }
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}\n`)
    return null
  }
}

/** Exit code 2: the arguments are wrong. */
async function main(): Promise<number> {
  const options = readArguments()
  if (options === null) return 2
  if (options.isHelp) {
    print(HELP)
    return 0
  }
  const [name = ''] = options.names
  const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
  if (bench === undefined || options.names.length !== 1) {
    const problem = name === '' ? 'Which benchmark?' : `No benchmark: ${options.names.join(' ')}`
    process.stderr.write(`${problem}\n\n${HELP}\n`)
    return 2
  }
  await bench.run({ format: options.format, print, values: options.values })
  return 0
}

process.exitCode = await main()
