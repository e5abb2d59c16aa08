import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { SyncClient } from '../../client/calls/sync-client.ts'
import { sendJson } from '../../identity/testing/loopback-server.ts'
import { CALLS } from './call-table.ts'
import { EXIT } from '../io.ts'
import { CliWorld } from '../testing/cli-world.ts'
import { FakeAccount, FAKE_DID, sendError } from '../testing/fake-account.ts'

test('every call that a client makes can be called', () => {
  const methods = Object.getOwnPropertyNames(SyncClient.prototype)
    .filter((name) => !name.startsWith('#') && name !== 'constructor' && !name.endsWith('Page'))
    .sort()
  assert.deepEqual(Object.keys(CALLS).sort(), methods)
  assert.equal(methods.length, 16)
})

describe('against a network', () => {
  let world: CliWorld
  let service: string
  before(async () => {
    world = await CliWorld.start()
    await world.network.run({ events: 20, pace: 'free' })
    service = world.network.hosts[0]?.endpoint ?? ''
  })
  after(() => world[Symbol.asyncDispose]())

  test('a query by its full name, and the account by its DID alone', async () => {
    const did = world.did()
    const head = world.network.simulation.world.account(did)?.head
    const nsid = 'com.atproto.sync.getLatestCommit'
    const { code, out } = await world.run(['call', nsid, `did=${did}`])
    assert.equal(code, EXIT.ok)
    assert.deepEqual(JSON.parse(out), { cid: head?.commit, rev: head?.rev })
  })

  test('one page, all pages, and some', async () => {
    const to = ['--service', service]
    const page = await world.run(['call', 'listRepos', 'limit=1', ...to])
    assert.equal((JSON.parse(page.out) as { repos: unknown[] }).repos.length, 1)
    const all = await world.run(['call', 'listRepos', 'limit=1', '--all', ...to])
    assert.equal(
      all.out.trimEnd().split('\n').length,
      [...world.network.simulation.world.dids].length,
    )
    const two = await world.run(['call', 'listRepos', 'limit=1', '--all', '--count', '2', ...to])
    assert.equal(two.out.trimEnd().split('\n').length, 2)
  })

  test('events as JSON lines, so many as are wanted', async () => {
    const args = ['call', 'subscribeRepos', 'cursor=0', '--count', '5', '--service', service]
    const { code, out } = await world.run(args)
    assert.equal(code, EXIT.ok)
    const types = out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { $type: string }).$type)
    assert.equal(types.length, 5)
    for (const type of types) assert.match(type, /^com\.atproto\.sync\.subscribeRepos#/)
  })

  test('bytes into a file, and not onto a terminal', async () => {
    const did = world.did()
    const path = world.path('call.car')
    assert.equal((await world.run(['call', 'getRepo', `did=${did}`, '--out', path])).code, EXIT.ok)
    const piped = await world.run(['call', 'getRepo', `did=${did}`])
    assert.deepEqual(piped.captured.outBytes(), new Uint8Array(readFileSync(path)))
    const args = ['call', 'getRepo', `did=${did}`]
    assert.equal((await world.run(args, { stdoutIsTerminal: true })).code, EXIT.usage)
  })

  test('what is called wrongly is 2 before anybody is asked', async () => {
    const wrong = [
      ['getRepoo', `did=${FAKE_DID}`],
      ['getRepo', 'dod=x'],
      ['getRepo', 'did'],
      ['getRepo', `did=${FAKE_DID}`, `did=${FAKE_DID}`],
      ['listRepos', 'limit=many', '--service', service],
      ['listRepos', 'limit=-1', '--service', service],
      ['getRepo', 'did=nobody'],
      ['com.atproto.repo.getRecord'],
      ['__proto__'],
    ]
    for (const args of wrong) {
      const { code, err } = await world.run(['call', ...args])
      assert.equal(code, EXIT.usage, `${args.join(' ')}: ${err}`)
    }
    assert.match((await world.run(['call', 'getRepoo'])).err, /nearest=getRepo/)
  })
})

describe('against a host that lies', () => {
  const answers: readonly (readonly [string, number, Parameters<typeof FakeAccount.start>[0]])[] = [
    ['a name from the lexicon', EXIT.absent, (_c, _p, res) => sendError(res, 400, 'RepoTakendown')],
    ['a name from nowhere', EXIT.failure, (_c, _p, res) => sendError(res, 400, 'Sunspots')],
    ['nothing here', EXIT.failure, (_c, _p, res) => res.writeHead(404).end('<html>')],
    ['HTML', EXIT.failure, (_c, _p, res) => res.setHeader('content-type', 'text/html').end('<p>')],
    ['another shape', EXIT.failure, (_c, _p, res) => sendJson(res, { rev: 7 })],
    ['an end', EXIT.failure, (_c, _p, res) => res.destroy()],
    [
      'a way to a private address',
      EXIT.failure,
      (_c, _p, res) => res.writeHead(302, { location: 'http://10.1.2.3/' }).end(),
    ],
  ]
  for (const [name, exit, answer] of answers) {
    test(`${name} is ${exit}, with one line and one object`, async () => {
      await using host = await FakeAccount.start(answer)
      const args = ['call', 'getLatestCommit', `did=${FAKE_DID}`, '--service', host.host.origin]
      const { code, out, err } =
        name === 'a way to a private address'
          ? await host.runInPublic([...args, '--json'])
          : await host.run([...args, '--json'])
      assert.equal(code, exit, err)
      assert.equal(out, '')
      const told = JSON.parse(err) as { error: string; message: string; exit: number }
      assert.equal(told.exit, exit)
      assert.match(told.error, /^[A-Z][A-Za-z_]+$/)
    })
  }
})
