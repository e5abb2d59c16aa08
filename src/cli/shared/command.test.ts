import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'node:test'

import { completionNodes } from '../call/completion.ts'
import { EXIT } from '../io.ts'
import { buildProgram } from '../program.ts'
import { captureIo } from '../testing/captured-io.ts'
import { CliWorld, runCommand } from '../testing/cli-world.ts'
import { FakeAccount, FAKE_DID } from '../testing/fake-account.ts'
import { eventually } from '../../../test/support/waiting.ts'

const parts = { loadRelay: () => Promise.reject(new Error('no relay here')) }
const program = buildProgram(captureIo().io, parts, () => {})
const nodes = completionNodes(program)

describe('every command', () => {
  for (const { path, commands } of nodes.filter((node) => node.path !== '')) {
    test(`${path} --help teaches within 100 columns`, async () => {
      const { code, out } = await runCommand([...path.split(' '), '--help'])
      assert.equal(code, EXIT.ok)
      if (commands.length > 0) {
        for (const { name } of commands) assert.match(out, new RegExp(`^  ${name}\\b`, 'm'))
        return
      }
      assert.match(out, /Examples:\n[\s\S]*\$ (?:SKEIN_\S+ )*[\s\S]*skein /)
      assert.ok(out.split('\n').every((line) => line.length <= 100))
    })
  }

  test('a group alone shows its help and is misuse', async () => {
    const { code, err } = await runCommand(['repo'])
    assert.equal(code, EXIT.usage)
    assert.match(err, /Usage: skein repo/)
  })
})

describe('ends', () => {
  test('Ctrl-C ends a command that waits with 130, and says how to go on', async () => {
    await using host = await FakeAccount.start((_call, _params, response) => {
      response.setHeader('content-type', 'application/vnd.ipld.car')
      response.write('x')
    })
    const captured = captureIo()
    await using world = await CliWorld.start({ accounts: 1, records: 1 })
    const { runCli } = await import('../program.ts')
    const file = world.path('never.car')
    const args = ['repo', 'get', world.did(), file, '--service', host.host.origin, ...world.flags]
    const ended = runCli(args, captured.io, parts)
    await eventually(() => host.host.requests.length > 0 || null, 'a request')
    captured.signal('SIGINT')
    assert.equal(await ended, EXIT.interrupted)
    assert.match(captured.err(), /interrupted/)
    assert.equal(captured.listens(), false)
  })

  test('a reader that goes away is no error', async () => {
    await using world = await CliWorld.start({ accounts: 2 })
    const args = ['repo', 'ls', world.did(), 'app.bsky.*']
    const { code, err } = await world.run(args, { closesAfterBytes: 10 })
    assert.equal(code, EXIT.ok, err)
    assert.equal(err, '')
  })

  test('the real executable ends well when its reader goes away', async () => {
    await using world = await CliWorld.start({ accounts: 1, records: 3_000 })
    const main = fileURLToPath(new URL('../main.ts', import.meta.url))
    const args = [main, 'repo', 'ls', world.did(), 'app.bsky.*', ...world.flags]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.once('data', () => child.stdout.destroy())
    const errors: string[] = []
    child.stderr.on('data', (piece) => void errors.push(String(piece)))
    const [code] = (await once(child, 'exit')) as [number]
    assert.equal(code, EXIT.ok, errors.join(''))
    assert.equal(errors.join(''), '')
  })

  test('results that do not fit on the disk are a failure, however few', async (context) => {
    if (!existsSync('/dev/full')) return context.skip('no /dev/full here')
    await using world = await CliWorld.start({ accounts: 1, records: 2_000 })
    const main = fileURLToPath(new URL('../main.ts', import.meta.url))
    for (const words of [
      ['repo', 'ls'],
      ['repo', 'inspect'],
      ['repo', 'get'],
    ]) {
      const target = words[1] === 'get' ? [world.did(), '-'] : [world.did()]
      const full = openSync('/dev/full', 'w')
      const args = [main, ...words, ...target, ...world.flags]
      const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] })
      closeSync(full)
      const errors: string[] = []
      child.stderr?.on('data', (piece) => void errors.push(String(piece)))
      const [code] = (await once(child, 'close')) as [number]
      assert.equal(code, EXIT.failure, errors.join(''))
      assert.match(errors.join(''), /write standard output: the disk is full/)
    }
  })

  test('a variable that nobody knows is a mistake for these commands too', async () => {
    const environment = { SKEIN_TIMEOOT: '1s' }
    const { code, err } = await runCommand(['repo', 'ls', FAKE_DID], { environment })
    assert.equal(code, EXIT.usage)
    assert.match(err, /SKEIN_TIMEOUT/)
  })
})

describe('completion', () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    test(`${shell}: every command and every flag is in the script`, async () => {
      const { code, out } = await runCommand(['completion', shell])
      assert.equal(code, EXIT.ok)
      for (const { path, options } of nodes) {
        if (path !== '') assert.ok(out.includes(`'${path}'`), path)
        for (const { flag } of options) {
          assert.ok(out.includes(shell === 'fish' ? `-l ${flag.slice(2)}` : flag), flag)
        }
      }
    })

    test(`${shell} reads it`, async (context) => {
      const { out } = await runCommand(['completion', shell])
      const read = spawnSync(shell, ['-n'], { input: out, encoding: 'utf8' })
      if (read.error !== undefined) {
        context.skip(`${shell} is not installed`)
        return
      }
      assert.equal(read.status, 0, read.stderr)
    })
  }

  test('bash offers commands, flags and the values of a flag', async (context) => {
    const { out } = await runCommand(['completion', 'bash'])
    const complete = (...words: string[]): string[] | null => {
      const script = `${out}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _skein; printf '%s\\n' "\${COMPREPLY[@]}"`
      const run = spawnSync('bash', ['--norc', '-c', script, 'bash', ...words], {
        encoding: 'utf8',
      })
      return run.error === undefined ? run.stdout.trimEnd().split('\n') : null
    }
    const commands = complete('skein', 'repo', '')
    if (commands === null) {
      context.skip('bash is not installed')
      return
    }
    for (const name of ['get', 'verify', 'export', '--help']) assert.ok(commands.includes(name))
    assert.deepEqual(complete('skein', 're'), ['relay', 'repo', 'record'])
    assert.deepEqual(complete('skein', 'repo', 'export', 'x', '--form'), ['--format'])
    assert.deepEqual(complete('skein', 'repo', 'export', '--format', ''), ['json', 'ndjson'])
  })

  test('another shell is a mistake', async () => {
    assert.equal((await runCommand(['completion', 'tcsh'])).code, EXIT.usage)
  })
})
