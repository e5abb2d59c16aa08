/** `npm run bench NAME -- [options]`: runs one benchmark. */
import { parseArgs } from 'node:util'

import { must } from '../src/lib/assert.ts'
import { messageOf } from '../src/lib/errors.ts'
import { type Bench, type BenchContext, type BenchOption, UsageError } from './bench.ts'
import { consumerBench } from './consumer.ts'
import { decodeBench } from './decode.ts'
import { hostBench } from './host.ts'
import { relayBench } from './relay.ts'
import { simBench } from './sim.ts'
import { verifyBench } from './verify.ts'

const BENCHES: Readonly<Record<string, Bench>> = {
  verify: verifyBench,
  decode: decodeBench,
  relay: relayBench,
  consumer: consumerBench,
  host: hostBench,
  sim: simBench,
}

/** What every benchmark takes. */
const COMMON: Readonly<Record<string, BenchOption>> = {
  json: { value: null, text: 'print one JSON object' },
  help: { value: null, text: 'print this' },
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

const HELP = [
  'Usage: npm run bench NAME [-- options]',
  '',
  ...Object.entries(BENCHES).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`),
  '',
  ...optionLines(COMMON),
  '',
  'npm run bench NAME -- --help shows what a benchmark takes besides.',
].join('\n')

function optionLines(options: Readonly<Record<string, BenchOption>>): string[] {
  const heads = Object.entries(options).map(([name, { value }]) =>
    value === null ? `--${name}` : `--${name} ${value}`,
  )
  const width = Math.max(...heads.map((head) => head.length))
  return Object.values(options).map(
    ({ text }, i) => `  ${must(heads[i], 'head').padEnd(width)}  ${text}`,
  )
}

function helpOf(name: string, { summary, options = {}, help = [] }: Bench): string {
  const lines = [`Usage: npm run bench ${name} [-- options]`, '', `  ${summary}`, '']
  return [...lines, ...optionLines({ ...options, ...COMMON }), ...help].join('\n')
}

function refuse(problem: string, help: string): number {
  process.stderr.write(`${problem}\n\n${help}\n`)
  return 2
}

/** Values by name; throws when an option is not known. */
function readValues(args: readonly string[], { options = {} }: Bench): BenchContext['values'] {
  const all = Object.entries({ ...options, ...COMMON })
  const { values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      all.map(([name, { value, repeats = false }]) => [
        name,
        { type: value === null ? 'boolean' : 'string', multiple: repeats } as const,
      ]),
    ),
  })
  return values as BenchContext['values']
}

/** Exit code 2: the arguments are wrong. */
async function main(args: readonly string[]): Promise<number> {
  const name = args.find((arg) => !arg.startsWith('-'))
  if (name === undefined) {
    if (args.length !== 1 || !/^(?:-h|--help)$/.test(args[0] ?? '')) {
      return refuse('Which benchmark?', HELP)
    }
    print(HELP)
    return 0
  }
  const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
  if (bench === undefined) return refuse(`No benchmark: ${name}`, HELP)
  const help = helpOf(name, bench)
  const at = args.indexOf(name)
  let values: BenchContext['values']
  try {
    values = readValues(args.toSpliced(at, 1), bench)
  } catch (error) {
    return refuse(messageOf(error), help)
  }
  if (values['help'] === true) {
    print(help)
    return 0
  }
  try {
    await bench.run({ format: values['json'] === true ? 'json' : 'text', print, values })
    return 0
  } catch (error) {
    if (error instanceof UsageError) return refuse(error.message, help)
    throw error
  }
}

process.exitCode = await main(process.argv.slice(2))
