/** How fast the simulated network signs, and how fast signed traffic is replayed. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { recordTraffic } from '../src/sim/record-traffic.ts'
import { type RunningReplay, startReplay } from '../src/sim/replay-traffic.ts'
import { TrafficFile } from '../src/sim/traffic-file.ts'
import { type Bench, type BenchContext, costOf, median } from './bench.ts'

const EVENTS = 20_000
const ROUNDS = 5
const HOSTS = 2
const ACCOUNTS = 100
const RECORDS = 3_000
const START_MS = Date.UTC(2026, 0, 1)

/** Reads bytes from each host's stream, without looking at them. */
class Drain {
  readonly #wanted: number
  readonly #done = Promise.withResolvers<void>()
  readonly #sockets: Socket[] = []
  #bytes = 0

  constructor(wanted: number) {
    this.#wanted = wanted
  }

  async connect(endpoint: string): Promise<void> {
    const url = `${endpoint}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'c2tlaW4gYmVuY2htYXJrIQ==',
      'sec-websocket-version': '13',
    }
    const { promise, resolve, reject } = Promise.withResolvers<Socket>()
    request(url, { headers })
      .on('upgrade', (_response, socket, head) => {
        this.#count(head.length)
        resolve(socket)
      })
      .on('error', reject)
      .end()
    const socket = await promise
    socket.on('data', (bytes) => this.#count(bytes.length))
    this.#sockets.push(socket)
  }

  get done(): Promise<void> {
    return this.#done.promise
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes >= this.#wanted) this.#done.resolve()
  }
}

/** Seconds that one replay of everything takes, server and reader in this process. */
async function replayOnce(traffic: TrafficFile, bytes: number): Promise<number> {
  const replay: RunningReplay = await startReplay({ traffic, rate: null })
  const drain = new Drain(bytes)
  try {
    for (const endpoint of replay.endpoints) await drain.connect(endpoint)
    const { wallUs } = await costOf(async () => {
      replay.start()
      await drain.done
    })
    return wallUs / 1e6
  } finally {
    drain.close()
    await replay.stop()
  }
}

async function run({ format, print }: BenchContext): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-bench-'))
  try {
    const path = join(directory, 'traffic')
    const signing = await costOf(async () => {
      await recordTraffic(path, {
        seed: 1,
        accounts: ACCOUNTS,
        records: RECORDS,
        rate: 50,
        startMs: START_MS,
        hosts: HOSTS,
        events: EVENTS,
      })
    })
    using traffic = TrafficFile.open(path)
    const { size } = await stat(path)
    const bytes = traffic.wireBytes
    const seconds: number[] = []
    for (let i = 0; i < ROUNDS; i++) seconds.push(await replayOnce(traffic, bytes))
    const replaySeconds = median(seconds)
    const result = {
      events: EVENTS,
      frameBytes: Math.round(size / EVENTS),
      signedPerSecond: Math.round(EVENTS / (signing.wallUs / 1e6)),
      replayedPerSecond: Math.round(EVENTS / replaySeconds),
      replayedMegabytesPerSecond: Math.round(bytes / replaySeconds / 1e6),
    }
    if (format === 'json') {
      print(JSON.stringify(result))
      return
    }
    print(`${EVENTS} events of ${ACCOUNTS} accounts of about ${RECORDS} records, on ${HOSTS} hosts`)
    print(`  a frame has ${result.frameBytes} bytes on average`)
    print(`  signed and written to a file  ${result.signedPerSecond} frames/s (with the setup)`)
    print(
      `  replayed from the file        ${result.replayedPerSecond} frames/s, ` +
        `${result.replayedMegabytesPerSecond} MB/s (reader in the same thread)`,
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

export const simBench: Bench = {
  run,
}
