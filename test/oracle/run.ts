/** `npm run oracle -- --seeds N`: runs the oracle for many seeds and prints those that fail. */
import { parseArgs } from 'node:util'
import { messageOf } from '../../src/lib/errors.ts'
import { type ConsumerOracleOptions, runConsumerOracle } from './consumer.ts'
import { runKills } from './kill.ts'
import { type OracleOptions, runOracle } from './oracle.ts'
import { type RealHostsOptions, runRealHosts } from './real-hosts.ts'

const HELP = `Usage: npm run oracle -- [options]

A simulated network with liars and faults, a relay that reads it, and a comparison of what comes out
with what is true. Ends with 1 when a seed fails; the seed alone repeats what was sent.

With --hosts: real hosts on disk instead, each a process of its own that is stopped and killed, with
accounts that write, change and move between them, and a real relay. What was acknowledged is held
against streams, exports, proofs, blobs and listings. The seed repeats what is done, but not when
exactly a host dies.

With --consumer: the simulated network again, read by consumers: one behind a relay, and one at each
host, which hears all of its lies. What each was told is held against what is true, record by record.

With --kill: the simulated network again, without lies, read by a relay in a process of its own that
is killed so often: while it starts, while it serves, and at the crash points of src. Subscribers keep
their places and come back. Everything that any of them was sent is held against what is replayed
after each start, against what hosts sent, and against the cursors that hosts are asked for.

  --seeds <n>    seeds to run, from --seed on (default 5)
  --seed <n>     the first seed (default 1; alone: this seed only)
  --hosts        real hosts instead of simulated ones
  --consumer     consumers instead of a relay alone
  --kill <n>     kills of a relay instead, all of one seed (default seed 1)
  --rounds <n>   rounds of 20 events, 7 lies, a fault and a change (default 60); with --hosts of 8
                 writes, two changes and, every other round, a fault (default 40); with --consumer
                 of 20 events, 5 lies, a fault and a change (default 30)
  --late         an account that was not found in the directory goes on at once: its events are
                 lost for the five minutes in which the relay does not ask again, and the seed fails
  --help         print this
`

interface Arguments {
  readonly first: number
  readonly count: number
  /** With `kill`, how many of them. */
  readonly rounds: number
  readonly kind: 'relay' | 'real-hosts' | 'consumer' | 'kill'
  readonly lateAccounts: 'wait' | 'go-on'
}

const ROUNDS: Readonly<Record<Arguments['kind'], number>> = {
  relay: 60,
  'real-hosts': 40,
  consumer: 30,
  kill: 0,
}
const FLAGS: Readonly<Record<Arguments['kind'], string>> = {
  relay: '',
  'real-hosts': ' --hosts',
  consumer: ' --consumer',
  kill: ' --kill',
}

function countOf(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`not a number from 1 on: ${text}`)
  return Number(text)
}

/** Null when help was asked for. */
function readArguments(): Arguments | null {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      rounds: { type: 'string' },
      hosts: { type: 'boolean' },
      consumer: { type: 'boolean' },
      kill: { type: 'string' },
      late: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) return null
  const { hosts = false, consumer = false, kill } = values
  const kinds: Arguments['kind'][] = []
  if (hosts) kinds.push('real-hosts')
  if (consumer) kinds.push('consumer')
  if (kill !== undefined) kinds.push('kill')
  if (kinds.length > 1) throw new Error('--hosts, --consumer and --kill do not go together')
  const kind = kinds[0] ?? 'relay'
  if (kind === 'kill') {
    const isOther = values.seeds ?? values.rounds ?? values.late
    if (isOther !== undefined) throw new Error('--kill goes with --seed alone')
  }
  return {
    first: countOf(values.seed, 1),
    count: kind === 'kill' ? 1 : countOf(values.seeds, values.seed === undefined ? 5 : 1),
    rounds: kind === 'kill' ? countOf(kill, 1) : countOf(values.rounds, ROUNDS[kind]),
    kind,
    lateAccounts: values.late === true ? 'go-on' : 'wait',
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** What is wrong with a seed. */
async function faultsOf(options: OracleOptions): Promise<readonly string[]> {
  const { seed } = options
  try {
    const { faults, events, lies, reasons, fired, tookMs } = await runOracle(options)
    const struck = Object.values(fired).reduce((sum, count) => sum + count, 0)
    print(
      `seed ${seed}: ${events} honest events, ${lies} lies for ${reasons} reasons, ` +
        `${struck} faults of ${Object.keys(fired).length} kinds, ${Math.round(tookMs / 100) / 10} s`,
    )
    return faults
  } catch (error) {
    return [messageOf(error)]
  }
}

/** The same of real hosts. */
async function faultsOfRealHosts(options: RealHostsOptions): Promise<readonly string[]> {
  const { seed } = options
  try {
    const { faults, events, accounts, made, unanswered, tookMs } = await runRealHosts(options)
    const count = [...made.values()].reduce((sum, times) => sum + times, 0)
    print(
      `seed ${seed}: ${events} events of ${accounts} accounts, ${count} changes and faults of ` +
        `${made.size} kinds, ${unanswered.done + unanswered.lost} calls cut off by a kill ` +
        `(${unanswered.done} done), ${Math.round(tookMs / 100) / 10} s`,
    )
    return faults
  } catch (error) {
    return [messageOf(error)]
  }
}

/** The same of consumers. */
async function faultsOfConsumers(options: ConsumerOracleOptions): Promise<readonly string[]> {
  const { seed } = options
  try {
    const report = await runConsumerOracle(options)
    const { faults, events, lies, delivered, repairs, refused, records, fired, tookMs } = report
    print(
      `seed ${seed}: ${events} honest events, ${lies} lies, ` +
        `faults of ${Object.keys(fired).length} kinds; ${delivered} deliveries, ` +
        `${refused} refusals, ${repairs} repositories fetched, ${records} records, ` +
        `${Math.round(tookMs / 100) / 10} s`,
    )
    return faults
  } catch (error) {
    return [messageOf(error)]
  }
}

/** The same of a relay that is killed. */
async function violationsOfKills(seed: number, kills: number): Promise<readonly string[]> {
  const report = await runKills({ seed, kills, onProgress: print })
  const { violations, struck, inStart, inService, events, replayed, cursors, tookMs } = report
  const points = [...struck].sort(([a], [b]) => (a < b ? -1 : 1))
  print(
    `seed ${seed}: ${report.kills} kills (${inStart} in a start, ${inService} in service, ` +
      `${report.kills - inStart - inService} at ${points.length} crash points), ` +
      `${events} honest events, ${report.changes} changes of accounts, ` +
      `${replayed} frames sent again, ${cursors} cursors, ${Math.round(tookMs / 100) / 10} s`,
  )
  print(`  ${points.map(([point, count]) => `${point} ${count}`).join(', ')}`)
  return violations
}

async function main(): Promise<number> {
  let options: Arguments | null
  try {
    options = readArguments()
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}`)
    return 2
  }
  if (options === null) {
    process.stdout.write(HELP)
    return 0
  }
  const { first, count, rounds, kind, lateAccounts } = options
  const failed: number[] = []
  for (let seed = first; seed < first + count; seed++) {
    const run = {
      relay: () => faultsOf({ seed, rounds, lateAccounts }),
      'real-hosts': () => faultsOfRealHosts({ seed, rounds }),
      consumer: () => faultsOfConsumers({ seed, rounds }),
      kill: () => violationsOfKills(seed, rounds),
    }
    const faults = await run[kind]()
    if (faults.length === 0) continue
    failed.push(seed)
    const flags = FLAGS[kind] + (lateAccounts === 'go-on' ? ' --late' : '')
    const how = kind === 'kill' ? `${flags} ${rounds}` : ` --rounds ${rounds}${flags}`
    print(`seed ${seed} FAILS: npm run oracle -- --seed ${seed}${how}`)
    for (const fault of faults) print(`  ${fault}`)
  }
  print(`${count - failed.length} seeds passed, ${failed.length} failed`)
  return failed.length === 0 ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Ends through the exit handlers, which remove the files of the run.
  process.once(signal, () => process.exit(130))
}
process.exitCode = await main()
