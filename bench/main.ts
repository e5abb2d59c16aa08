/** `npm run bench NAME -- [--json]`: runs one benchmark. */
import { parseArgs } from 'node:util'

import { messageOf } from '../src/lib/errors.ts'
import type { Bench } from './bench.ts'
import { consumerBench } from './consumer.ts'
import { decodeBench } from './decode.ts'
import { hostBench } from './host.ts'
import { simBench } from './sim.ts'
import { verifyBench } from './verify.ts'

const BENCHES: Readonly<Record<string, Bench>> = {
  verify: verifyBench,
  decode: decodeBench,
  consumer: consumerBench,
  host: hostBench,
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
].join('\n')

interface Arguments {
  readonly names: readonly string[]
  readonly format: 'text' | 'json'
  readonly isHelp: boolean
}

/** Null when the arguments are not understood; what is wrong has been printed. */
function readArguments(): Arguments | null {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    })
    const format = values.json === true ? 'json' : 'text'
    return { names: positionals, format, isHelp: values.help === true }
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
  await bench.run({ format: options.format, print })
  return 0
}

process.exitCode = await main()
