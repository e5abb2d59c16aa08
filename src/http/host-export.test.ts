import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'

import { readCarWithRoot, verifyRepoCar } from '@atproto/repo'

import { JumpingClock } from '../../test/support/jumping-clock.ts'
import { eventually } from '../../test/support/waiting.ts'
import { formatDidKey } from '../crypto/public-key.ts'
import { cidToString } from '../data/cid.ts'
import { systemClock } from '../lib/clock.ts'
import { must } from '../lib/assert.ts'
import { detachedRelayMetrics } from '../ops/relay-metrics.ts'
import type { BodyEnd } from './body-stream.ts'
import { createHostApp } from './host-app.ts'
import { EXPORTS_PER_ADDRESS_MAX } from './http-limits.ts'
import { RequestLimits } from './request-limits.ts'
import { type FakeAccount, FakeHost } from './testing/fake-host-view.ts'
import {
  bytesOf,
  DESCRIPTION,
  errorOf,
  type HostServer,
  silentReader,
  startHostServer,
  syncPath,
} from './testing/host-server.ts'
import { silentLogger } from '../ops/logger.ts'

const MIB = 1_048_576

function accountOf(host: FakeHost, records: number): FakeAccount {
  const account = host.add('alice')
  const paths = Array.from({ length: records }, (_, i) => `org.example.note/r${i}`)
  for (let i = 0; i < records; i += 100) account.create(...paths.slice(i, i + 100))
  return account
}

function isClosed({ host }: HostServer): Promise<true> {
  return eventually(() => (host.exportsOpen === 0 ? true : null), 'the snapshot is given back')
}

/** Makes every export as long as wanted; what matters is who reads how much of it. */
function stretch(host: FakeHost, bytes: number): { pieces: number } {
  const counted = { pieces: 0 }
  const open = host.repoCar.bind(host)
  host.repoCar = (did, since) => {
    const opened = open(did, since)
    if (opened === null || opened === 'busy') return opened
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for (let at = 0; at < bytes; at += 65_536) {
          await host.beforePiece(counted.pieces++)
          yield new Uint8Array(65_536).fill(counted.pieces)
        }
      } finally {
        if (opened !== null && opened !== 'busy') opened.close()
      }
    }
    return { ...opened, chunks: chunks() }
  }
  return counted
}

describe('getRepo', () => {
  for (const name of ['getRepo', 'getCheckout']) {
    test(`${name} is the whole repository, commit first, as the reference reads it`, async (t) => {
      const server = await startHostServer(t)
      const account = accountOf(server.host, 300)
      const { did, repo } = account
      server.host.pieceBytes = 1_000
      const answer = await server.get(syncPath(name, { did }))
      assert.equal(answer.headers.get('content-type'), 'application/vnd.ipld.car')
      assert.equal(answer.headers.get('content-length'), null)
      const car = await bytesOf(answer)
      assert.deepEqual(car, repo.exportCar())
      const verified = await verifyRepoCar(car, did, formatDidKey(repo.key.publicKey))
      const records = verified.creates.map(({ collection, rkey }) => `${collection}/${rkey}`)
      assert.deepEqual(records.toSorted(), [...repo.records().keys()])
      const { root, blocks } = await readCarWithRoot(car)
      assert.equal(String(blocks.cids()[0]), String(root))
      assert.equal(String(root), cidToString(must(repo.head, 'head').commit))
      assert.deepEqual(server.ended, [
        { nsid: `com.atproto.sync.${name}`, end: 'complete', bytes: car.length },
      ])
      assert.equal(server.host.exportsOpen, 0)
    })
  }

  test('since a rev it is what the reader lacks', async (t) => {
    const server = await startHostServer(t)
    const account = accountOf(server.host, 100)
    const { did, repo } = account
    const { rev } = must(repo.head, 'head')
    const before = await readCarWithRoot(
      await bytesOf(await server.get(syncPath('getRepo', { did }))),
    )
    account.create('org.example.note/later')
    const path = syncPath('getRepo', { did, since: rev })
    const news = await readCarWithRoot(await bytesOf(await server.get(path)))
    const whole = await readCarWithRoot(
      await bytesOf(await server.get(syncPath('getRepo', { did }))),
    )
    assert.equal(String(news.root), String(whole.root))
    assert(news.blocks.size < 10)
    for (const cid of whole.blocks.cids()) {
      assert.equal(news.blocks.has(cid), !before.blocks.has(cid), String(cid))
    }
    const now = must(repo.head, 'head').rev
    const nothing = await bytesOf(await server.get(syncPath('getRepo', { did, since: now })))
    assert.equal((await readCarWithRoot(nothing)).blocks.size, 1, 'the commit alone')
  })

  test('what is written meanwhile is not in it', async (t) => {
    const server = await startHostServer(t)
    const account = accountOf(server.host, 200)
    const expected = account.repo.exportCar()
    server.host.pieceBytes = 500
    server.host.beforePiece = (index) => {
      if (index % 10 === 5) account.create(`org.example.note/during${index}`)
    }
    const car = await bytesOf(await server.get(syncPath('getRepo', { did: account.did })))
    assert.deepEqual(car, expected)
    assert(account.history.length > 5, 'there were writes')
  })
})

describe('limits', () => {
  test('a host with no place for one more export says so', async (t) => {
    const server = await startHostServer(t)
    const { did } = accountOf(server.host, 1)
    server.host.busy = true
    const answer = await server.get(syncPath('getRepo', { did }))
    assert.equal(answer.headers.get('retry-after'), '5')
    assert.deepEqual(await errorOf(answer), [503, 'Busy'])
  })

  test('one address does not get all places, and gets its own back', async (t) => {
    const server = await startHostServer(t)
    const { did } = accountOf(server.host, 1)
    const path = syncPath('getRepo', { did })
    const gate = Promise.withResolvers<void>()
    server.host.beforePiece = () => gate.promise
    const reading = Array.from({ length: EXPORTS_PER_ADDRESS_MAX }, () => server.get(path))
    await eventually(
      () => (server.host.exportsOpen === EXPORTS_PER_ADDRESS_MAX ? true : null),
      'as many as may',
    )
    const refused = await server.get(path)
    assert.equal(refused.headers.get('retry-after'), '5')
    assert.deepEqual(await errorOf(refused), [429, 'RateLimitExceeded'])
    assert.equal(server.host.exportsOpen, EXPORTS_PER_ADDRESS_MAX)
    gate.resolve()
    for (const answer of reading) await bytesOf(await answer)
    await isClosed(server)
    assert.equal((await bytesOf(await server.get(path))).length > 0, true)
  })
})

describe('readers that do not keep up', () => {
  test('one that stands still costs a bounded amount, and is cut off', async (t) => {
    const clock = new JumpingClock()
    const server = await startHostServer(t, { clock })
    const { did } = accountOf(server.host, 1)
    const counted = stretch(server.host, 1_024 * MIB)
    const before = process.memoryUsage().rss
    const socket = silentReader(t, server.port, syncPath('getRepo', { did }))
    const over = eventually(() => server.ended[0] ?? null, 'the end of the body', 30_000)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const { end, bytes } = await clock.jumpUntil(over, 5_000)
    assert.equal(end, 'slow')
    // What fits into the kernel's buffers of both ends, and a piece or two.
    assert(bytes < 16 * MIB, `${bytes} bytes were given out`)
    assert(counted.pieces < 256, `${counted.pieces} pieces were read`)
    assert(process.memoryUsage().rss - before < 64 * MIB)
    await isClosed(server)
    socket.resume()
    await closed
  })

  test('one that trickles is cut off, one that is merely slow is not', async (t) => {
    const server = await startHostServer(t, {
      parts: {
        paceLimits: {
          checkIntervalMs: 10,
          stallTimeoutMs: 5_000,
          slowWindowMs: 300,
          bytesPerSecondMin: 4 * MIB,
        },
      },
    })
    const { did } = accountOf(server.host, 1)
    stretch(server.host, 64 * MIB)
    const path = syncPath('getRepo', { did })
    // Takes a little whenever a timer says so.
    const socket = silentReader(t, server.port, path)
    const sips = setInterval(() => socket.read(20_000), 20)
    t.after(() => clearInterval(sips))
    const first = await eventually(() => server.ended[0] ?? null, 'the end of the trickle')
    assert.equal(first.end, 'slow')
    // Slow by itself, with a reader who takes what there is.
    stretch(server.host, 10 * 65_536)
    server.host.beforePiece = () =>
      new Promise((resolve) => {
        systemClock.after(60, resolve)
      })
    const car = await bytesOf(await server.get(path))
    assert.equal(car.length, 10 * 65_536)
    assert.equal(server.ended[1]?.end, 'complete')
    await isClosed(server)
  })

  test('nothing is read that the reader has not asked for', async (t) => {
    const server = await startHostServer(t)
    const { did } = accountOf(server.host, 1)
    const counted = stretch(server.host, 256 * MIB)
    const answer = await server.get(syncPath('getRepo', { did }))
    let taken = 0
    for await (const piece of must(answer.body, 'body')) {
      taken += (piece as Uint8Array).length
      const ahead = counted.pieces * 65_536 - taken
      assert(ahead < 24 * MIB, `${ahead} bytes ahead of the reader`)
      if (taken > 64 * MIB) break
    }
    await isClosed(server)
    assert(counted.pieces < 2_000)
    assert.equal(server.ended[0]?.end, 'left')
  })
})

describe('ends', () => {
  test('a client that leaves in the middle gives the snapshot back', async (t) => {
    const server = await startHostServer(t)
    const { did } = accountOf(server.host, 1)
    const counted = stretch(server.host, 1_024 * MIB)
    const path = syncPath('getRepo', { did })
    for (let i = 0; i < 20; i++) {
      const abort = new AbortController()
      const answer = await server.get(path, { signal: abort.signal })
      const reader = must(answer.body, 'body').getReader()
      await reader.read()
      if (i % 2 === 0) abort.abort()
      else await reader.cancel()
      await reader.closed.catch(() => null)
      await isClosed(server)
    }
    assert.equal(server.ended.length, 20)
    assert(server.ended.every(({ end }) => end === 'left'))
    assert(counted.pieces < 20 * 500)
  })

  test('a client that leaves before the first byte gives the snapshot back', async (t) => {
    const server = await startHostServer(t)
    const { did } = accountOf(server.host, 1)
    const gate = Promise.withResolvers<void>()
    server.host.beforePiece = () => gate.promise
    const socket = connect(server.port, '127.0.0.1')
    socket.write(`GET ${syncPath('getRepo', { did })} HTTP/1.1\r\nhost: x\r\n\r\n`)
    await eventually(() => (server.host.exportsOpen === 1 ? true : null), 'the export is open')
    socket.resetAndDestroy()
    await once(socket, 'close')
    gate.resolve()
    await isClosed(server)
    assert.equal((await server.get('/xrpc/_health')).status, 200)
  })

  test('an account that stops being served before the first byte is refused', async (t) => {
    const server = await startHostServer(t)
    const account = accountOf(server.host, 1)
    server.host.beforePiece = () => {
      account.status = 'takendown'
      throw new Error('not served any more')
    }
    const answer = await server.get(syncPath('getRepo', { did: account.did }))
    assert.deepEqual(await errorOf(answer), [400, 'RepoTakendown'])
    account.status = 'active'
    server.host.beforePiece = () => {
      throw new Error('disk failure')
    }
    const failed = await server.get(syncPath('getRepo', { did: account.did }))
    assert.deepEqual(await errorOf(failed), [500, 'InternalServerError'])
    await isClosed(server)
  })

  for (const version of ['1.0', '1.1']) {
    test(`a failure on the way can be seen by an HTTP/${version} client`, async (t) => {
      const server = await startHostServer(t)
      const { did } = accountOf(server.host, 300)
      server.host.pieceBytes = 1_000
      server.host.beforePiece = async (index) => {
        if (index < 5) return
        // Lets what was written before be read.
        await new Promise<void>((resolve) => systemClock.after(100, resolve))
        throw new Error('s3cret')
      }
      const socket = connect(server.port, '127.0.0.1')
      t.after(() => socket.destroy())
      const parts: Buffer[] = []
      socket.on('data', (part: Buffer) => parts.push(part))
      socket.write(`GET ${syncPath('getRepo', { did })} HTTP/${version}\r\nhost: x\r\n\r\n`)
      const outcome = await Promise.race([
        once(socket, 'error').then(([error]: unknown[]) => String(error)),
        once(socket, 'end').then(() => 'an orderly end'),
      ])
      assert.match(outcome, /ECONNRESET/)
      const text = Buffer.concat(parts).toString('latin1')
      assert.match(text, /^HTTP\/1\.1 200 /)
      assert.doesNotMatch(text, /\r\n0\r\n\r\n$|s3cret/)
      assert.equal(server.ended[0]?.end, 'failed')
      await isClosed(server)
    })
  }

  test('fetch sees that the body is cut', async (t) => {
    const server = await startHostServer(t)
    const account = accountOf(server.host, 300)
    server.host.pieceBytes = 1_000
    server.host.beforePiece = (index) => {
      if (index !== 7) return
      account.status = 'takendown'
      throw new Error('not served any more')
    }
    const answer = server.get(syncPath('getRepo', { did: account.did }))
    await assert.rejects(answer.then((got) => got.arrayBuffer()))
    await isClosed(server)
  })

  test('a stop cuts what does not finish in time', async (t) => {
    const server = await startHostServer(t)
    const { did } = accountOf(server.host, 1)
    stretch(server.host, 1_024 * MIB)
    silentReader(t, server.port, syncPath('getRepo', { did }))
    await eventually(() => (server.host.exportsOpen === 1 ? true : null), 'the export is open')
    await server.stop()
    await isClosed(server)
    assert.equal(server.ended[0]?.end, 'left')
  })

  test('without a connection at hand the stream fails', async () => {
    const host = new FakeHost()
    const { did } = accountOf(host, 300)
    host.pieceBytes = 1_000
    host.beforePiece = (index) => {
      if (index === 3) throw new Error('disk failure')
    }
    const ended: BodyEnd[] = []
    const metrics = detachedRelayMetrics()
    const clock = systemClock
    const app = createHostApp({
      view: host,
      description: DESCRIPTION,
      limits: new RequestLimits({ requestsPerMinute: 100, clock, metrics }),
      proxies: [],
      metrics,
      clock,
      logger: silentLogger,
      onBodyEnd: (_nsid, end) => ended.push(end),
    })
    const answer = await app.request(syncPath('getRepo', { did }))
    assert.equal(answer.status, 200)
    await assert.rejects(answer.arrayBuffer(), /disk failure/)
    assert.deepEqual(ended, ['failed'])
    assert.equal(host.exportsOpen, 0)
  })
})
