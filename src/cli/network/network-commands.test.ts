import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'

import { startRelay, type RunningRelay } from '../../server/start-relay.ts'
import { must } from '../../lib/assert.ts'
import { within } from '../../../test/support/waiting.ts'
import { BrokenHost } from '../testing/broken-host.ts'
import { CliWorld, runCommand } from '../testing/cli-world.ts'

interface Row {
  readonly [key: string]: unknown
}

/** Lines of JSON. */
function rowsOf(text: string): Row[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
}

describe('commands about a network', () => {
  let world: CliWorld
  let relay: RunningRelay
  let other: RunningRelay
  let host: string
  let did: string
  const stop = new AbortController()
  let traffic: Promise<void> = Promise.resolve()

  before(async () => {
    world = await CliWorld.start({ rate: 40 })
    const { network } = world
    const front = must(network.hosts[0], 'host')
    const options = { plc: [network.plc.url], hosts: [front.endpoint], allowPrivateNetwork: true }
    relay = await startRelay(options)
    other = await startRelay(options)
    host = front.hostname
    did = world.did()
    await front.connected()
    traffic = network.run({ pace: 'clock', signal: stop.signal })
    // Every account has to have spoken, or relays do not know it.
    const { simulation } = network
    for (const one of network.world.dids) {
      const account = must(simulation.account(one), 'account')
      simulation.commit(account, [])
    }
    const asked = await within(known(relay), 'accounts at the relay', 20_000)
    assert(asked > 0)
    await within(known(other), 'accounts at the other relay', 20_000)
  })

  /** Resolves when the relay knows all accounts. */
  async function known({ url }: RunningRelay): Promise<number> {
    for (;;) {
      const { out } = await world.run(['host', 'repos', url, '--summary', '--json'])
      const { read } = JSON.parse(out) as { read: number }
      if (read >= [...world.network.world.dids].length) return read
    }
  }

  after(async () => {
    stop.abort()
    await traffic
    await relay.stop()
    await other.stop()
    await world[Symbol.asyncDispose]()
  })

  test('host status: the host and the relays side by side', async () => {
    const both = ['--relay', relay.url, '--relay', other.url]
    const { code, out } = await world.run(['host', 'status', host, ...both])
    assert.equal(code, 0)
    assert.match(out, /server +did:web:/)
    assert.match(out, /repositories +4/)
    assert.equal(out.match(/ {2}active /g)?.length, 2)
    const json = await world.run(['host', 'status', host, '--relay', relay.url, '--json'])
    const { relays } = JSON.parse(json.out) as { relays: { host: { status: string } }[] }
    assert.deepEqual(
      relays.map((one) => one.host.status),
      ['active'],
    )
  })

  test('host status: a host that no relay knows is exit code 3', async () => {
    await using stranger = await BrokenHost.start()
    stranger.set('describeServer', { did: 'did:web:localhost' })
    stranger.set('listRepos', { repos: [] })
    const args = ['host', 'status', stranger.hostname, '--relay', relay.url]
    const { code, out } = await world.run(args)
    assert.equal(code, 3)
    assert.match(out, /HostNotFound/)
  })

  test('host list: the hosts of a relay', async () => {
    const { code, out } = await world.run(['host', 'list', relay.url, '--json'])
    assert.equal(code, 0)
    const [row] = rowsOf(out)
    assert.equal(row?.['hostname'], host)
    assert.equal(row?.['status'], 'active')
    const text = await world.run(['host', 'list', relay.url])
    assert.match(text.out, /^HOST +STATUS +SEQ +ACCOUNTS\nlocalhost:\d+ +active/)
    assert.match(text.err, /1 host: 1 active/)
  })

  test('host repos: bounded, filtered, counted', async () => {
    const all = await world.run(['host', 'repos', host, '--json'])
    const dids = rowsOf(all.out).map((row) => row['did'])
    assert.deepEqual(new Set(dids), new Set(world.network.world.dids))
    const two = await world.run(['host', 'repos', host, '--limit', '2', '--json'])
    assert.equal(rowsOf(two.out).length, 2)
    assert.match(two.err, /there are more/)
    const none = await world.run(['host', 'repos', host, '--status', 'inactive'])
    assert.equal(none.out, '')
    const counts = await world.run(['host', 'repos', host, '--summary'])
    assert.match(counts.out, /accounts +4\nactive +4/)
  })

  test('account status: the same at host and relay', async () => {
    const { code, out } = await world.run([
      'account',
      'status',
      did,
      '--relay',
      relay.url,
      '--json',
    ])
    assert.equal(code, 0)
    const { views, differences } = JSON.parse(out) as {
      views: { role: string; status: string; rev: string }[]
      differences: string[]
    }
    assert.deepEqual(differences, [])
    assert.deepEqual(
      views.map(({ role, status }) => `${role} ${status}`),
      ['host active', 'relay active'],
    )
    const text = await world.run(['account', 'status', did, '--relay', relay.url])
    assert.match(text.out, /host localhost:\d+ +active +\w{13} +bafy/)
  })

  test('account status: by handle, and a relay that knows nobody', async () => {
    await using empty = await BrokenHost.start()
    empty.set('getRepoStatus', { error: 'RepoNotFound' }, 400)
    empty.set('getLatestCommit', { error: 'RepoNotFound' }, 400)
    const handle = must(world.network.world.account(did), 'account').handle
    const args = ['account', 'status', handle, '--relay', empty.endpoint]
    const { code, out } = await world.run(args, { txt: { [`_atproto.${handle}`]: did } })
    assert.equal(code, 4)
    assert.match(out, /which leads back by dns/)
    assert.match(out, /differs .*does not know the account/)
  })

  test('account status: nobody is exit code 3', async () => {
    const args = ['account', 'status', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', '--relay', relay.url]
    const { code, err } = await world.run(args)
    assert.equal(code, 3)
    assert.match(err, /not found/)
  })

  test('crawl request: taken, and what the relay makes of the host', async () => {
    const { code, out } = await world.run(['crawl', 'request', host, '--relay', relay.url])
    assert.equal(code, 0)
    assert.match(out, /^taken +http:\S+ {2}status active, seq \d+/)
  })

  test('doctor: a host that is well', async () => {
    const { code, out } = await world.run(['doctor', host, '--relay', relay.url])
    assert.equal(code, 0, out)
    assert.match(out, /^Host localhost:\d+\nok +name/)
    assert.match(out, /Relay http:\S+\nok +relay-host +active/)
    assert.match(out, /(?:All is well|Nothing fails): 1\d checks passed/)
  })

  test('doctor: a name of a closed port says what to do; --json has one object a step', async () => {
    const { code, out } = await world.run(['doctor', 'localhost:1', '--relay', 'none'])
    assert.equal(code, 1)
    assert.match(
      out,
      /FAIL +connect +localhost port 1: ECONNREFUSED\n +Nothing listens at the port\./,
    )
    assert.match(out, /not walked: describe-server, /)
    assert.match(out, /connect is the first thing to mend \(connect-refused\)/)
    const json = await world.run(['doctor', 'localhost:1', '--relay', 'none', '--json'])
    const rows = rowsOf(json.out)
    assert.equal(rows.length, 9)
    assert.deepEqual(
      rows.slice(0, 2).map(({ step, outcome }) => [step, outcome]),
      [
        ['name', 'ok'],
        ['connect', 'fail'],
      ],
    )
    const { verdict, firstFailure, problem, exitCode } = rows.at(-1) ?? {}
    assert.deepEqual(
      { verdict, firstFailure, problem, exitCode },
      { verdict: 'failing', firstFailure: 'connect', problem: 'connect-refused', exitCode: 1 },
    )
  })

  test('compare: two relays of the same hosts are equal', async () => {
    const args = ['compare', relay.url, other.url, '--duration', '1s', '--settle', '500ms']
    const { code, out } = await world.run([...args, '--json'])
    const { streams, accounts, hosts } = JSON.parse(out) as {
      streams: { both: number; onlyA: number; onlyB: number; failures: string[] }
      accounts: { compared: number }
      hosts: { compared: number }
    }
    assert.equal(code, 0, out)
    assert.equal(hosts.compared, 1)
    assert.equal(accounts.compared, 4)
    assert(streams.both > 5)
    assert.deepEqual([streams.onlyA, streams.onlyB, streams.failures], [0, 0, []])
  })

  test('compare: a relay against another that knows less', async () => {
    const front = must(world.network.hosts[0], 'host')
    await using empty = await BrokenHost.start()
    empty.set('listHosts', { hosts: [] })
    empty.set('listRepos', { repos: [] })
    empty.set('getRepoStatus', { error: 'RepoNotFound' }, 400)
    empty.set('getLatestCommit', { error: 'RepoNotFound' }, 400)
    const args = ['compare', relay.url, empty.endpoint, '--duration', '0']
    const { code, out } = await world.run(args)
    assert.equal(code, 4)
    assert.match(out, new RegExp(`${front.hostname} {2}A active {2}B -`))
    assert.match(out, /accounts\ncompared +4\nonly A +4/)
    assert.match(out, /They differ\./)
  })

  test('tail: JSON lines in order, and a count', async () => {
    const { code, out, err } = await world.run(['tail', relay.url, '--count', '5', '--json'])
    assert.equal(code, 0)
    const rows = rowsOf(out)
    assert.equal(rows.length, 5)
    const seqs = rows.map((row) => Number(row['seq']))
    assert.deepEqual(
      seqs,
      seqs.toSorted((a, b) => a - b),
    )
    assert(rows.some(({ type, verdict }) => type === 'commit' && verdict === 'unverified'))
    assert.match(err, /live at http/)
    assert.match(err, new RegExp(`5 events in .*--cursor ${seqs.at(-1) ?? ''} goes on`))
  })

  test('tail --verify: commits are verified, one account and one collection', async () => {
    const collection = 'app.bsky.feed.*'
    const filter = ['--collection', collection, '--cursor', 'oldest', '--count', '3']
    const { code, out } = await world.run(['tail', relay.url, '--verify', '--json', ...filter])
    assert.equal(code, 0)
    for (const row of rowsOf(out)) {
      assert.equal(row['verdict'], 'verified')
      const ops = row['ops'] as { path: string }[]
      assert(ops.length > 0)
      assert(ops.every(({ path }) => path.startsWith('app.bsky.feed.')))
    }
  })

  test('tail: a file keeps the place', async () => {
    const path = world.path('place.json')
    const args = ['tail', relay.url, '--cursor', path, '--count', '3', '--json']
    const first = await world.run(args)
    assert.match(first.err, /keeps no place of .* yet: beginning live/)
    const last = rowsOf(first.out).at(-1)?.['seq']
    const kept = JSON.parse(await readFile(path, 'utf8')) as { cursors: { seq: number }[] }
    assert.equal(kept.cursors[0]?.seq, last)
    const second = await world.run(args)
    assert.equal(rowsOf(second.out)[0]?.['seq'], Number(last) + 1)
  })

  test('tail: only accounts that were asked for, readable', async () => {
    const select = ['--did', did, '--type', 'commit', '--cursor', '0', '--count', '2']
    const { code, out } = await world.run(['tail', relay.url, ...select])
    assert.equal(code, 0)
    const lines = out.trimEnd().split('\n')
    assert(lines.every((line) => line.includes(did) || /^ {70}/.test(line)))
    assert.match(out, /unchecked {2}did:plc:\w{24} {2}commit/)
  })
})

describe('skein tail without a network', () => {
  const mistakes: [string, string[], RegExp][] = [
    ['a type that is none', ['--type', 'posts'], /--type has no "posts".*commit/],
    ['a collection that is none', ['--collection', 'posts'], /no collection: posts/],
    ['a seq that is none', ['--cursor', '99999999999999999'], /larger than any seq/],
    ['no service at all', ['--relay', 'none'], /needs a service/],
    ['a place that is no file', ['--cursor', '/dev/null'], /it is no JSON/],
  ]
  for (const [name, args, message] of mistakes) {
    test(`${name} is a mistake in the call`, async () => {
      const { code, err } = await runCommand(['tail', ...args])
      assert.equal(code, 2)
      assert.match(err, message)
    })
  }

  test('a service that is never reached is exit code 1', async () => {
    const { code, err } = await runCommand(['tail', 'localhost:1', '--duration', '300ms'])
    assert.equal(code, 1)
    assert.match(err, /reconnecting to http:\/\/localhost:1.*ECONNREFUSED/)
  })
})

describe('skein crawl request', () => {
  const answers: [string, number, object, number, RegExp][] = [
    ['banned', 400, { error: 'HostBanned', message: 'no' }, 3, /Write to the operator/],
    ['not reached', 400, { error: 'HostNotFound' }, 3, /see skein doctor pds\.example\.com/],
    ['too many', 429, { error: 'RateLimitExceeded' }, 1, /takes no more new hosts/],
    ['closed', 403, { error: 'Forbidden' }, 1, /ask its operator to add the host/],
    ['no relay', 501, { error: 'MethodNotImplemented' }, 1, /is no relay/],
  ]
  for (const [name, status, body, expected, advice] of answers) {
    test(`${name}: the answer is explained`, async () => {
      await using relay = await BrokenHost.start()
      relay.set('requestCrawl', body, status)
      const args = ['crawl', 'request', 'pds.example.com', '--relay', relay.endpoint]
      const { code, out } = await runCommand(args)
      assert.equal(code, expected)
      assert.match(out, /^refused/)
      assert.match(out, advice)
    })
  }
})
