import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { optionUsage } from '../../ops/option-docs.ts'
import type { OptionTable } from '../../ops/option-table.ts'
import { DEMO_OPTIONS, SIM_OPTIONS } from '../../ops/sim-options.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { startRelay } from '../../server/start-relay.ts'
import type { CliIo, StopSignal } from '../io.ts'
import { runCli } from '../program.ts'

interface Session {
  readonly ended: Promise<number>
  out(): string
  err(): string
  signal(name: StopSignal): void
}

/** A command that runs in this process until it ends, or is told to. */
function run(args: readonly string[], terminal: 'terminal' | 'pipe' = 'pipe'): Session {
  const listeners = new Set<(signal: StopSignal) => void>()
  let out = ''
  let err = ''
  const io: CliIo = {
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    stdoutIsTerminal: terminal === 'terminal',
    stderrIsTerminal: false,
    columns: 80,
    outputClosed: new AbortController().signal,
    write: () => Promise.reject(new Error('not used')),
    environment: {},
    onStopSignal(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    exit: (code) => assert.fail(`exit ${code}`),
  }
  return {
    ended: runCli(args, io, { loadRelay: async () => startRelay }),
    out: () => out,
    err: () => err,
    signal: (name) => {
      for (const listener of listeners) listener(name)
    },
  }
}

const SMALL = ['--hosts', '2', '--accounts', '6', '--records', '10']

describe('skein sim', () => {
  test('--help teaches: every option, with examples', async () => {
    for (const [name, given] of [
      ['sim', SIM_OPTIONS],
      ['demo', DEMO_OPTIONS],
    ] as const) {
      const session = run([name, '--help'])
      assert.equal(await session.ended, 0)
      const table: OptionTable = given
      for (const [key, spec] of Object.entries(table)) {
        assert(session.out().includes(optionUsage(key, spec)), `${name} ${key}`)
      }
      assert.match(session.out(), new RegExp(`Examples:[\\s\\S]*\\$ skein ${name}`))
    }
  })

  test('mistakes end with 2 and one line', async () => {
    for (const [args, message] of [
      [['--hosts', '0'], /--hosts/],
      [['--start', 'soon'], /--start is not a time/],
      [['--record', 'a', '--replay', 'b'], /exclude each other/],
      [['--replay', '/nonexistent/traffic'], /open traffic file/],
    ] as const) {
      const session = run(['sim', ...args])
      const code = await session.ended
      assert.equal(code, args[0] === '--replay' ? 1 : 2)
      assert.match(session.err(), message)
      assert.equal(session.err().trimEnd().split('\n').length, 1)
    }
  })

  test('a network runs until Ctrl-C, and tells how to read it', async () => {
    const traffic = ['--rate', '500', '--lies', '100', '--faults', '100']
    const session = run(['sim', ...SMALL, '--port', '0', ...traffic])
    await eventually(() => (session.err().includes('Ctrl-C') ? true : null), 'the announcement')
    const [, url = ''] = /curl '([^']+)'/.exec(session.err()) ?? []
    const listed = (await (await fetch(url)).json()) as { readonly repos: readonly unknown[] }
    assert.equal(listed.repos.length, 3)
    session.signal('SIGINT')
    assert.equal(await session.ended, 0)
    assert.match(session.err(), /sent \d+ honest events and \d+ lies/)
    assert.doesNotMatch(session.err(), /dns-/)
    await assert.rejects(fetch(url))
  })

  test('traffic is recorded and replayed', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'skein-sim-test-'))
    try {
      const path = join(directory, 'traffic')
      const recording = run(['sim', ...SMALL, '--record', path, '--events', '40'])
      assert.equal(await recording.ended, 0)
      assert.match(recording.err(), /40 frames in/)
      const replay = run(['sim', '--replay', path, '--port', '0', '--pace', 'free'])
      await eventually(() => (replay.err().includes('Ctrl-C') ? true : null), 'the announcement')
      replay.signal('SIGTERM')
      assert.equal(await replay.ended, 0)
      assert.match(replay.err(), /40 of 40 events were sent/)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})

async function leftovers(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('skein-demo-'))
}

describe('skein demo', () => {
  const args = ['demo', '--accounts', '8', '--records', '10', '--bind', '127.0.0.1:0']

  test('a line a second without a terminal; Ctrl-C leaves nothing behind', async () => {
    const before = await leftovers()
    const session = run([...args, '--rate', '300', '--lies', '200'])
    const busy = /events\/s \| verified [1-9]\d* \| refused [1-9]/
    await eventually(() => (busy.test(session.out()) ? true : null), 'events that were refused')
    const [, address = ''] = /relay (http:\S+)/.exec(session.out()) ?? []
    const hosts = (await (await fetch(address)).json()) as { readonly hosts: readonly unknown[] }
    assert.equal(hosts.hosts.length, 3)
    session.signal('SIGINT')
    assert.equal(await session.ended, 0)
    assert.deepEqual(await leftovers(), before)
    await assert.rejects(fetch(address))
  })

  test('one screen on a terminal, drawn over itself', async () => {
    const session = run([...args, '--duration', '1500ms'], 'terminal')
    assert.equal(await session.ended, 0)
    const screens = session.out().split('skein demo ').slice(1)
    assert.ok(screens.length >= 2)
    const heights = new Set(screens.map((screen) => screen.split('\n').length))
    assert.equal(heights.size, 1, 'every screen has as many lines')
    const height = (screens[0] ?? '').split('\n').length - 1
    assert.ok(session.out().includes(`\u001B[${height}A\u001B[0J`))
    assert.match(
      session.out(),
      /curl 'http:\/\/127\.0\.0\.1:\d+\/xrpc\/com\.atproto\.sync\.listHosts'/,
    )
    assert.match(session.out(), /ws:\/\/127\.0\.0\.1:\d+\/xrpc\/com\.atproto\.sync\.subscribeRepos/)
  })
})
