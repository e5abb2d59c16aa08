/** `npm run bench NAME -- [options]`: runs one benchmark. */
import { parseArgs } from 'node:util'

import { must } from '../src/lib/assert.ts'
import { messageOf } from '../src/lib/errors.ts'
import { type Bench, type BenchContext, type BenchOption, UsageError } from './bench.ts'

interface Entry {
  readonly summary: string
  /** Rivals take seconds to load: only what is run is loaded. */
  readonly load: () => Promise<Bench>
}

const BENCHES: Readonly<Record<string, Entry>> = {
  verify: {
    summary: 'verdicts on real commits, one thread, beside @atproto/sync',
    load: async () => (await import('./verify.ts')).verifyBench,
  },
  decode: {
    summary: 'unverified decoding of real commits, beside @atcute/firehose and @skyware/firehose',
    load: async () => (await import('./decode.ts')).decodeBench,
  },
  relay: {
    summary: 'a whole relay under load: hosts, relay and subscribers as processes of their own',
    load: async () => (await import('./relay.ts')).relayBench,
  },
  consumer: {
    summary: 'verified consumption of a stream and of repositories, beside @atproto/sync and /repo',
    load: async () => (await import('./consumer.ts')).consumerBench,
  },
  host: {
    summary: 'signed commits and exports of a repository host, beside @atproto/repo',
    load: async () => (await import('./host.ts')).hostBench,
  },
  scale: {
    summary: 'a relay with millions of accounts and thousands of hosts',
    load: async () => (await import('./scale.ts')).scaleBench,
  },
  sim: {
    summary: 'signing and replaying the traffic of a simulated network',
    load: async () => (await import('./sim.ts')).simBench,
  },
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

function helpOf(name: string, summary: string, { options = {}, help = [] }: Bench): string {
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
  const entry = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
  if (entry === undefined) return refuse(`No benchmark: ${name}`, HELP)
  const bench = await entry.load()
  const help = helpOf(name, entry.summary, bench)
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

// A relay of a group of its own does not hear of Ctrl-C: it is ended with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
process.exitCode = await main(process.argv.slice(2))
