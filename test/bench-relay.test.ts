/** `npm run bench relay`: its parts, and a small run from end to end. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { eventKey } from '../bench/relay/event-key.ts'
import { departures, latencyOf } from '../bench/relay/latencies.ts'
import { HAS_PROCESS_FIGURES, processFigures } from '../bench/relay/process-figures.ts'
import { compare, type RelayResult } from '../bench/relay/result.ts'
import { StreamSocket } from '../bench/relay/stream-socket.ts'
import { parseFrame } from '../src/stream/frame.ts'
import { must } from '../src/lib/assert.ts'
import { TemporaryDirectory } from '../src/ops/temporary-directory.ts'
import { recordTraffic } from '../src/sim/record-traffic.ts'
import { TrafficFile } from '../src/sim/traffic-file.ts'

const MAIN = fileURLToPath(new URL('../bench/main.ts', import.meta.url))
const CLI = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function bench(directory: string, ...args: readonly string[]): Ran {
  return spawnSync(process.execPath, [MAIN, 'relay', ...args], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: directory },
  })
}

const SMALL = [
  '--hosts',
  '2',
  '--accounts',
  '4',
  '--events',
  '60',
  '--rounds',
  '1',
  '--rate',
  '300',
]

test('a small run: every event comes to every subscriber, live and replayed', async () => {
  await using directory = await TemporaryDirectory.create('skein-bench-test-')
  const baseline = join(directory.path, 'baseline.json')
  const scenario = ['--subscribers', '2', ...SMALL, '--json', '--baseline', baseline]
  const first = bench(directory.path, ...scenario, '--record')
  assert.equal(first.status, 0, first.stderr)
  const result = JSON.parse(first.stdout) as RelayResult
  assert.deepEqual(JSON.parse(readFileSync(baseline, 'utf8')), withoutComparison(result))
  assert.deepEqual(
    result.live.map(({ subscribers }) => subscribers),
    [2],
  )
  for (const { subscribers, saturated, paced, dropped, ...rest } of result.live) {
    for (const load of [saturated, ...paced]) {
      assert.equal(load.events_missing, 0)
      assert.ok(load.events_per_round >= 18 && load.events_per_round <= 62)
      assert.ok(load.commits_per_s.median > 0)
      // The clocks of both sides are one: else it could be negative.
      const { p50Ms, p99Ms, maxMs } = must(load.latency, 'latency')
      assert.ok(p50Ms > 0 && p50Ms <= p99Ms && p99Ms <= maxMs && maxMs < 60_000)
      if (HAS_PROCESS_FIGURES) assert.ok(must(load.rss_mib, 'RSS') > 20)
    }
    assert.equal(saturated.subscribers, subscribers)
    assert.deepEqual(dropped, {})
    assert.ok(must(rest.disk_bytes_per_event['log'], 'log') > 1_000)
  }
  for (const { subscribers, events_each, events_per_s, live } of result.replay) {
    assert.ok(events_each > 200 && events_per_s.median > 0, String(subscribers))
    assert.ok(live.alone !== null && live.meanwhile !== null && live.replayed_per_s > 0)
  }
})

test('another relay: a template, hosts by requestCrawl or by a call; beside a baseline', async () => {
  await using directory = await TemporaryDirectory.create('skein-bench-test-')
  const baseline = join(directory.path, 'baseline.json')
  const load = ['--scenario', 'live', '--subscribers', '1', ...SMALL, '--baseline', baseline]
  const command =
    `'${process.execPath}' '${CLI}' relay --bind 127.0.0.1:{port} --metrics-bind off ` +
    '--data {data} --plc {plc} --allow-private-network --host-events-per-second 100000'
  const template = ['--relay-command', command, '--relay-name', 'a relay']
  const recording = ['--relay-hosts', 'request-crawl', '--record', '--json']
  const first = bench(directory.path, ...load, ...template, ...recording)
  assert.equal(first.status, 0, first.stderr)
  const result = JSON.parse(first.stdout) as RelayResult
  assert.equal(result.relay, 'a relay')
  assert.equal(result.live[0]?.saturated.events_missing, 0)

  const url = 'http://127.0.0.1:{port}/xrpc/com.atproto.sync.requestCrawl'
  const call = `POST ${url} {"hostname":"{host}"}`
  const how = ['--relay-hosts', 'call', '--relay-call', call, '--relay-header', 'x-test: 1']
  const second = bench(directory.path, ...load, ...template, ...how)
  assert.equal(second.status, 0, second.stderr)
  assert.match(second.stdout, /^a relay on \d+ cores/)
  assert.match(second.stdout, /commits\/s +[\d,.]+ +[\d,.]+ +× [\d.]+/)
  // Signed once: the second run found it.
  assert.equal(readdirSync(join(directory.path, 'skein-bench-traffic')).length, 1)
  assert.deepEqual(
    readdirSync(directory.path).filter((name) => name.startsWith('skein-bench-relay-')),
    [],
  )

  const broken = bench(directory.path, ...load, '--relay-command', 'echo no such {port}; exit 3')
  assert.notEqual(broken.status, 0)
  assert.match(broken.stderr, /start another relay: the process has ended\nno such \d+/)
})

function withoutComparison(result: RelayResult): unknown {
  const { beside_baseline: beside, ...rest } = result as RelayResult & {
    readonly beside_baseline: unknown
  }
  assert.deepEqual(beside, [])
  return rest
}

test('what is not allowed ends with code 2 and the help', () => {
  for (const args of [
    ['--scenario', 'some'],
    ['--subscribers', '1,,2'],
    ['--events', '0'],
    ['--rate', 'x'],
    ['--hosts', '257'],
    ['--relay-command', 'relay'],
    ['--relay-command', 'relay {port}', '--relay-hosts', 'call'],
    ['--baseline', MAIN],
  ]) {
    const { status, stderr } = bench('/tmp', ...args)
    assert.equal(status, 2, args.join(' '))
    assert.match(stderr, /Usage: npm run bench relay/)
  }
  const { status, stdout } = bench('/tmp', '--help')
  assert.equal(status, 0)
  assert.match(stdout, /--relay-command CMD +\S/)
})

// ---- Parts

test('the key of a commit is its repository and rev', async () => {
  await using directory = await TemporaryDirectory.create('skein-bench-test-')
  const path = join(directory.path, 'traffic')
  const options = { seed: 5, accounts: 5, records: 30, rate: 50, startMs: Date.UTC(2026, 0, 1) }
  await recordTraffic(path, { ...options, hosts: 1, events: 200 })
  using traffic = TrafficFile.open(path)
  const keys = new Set<string>()
  let commits = 0
  for (const bytes of traffic.frames(0)) {
    const key = eventKey(Buffer.from(bytes))
    const frame = parseFrame(bytes)
    assert(frame.ok && frame.value.kind === 'message')
    const { value } = frame
    if (value.type !== '#commit') assert.equal(key, null)
    else {
      assert.equal(key, value.body.rev + value.body.repo)
      keys.add(must(key, 'key'))
      commits++
    }
  }
  assert.equal(keys.size, commits)
  assert.ok(commits > 150 && commits < 200)
})

test('latency is from the step that let a commit go to its arrival', () => {
  const fromSeqs = [0, 1]
  const keys = [
    ['a1', null, 'a3', 'a4'],
    ['b1', 'b2'],
  ]
  const steps = [
    { seqs: [1, 3], timesUs: [1_000, 5_000] },
    { seqs: [2], timesUs: [7_000] },
  ]
  const sent = departures(steps, fromSeqs, keys)
  assert.deepEqual(
    [...sent],
    [
      ['a1', 1_000],
      ['a3', 5_000],
      ['b2', 7_000],
    ],
  )
  assert.deepEqual(fromSeqs, [3, 2])
  const arrivals = { keys: ['a1', 'a3', 'b2', 'other'], timesUs: [2_000, 7_000, 10_000, 1] }
  assert.deepEqual(latencyOf(sent, arrivals), {
    commits: 3,
    latency: { p50Ms: 2, p99Ms: 3, maxMs: 3 },
  })
  assert.deepEqual(latencyOf(sent, { keys: [], timesUs: [] }), { commits: 0, latency: null })
})

test('processes: CPU that was used is counted, of children too', async () => {
  if (!HAS_PROCESS_FIGURES) {
    assert.equal(processFigures(process.pid), null)
    return
  }
  const before = must(processFigures(process.pid), 'figures')
  const end = performance.now() + 100
  while (performance.now() < end);
  const after = must(processFigures(process.pid), 'figures')
  assert.ok(after.cpuUs - before.cpuUs >= 10_000, 'a step at least')
  assert.ok(after.rssMib > 10 && after.rssPeakMib >= after.rssMib - 1)
  assert.equal(processFigures(2 ** 30), null)
})

function nothing(): void {
  // What happens is asked for in other ways.
}

/** A server that upgrades whatever comes and then sends bytes, `step` at a time. */
async function streamOf(
  t: TestContext,
  bytes: Buffer,
  step: number,
): Promise<{ readonly port: number; readonly received: () => Buffer }> {
  let received = Buffer.alloc(0)
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      received = Buffer.concat([received, data])
      if (!received.includes('\r\n\r\n') || received.includes('sent')) return
      received = Buffer.from('sent')
      const all = Buffer.concat([
        Buffer.from('HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n'),
        bytes,
      ])
      for (let at = 0; at < all.length; at += step) socket.write(all.subarray(at, at + step))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  return { port: address.port, received: () => received }
}

test('the subscriber finds messages wherever bytes are cut, and answers pings', async (t) => {
  const large = Buffer.alloc(70_000, 7)
  const frames = [
    Buffer.of(0x82, 3, 1, 2, 3),
    // In three parts with a ping between them.
    Buffer.of(0x02, 2, 4, 5, 0x89, 2, 0x68, 0x69, 0x00, 0, 0x80, 1, 6),
    Buffer.concat([Buffer.of(0x82, 126, 0, 200), Buffer.alloc(200, 9)]),
    Buffer.concat([Buffer.of(0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70), large]),
    Buffer.of(0x82, 0),
    Buffer.concat([Buffer.of(0x88, 6, 0x03, 0xf0), Buffer.from('done')]),
  ]
  const wanted = ['010203', '040506', '09'.repeat(200), large.toString('hex'), '']
  for (const step of [1_000_000, 7, 1]) {
    const bytes = Buffer.concat(step === 1 ? frames.toSpliced(3, 1) : frames)
    const { port, received } = await streamOf(t, bytes, step)
    const messages: string[] = []
    const ended = Promise.withResolvers<string>()
    const socket = new StreamSocket({
      port,
      path: '/',
      contents: 'kept',
      onMessage: ({ message }) => messages.push(message.toString('hex')),
      onEnd: ({ why }) => ended.resolve(why),
    })
    await socket.opened
    assert.equal(await ended.promise, 'closed by the relay: 1008 done')
    assert.deepEqual(messages, step === 1 ? wanted.toSpliced(3, 1) : wanted, `step ${step}`)
    assert.equal(socket.messages, messages.length)
    assert.equal(socket.bytes, bytes.length)
    const pong = Buffer.of(0x8a, 0x82, 0, 0, 0, 0, 0x68, 0x69)
    assert.ok(received().includes(pong), 'a pong with the payload of the ping')
  }
})

test('a refused subscription says why', async (t) => {
  const server = createServer((socket) => socket.end('HTTP/1.1 429 Too Many\r\n\r\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  t.after(() => server.close())
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  const socket = new StreamSocket({
    port: address.port,
    path: '/',
    contents: 'skipped',
    onMessage: nothing,
    onEnd: nothing,
  })
  await assert.rejects(socket.opened, /HTTP\/1.1 429 Too Many/)
})

test('figures are compared by name, where both have them', () => {
  const latency = { p50Ms: 2, p99Ms: 4, maxMs: 8 }
  const one = { median: 10, min: 10, max: 10 }
  const replay = {
    subscribers: 1,
    rounds: 1,
    events_each: 1,
    events_per_s: one,
    megabytes_per_s: 1,
    relay_cpu_s_per_million_deliveries: null,
    subscribers_cpu_s_per_million_deliveries: null,
    rss_mib: null,
    rss_peak_mib: null,
    live: { rate: 1, alone: null, meanwhile: latency, replayed_per_s: 1 },
  }
  const result: RelayResult = {
    bench: 'relay',
    relay: 'x',
    machine: { cpu: 'x', cores: 1, memory_mib: 1, system: 'x', node: 'x' },
    traffic: { hosts: 1, accounts: 1, bytes_per_event: 1, events_per_round: 1 },
    live: [],
    replay: [replay],
  }
  const faster = { ...replay, events_per_s: { ...one, median: 25 } }
  assert.deepEqual(compare({ ...result, replay: [faster] }, result), [
    { figure: 'replay, 1 subscribers: events/s', now: 25, before: 10, ratio: 2.5 },
    { figure: 'replay, 1 subscribers: p99 ms of another, live', now: 4, before: 4, ratio: 1 },
  ])
  assert.deepEqual(compare(result, { ...result, replay: [] }), [])
})
