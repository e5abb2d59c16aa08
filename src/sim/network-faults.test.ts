/** Faults that strike look-ups, clocks and requests: each can be ordered, and seen to happen. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readCarWithRoot } from '@atproto/repo'
import { WebSocket } from 'ws'

import { TestRelay } from '../../test/support/test-relay.ts'
import { eventually, within } from '../../test/support/waiting.ts'
import { requestFailureOf } from '../identity/http-client.ts'
import { createSafeFetch, type SafeFetch } from '../identity/safe-fetch.ts'
import { must } from '../lib/assert.ts'
import { parseFrame } from '../stream/frame.ts'
import { tidMicros, toTid } from '../syntax/tid.ts'
import { DNS_FAULTS, FAULTS, type FaultKind, HTTP_FAULTS } from './faults.ts'
import type { NetworkOptions } from './network-options.ts'
import { type SimNetwork, startNetwork } from './network.ts'

const START_MS = Date.UTC(2026, 0, 1)

function start(options: NetworkOptions = {}): Promise<SimNetwork> {
  const small = { hosts: 1, accounts: 8, records: 20, startMs: START_MS, gate: async () => {} }
  return startNetwork({ ...small, ...options })
}

function clientOf({ resolveAddresses }: SimNetwork): SafeFetch {
  const limits = { connectTimeoutMs: 300 }
  const options = { userAgent: 'skein-test', allowPrivateNetwork: true, limits }
  return createSafeFetch({ ...options, resolveAddresses })
}

describe('DNS', () => {
  test('names of the network lead to it, and there are no others', async () => {
    await using network = await start({ dns: 'simulated' })
    const { resolveAddresses } = network
    assert.deepEqual(await resolveAddresses('localhost'), [{ address: '127.0.0.1', family: 4 }])
    await assert.rejects(resolveAddresses('example.com'), { code: 'ENOTFOUND' })
  })

  test('each fault strikes one look-up', async () => {
    await using network = await start({ dns: 'simulated' })
    const url = `${must(network.hosts[0], 'host').endpoint}/xrpc/_health`
    const details = {
      'dns-not-found': /ENOTFOUND/,
      'dns-try-again': /EAI_AGAIN/,
      'dns-hang': /timed out/,
    }
    for (const [kind, detail] of Object.entries(details)) {
      // A client of its own: a connection that is kept would need no look-up.
      await using client = clientOf(network)
      await network.fault(kind as FaultKind)
      assert.equal(network.faults.fired().get(kind as FaultKind) ?? 0, 0)
      await assert.rejects(client.fetch(url), (error: Error) => {
        assert.match(error.message, detail)
        return requestFailureOf(error) === (kind === 'dns-hang' ? 'timeout' : 'network')
      })
      assert.equal(network.faults.fired().get(kind as FaultKind), 1)
      assert.equal((await client.fetch(url)).status, 200)
    }
    assert.deepEqual(network.faults.pending(), [])
  })

  test('a look-up that hangs ends with the network', async () => {
    const network = await start({ dns: 'simulated' })
    await network.fault('dns-hang')
    const hanging = network.resolveAddresses('localhost')
    await network.stop()
    await within(assert.rejects(hanging, { code: 'ECANCELLED' }), 'the end of the look-up')
  })

  test('where names are looked up elsewhere, no such fault is planned', async () => {
    await using network = await start()
    await assert.rejects(network.fault('dns-hang'), /DNS faults strike somebody/)
    await assert.rejects(start({ faultKinds: ['dns-hang'] }), /DNS faults strike somebody/)
    const kinds = async (options: NetworkOptions): Promise<Set<FaultKind>> => {
      await using asked = await start(options)
      const found = new Set<FaultKind>()
      for (let i = 0; i < 21; i++) found.add(await asked.faultInTurn())
      return found
    }
    assert.deepEqual(
      [...(await kinds({}))].filter((kind) => kind.startsWith('dns-')),
      [],
    )
    const all = await kinds({ dns: 'simulated' })
    for (const kind of DNS_FAULTS) assert.ok(all.has(kind), kind)
  })

  test('a relay that cannot look a host up comes back, and nothing is lost', async () => {
    await using network = await start({ dns: 'simulated', changes: 0 })
    const front = must(network.hosts[0], 'host')
    const { resolveAddresses } = network
    await using relay = await TestRelay.start({
      plc: [network.plc.url],
      hosts: [front.endpoint],
      hostEventsPerSecond: 100_000,
      resolveAddresses,
    })
    const { log } = network.simulation.host(0)
    const caughtUp = (): Promise<true> =>
      eventually(
        () => (relay.relay.host(front.hostname)?.seq === log.publishedSeq ? true : null),
        () => `seq ${log.publishedSeq}, got ${relay.relay.host(front.hostname)?.seq}`,
      )
    for (const kind of DNS_FAULTS.filter((fault) => fault !== 'dns-hang')) {
      await network.run({ events: 10, pace: 'free' })
      await caughtUp()
      const accepted = front.accepted
      await network.fault(kind)
      // The look-up fails first; what the relay waits before the next is passed over.
      await eventually(
        () => (network.faults.fired().get(kind) === 1 ? true : (relay.clock.jump(1_000) ?? null)),
        kind,
      )
      await eventually(
        () => (front.accepted > accepted ? true : (relay.clock.jump(1_000) ?? null)),
        'a connection',
      )
      await network.run({ events: 10, pace: 'free' })
      await caughtUp()
    }
    assert.deepEqual(await relay.drops(), {})
    assert.deepEqual(network.faults.pending(), [])
  })
})

describe('clocks', () => {
  test('a host that starts with a skew, and one whose clock is set, stamp by it', async () => {
    await using network = await start({ hosts: 2, changes: 0, skewsMs: [-3_600_000, 240_000] })
    const stamps = (host: number, afterSeq: number): number[] => {
      const { log } = network.simulation.host(host)
      const found: number[] = []
      for (let next = log.after(afterSeq); next !== null; next = log.after(next.seq)) {
        const parsed = parseFrame(next.data as Uint8Array)
        assert(parsed.ok && parsed.value.kind === 'message')
        if (parsed.value.type !== '#commit') continue
        found.push(tidMicros(toTid(parsed.value.body.rev)) / 1_000 - network.nowMs)
      }
      return found
    }
    await network.run({ events: 60, pace: 'free' })
    const elapsedMs = network.nowMs - START_MS
    assert.ok(stamps(0, 0).length > 5 && stamps(1, 0).length > 5)
    assert.ok(stamps(1, 0).every((ms) => ms <= 240_001 && ms >= 240_000 - elapsedMs - 1))
    const skews = new Set<number>()
    for (let i = 0; i < 12; i++) {
      await network.fault('clock-jump')
      for (const { skewMs } of network.simulation.hosts) skews.add(skewMs)
      for (const { index } of network.simulation.hosts) {
        const latest = stamps(index, 0)
        assert.ok(
          latest.every((ms) => ms <= 240_001),
          'no rev is too far ahead',
        )
      }
    }
    assert.ok(skews.size > 8 && Math.max(...skews) <= 240_000 && Math.min(...skews) >= -3_600_000)
    assert.equal(network.faults.fired().get('clock-jump'), 12)
  })
})

describe('requests', () => {
  test('faults of requests can be scheduled, and each is seen to happen', async () => {
    await using network = await start({ faultKinds: HTTP_FAULTS })
    const { did } = must(network.simulation.accounts[0], 'account')
    const url = `${must(network.hosts[0], 'host').endpoint}/xrpc/com.atproto.sync.getRepo?did=${did}`
    for (let i = 0; i < HTTP_FAULTS.length; i++) {
      const kind = await network.faultInTurn()
      assert.deepEqual(network.faults.pending(), [kind])
      const signal = AbortSignal.timeout(kind === 'http-hang' ? 200 : 5_000)
      const outcome = await fetch(url, { redirect: 'manual', signal }).then(
        async (answer) => [answer.status, await answer.arrayBuffer().catch(() => 'cut')] as const,
        () => ['none'] as const,
      )
      assert.deepEqual(network.faults.pending(), [], kind)
      if (kind === 'repo-truncated') assert.deepEqual(outcome, [200, 'cut'])
      else if (kind === 'repo-slow') assert.equal(outcome[0], 200)
      else assert.notEqual(outcome[0], 200)
    }
    assert.deepEqual([...network.faults.fired().keys()].toSorted(), HTTP_FAULTS.toSorted())
  })

  test('a repository that is refused is no occasion for a slow or truncated one', async () => {
    await using network = await start()
    const front = must(network.hosts[0], 'host')
    front.inject('repo-truncated')
    const path = `${front.endpoint}/xrpc/com.atproto.sync.getRepo?did=`
    assert.equal((await fetch(`${path}did:plc:${'a'.repeat(24)}`)).status, 400)
    assert.deepEqual(network.faults.pending(), ['repo-truncated'])
    const { did } = must(network.simulation.accounts[0], 'account')
    await assert.rejects(async () => (await fetch(path + did)).arrayBuffer())
    assert.deepEqual(network.faults.pending(), [])
    const whole = new Uint8Array(await (await fetch(path + did)).arrayBuffer())
    assert.equal(
      String((await readCarWithRoot(whole)).root),
      network.world.account(did)?.head?.commit,
    )
  })

  test('what nobody comes for does not pile up', async () => {
    await using network = await start()
    const front = must(network.hosts[0], 'host')
    for (let i = 0; i < 100; i++) front.inject('http-500')
    assert.equal(network.faults.planned().get('http-500'), 8)
  })

  test('a 429 with headers says when to come again, in seconds of the epoch', async () => {
    await using network = await start()
    const front = must(network.hosts[0], 'host')
    front.inject('http-429-headers')
    const { status, headers } = await fetch(`${front.endpoint}/xrpc/_health`)
    assert.equal(status, 429)
    const inSeconds = Number(headers.get('ratelimit-reset')) - Date.now() / 1_000
    assert.ok(inSeconds > -5 && inSeconds < 3, `${inSeconds} s`)
    assert.equal(headers.get('ratelimit-remaining'), '0')
  })

  test('one address may read many repositories at once', async () => {
    await using network = await start({ records: 1_500 })
    const { did } = must(network.simulation.accounts[0], 'account')
    const url = `${must(network.hosts[0], 'host').endpoint}/xrpc/com.atproto.sync.getRepo?did=${did}`
    const answers = await Promise.all(Array.from({ length: 16 }, () => fetch(url)))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    for (const answer of answers) await answer.body?.cancel()
  })
})

test('a fault in the stream has not happened before somebody has come to it', async () => {
  const kinds = ['garbage-frame', 'unknown-type', 'oversized-frame', 'swallowed-frame'] as const
  await using network = await start({ hosts: 1 })
  const front = must(network.hosts[0], 'host')
  const { log } = network.simulation.host(0)
  const first = log.nextSeq
  for (const kind of kinds) await network.fault(kind)
  assert.deepEqual(network.faults.pending(), kinds)
  assert.equal(network.faults.fired().size, 0)
  for (let i = 0; i < 2; i++) {
    const socket = new WebSocket(
      `ws://${front.hostname}/xrpc/com.atproto.sync.subscribeRepos?cursor=${first - 1}`,
    )
    await eventually(() => (front.servedSeq === log.publishedSeq ? true : null), 'all is sent')
    socket.terminate()
    await eventually(() => (front.connections === 0 ? true : null), 'it has gone')
    assert.deepEqual(Object.fromEntries(network.faults.fired()), {
      'garbage-frame': 1,
      'unknown-type': 1,
      'oversized-frame': 1,
      'swallowed-frame': 1,
    })
  }
  assert.deepEqual(network.faults.pending(), [])
})

test('every fault can be ordered from the network', async () => {
  await using network = await start({ hosts: 2, dns: 'simulated' })
  for (const kind of Object.keys(FAULTS) as FaultKind[]) {
    await network.fault(kind)
    assert.equal(network.faults.planned().get(kind), 1, kind)
  }
})
