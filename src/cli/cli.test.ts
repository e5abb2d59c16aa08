import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'node:test'

import { SkeinError } from '../lib/errors.ts'
import { VERSION } from '../ops/build-info.ts'
import { optionUsage } from '../ops/option-docs.ts'
import type { OptionTable } from '../ops/option-table.ts'
import { RELAY_OPTIONS } from '../ops/relay-options.ts'
import type { CliIo, StopSignal } from './io.ts'
import { runCli } from './program.ts'
import type { StartRelayOptions } from '../server/start-relay.ts'
import type { RunningRelay } from './run/relay-command.ts'

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** The real executable. */
async function skein(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  if (child.exitCode === null) await once(child, 'exit')
  return { code: child.exitCode, out, err }
}

describe('the executable', () => {
  test('--version', async () => {
    assert.deepEqual(await skein(['--version']), { code: 0, out: `${VERSION}\n`, err: '' })
  })

  test('relay --help teaches: every option, with examples', async () => {
    const { code, out } = await skein(['relay', '--help'])
    assert.equal(code, 0)
    const table: OptionTable = RELAY_OPTIONS
    for (const [key, spec] of Object.entries(table)) {
      assert(out.includes(optionUsage(key, spec)), key)
    }
    assert.match(out, /Examples:[\s\S]*skein relay --host pds\.example\.com/)
    assert.match(out, /SKEIN_REPLAY_WINDOW/)
    assert.match(out, /default 72h/)
  })

  test('--help names the commands and fits 80 columns', async () => {
    const { out } = await skein(['--help'])
    assert.match(out, /relay/)
    assert(out.split('\n').every((line) => line.length <= 80))
  })

  const mistakes: [string, string[], Record<string, string>, RegExp][] = [
    ['no command', [], {}, /Usage: skein/],
    ['an unknown command', ['rely'], {}, /^skein: unknown command 'rely'[\s\S]*relay/],
    [
      'an unknown flag',
      ['relay', '--hots', 'a'],
      {},
      /^skein: unknown option '--hots'[\s\S]*--host/,
    ],
    [
      'a flag without its value',
      ['relay', '--bind'],
      {},
      /^skein: option '--bind .*argument missing/,
    ],
    ['an argument too many', ['relay', 'a.test'], {}, /^skein: too many arguments/],
    [
      'a value out of bounds',
      ['relay', '--replay-window', '5s'],
      {},
      /^skein: .*--replay-window.*"5s".*1m/,
    ],
    ['a bad variable', ['relay'], { SKEIN_BIND: 'here' }, /^skein: .*SKEIN_BIND.*host:port/],
    ['a misspelt variable', ['relay'], { SKEIN_HOTS: 'a' }, /^skein: .*SKEIN_HOTS.*SKEIN_HOST/],
    [
      'options that contradict',
      ['relay', '--host', 'http://a.test'],
      {},
      /--allow-private-network/,
    ],
    [
      'a check that cannot be loosened',
      ['relay', '--check', 'signature-invalid=off'],
      {},
      /--check/,
    ],
  ]
  for (const [name, args, env, message] of mistakes) {
    test(`${name}: exit code 2 and no stack`, async () => {
      const { code, out, err } = await skein(args, env)
      assert.equal(code, 2)
      assert.equal(out, '')
      assert.match(err, message)
      assert.doesNotMatch(err, /^ {4}at /m)
      if (err.startsWith('skein: options')) assert.equal(err.trimEnd().split('\n').length, 1)
    })
  }

  test('a stack is shown when asked for', async () => {
    const { code, err } = await skein(['relay'], { SKEIN_BIND: 'here', SKEIN_DEBUG: 'true' })
    assert.equal(code, 2)
    assert.match(err, /^ {4}at /m)
  })
})

interface Fixture {
  readonly io: CliIo
  readonly out: string[]
  readonly err: string[]
  readonly exits: number[]
  readonly started: StartRelayOptions[]
  stops: number
  signal(name: StopSignal): void
  run(args: readonly string[], relay?: Partial<RunningRelay> | Error): Promise<number>
}

/** The command over a relay that does nothing. */
function fixture(environment: Record<string, string> = {}): Fixture {
  const listeners = new Set<(signal: StopSignal) => void>()
  const fix: Fixture = {
    out: [],
    err: [],
    exits: [],
    started: [],
    stops: 0,
    io: {
      stdout: (line) => void fix.out.push(line),
      stderr: (line) => void fix.err.push(line),
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      columns: 80,
      outputClosed: new AbortController().signal,
      write: () => Promise.reject(new Error('not used')),
      environment,
      onStopSignal(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      exit: (code) => void fix.exits.push(code),
    },
    signal(name) {
      assert(listeners.size > 0, 'nobody listens')
      for (const listener of listeners) listener(name)
    },
    run: (args, relay = {}) =>
      runCli(args, fix.io, {
        loadRelay: async () => async (options) => {
          if (relay instanceof Error) throw relay
          fix.started.push(options)
          return {
            address: '127.0.0.1:2470',
            metricsAddress: null,
            stop: async () => void fix.stops++,
            failed: new Promise(() => {}),
            ...relay,
          }
        },
      }),
  }
  return fix
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !condition(); i++) await new Promise(setImmediate)
  assert(condition())
}

describe('skein relay', () => {
  test('flags and variables reach the relay', async () => {
    const fix = fixture({ SKEIN_HOST: 'a.test,b.test', SKEIN_REPLAY_WINDOW: '1h' })
    const args = ['--replay-window', '2h', '--no-request-crawl', '--trusted-proxy', '10.0.0.1']
    const ended = fix.run([
      'relay',
      ...args,
      '--trusted-proxy',
      '10.0.0.2',
      '--check=rev-future=warn',
    ])
    await until(() => fix.started.length === 1)
    const options = fix.started[0] ?? assert.fail()
    assert.deepEqual(options.hosts, ['a.test', 'b.test'])
    assert.equal(options.replayWindow, 7_200_000)
    assert.equal(options.requestCrawl, false)
    assert.deepEqual(options.trustedProxies, ['10.0.0.1/32', '10.0.0.2/32'])
    assert.deepEqual(options.checks, { 'rev-future': 'warn' })
    fix.signal('SIGTERM')
    assert.equal(await ended, 0)
  })

  test('a switch can be turned either way, and a flag beats the environment', async () => {
    const fix = fixture({ SKEIN_REQUEST_CRAWL: 'false', SKEIN_ALLOW_PRIVATE_NETWORK: 'true' })
    const ended = fix.run(['relay', '--request-crawl', '--no-allow-private-network'])
    await until(() => fix.started.length === 1)
    const options = fix.started[0] ?? assert.fail()
    assert.equal(options.requestCrawl, true)
    assert.equal(options.allowPrivateNetwork, false)
    fix.signal('SIGINT')
    assert.equal(await ended, 0)
  })

  test('says where it is, and what to do next', async () => {
    const fix = fixture()
    const signatureBackends = { k256: 'secp256k1' }
    const ended = fix.run(['relay', '--host', 'a.test'], { signatureBackends })
    await until(() => fix.err.length > 0)
    const shown = fix.err.join('')
    assert.match(shown, /http:\/\/127\.0\.0\.1:2470/)
    assert.match(shown, /k256 by secp256k1/)
    assert.match(shown, /requestCrawl/)
    assert.match(shown, /hosts {7}a\.test/)
    assert.deepEqual(fix.out, [], 'standard output is for log lines')
    fix.started[0]?.logger?.info('x')
    assert.match(fix.out.join(''), /^\{"level":"info"/)
    fix.signal('SIGTERM')
    await ended
  })

  test('the first signal drains once, the second ends at once', async () => {
    const fix = fixture()
    const { promise, resolve } = Promise.withResolvers<void>()
    let stops = 0
    const ended = fix.run(['relay'], {
      stop: () => {
        stops++
        return promise
      },
    })
    await until(() => fix.started.length === 1)
    fix.signal('SIGTERM')
    await until(() => stops === 1)
    assert.deepEqual(fix.exits, [])
    fix.signal('SIGINT')
    assert.deepEqual(fix.exits, [130])
    resolve()
    assert.equal(await ended, 0)
    assert.equal(stops, 1)
    assert.throws(() => fix.signal('SIGTERM'), /nobody listens/)
  })

  test('a relay that fails is one line and exit code 1', async () => {
    const error = new SkeinError('LOG_WRITE_FAILED', 'log: disk full', { path: '/data' })
    for (const failed of [Promise.resolve(error), Promise.reject(error)]) {
      const fix = fixture()
      assert.equal(await fix.run(['relay', '--log-level', 'silent'], { failed }), 1)
      assert.equal(fix.err.length, 1)
      assert.match(
        fix.err[0] ?? '',
        /^skein: log: disk full; path=\/data\. .*Nothing was lost\.\n$/,
      )
      assert.equal(fix.stops, 1)
    }
  })

  test('a relay that cannot start is one line and exit code 1', async () => {
    const fix = fixture()
    const error = new SkeinError('DATA_DIRECTORY_LOCKED', 'data: locked', { path: '/data' })
    assert.equal(await fix.run(['relay'], error), 1)
    assert.match(fix.err.join(''), /^skein: data: locked; path=\/data\. Another process[^\n]*\n$/)
    const other = fixture()
    assert.equal(await other.run(['relay'], new TypeError('a\n  b')), 1)
    assert.match(other.err.join(''), /^skein: unexpected error: a b\.[^\n]*\n$/)
  })
})
