/** A relay that may not open more files: it turns subscribers away, then stops and says why. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { KillRelay } from '../oracle/kill-relay.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { faultsOf, MarkedEvents } from '../support/marked-events.ts'
import { RelayClient } from '../support/relay-client.ts'
import { createAccount } from '../support/world.ts'

/** A relay takes about forty for itself. */
const OPEN_FILES = 64
const SUBSCRIBERS = 60
/** Events of four of these begin a segment, whose files cannot be opened. */
const PAD = new Uint8Array(70_000)

/** Connects until the relay takes nobody any more; returns the sockets that it took. */
async function fill(address: string): Promise<WebSocket[]> {
  const taken: WebSocket[] = []
  const url = `ws://${address}/xrpc/com.atproto.sync.subscribeRepos`
  for (let i = 0; i < SUBSCRIBERS; i++) {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.on('open', () => resolve(true))
      socket.on('error', () => resolve(false))
    })
    if (!isOpen) return taken
    taken.push(socket)
  }
  return taken
}

test('without a file left, a relay sheds subscribers, stops if it must, and is whole later', async () => {
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  await using directory = await TemporaryDirectory.create('skein-files-test-')
  const repo = createAccount(plc, host, 'files')
  const events = new MarkedEvents(host, [repo], 1)
  const options = {
    data: join(directory.path, 'data'),
    plc: plc.url,
    hosts: [host.endpoint],
    point: null,
    nth: 0,
  }
  {
    await using relay = KillRelay.spawn({ ...options, openFilesMax: OPEN_FILES })
    const address = await relay.serving()
    assert.ok(address !== null, relay.stderr)
    await using client = await RelayClient.connect(address, 0)
    events.send(5)
    await client.reached(5)
    const taken = await fill(address)
    assert.ok(taken.length > 0 && taken.length < SUBSCRIBERS, `${taken.length} subscribers`)
    assert.ok(!relay.isOver, 'it sheds, and goes on')
    // The one that is there is served on.
    events.send(5)
    await client.reached(10)
    // Verifier threads open files while they start, and have closed them by now.
    taken.push(...(await fill(address)))
    for (let i = 0; i < 8 && client.ended === null; i++) {
      host.send('#account', {
        did: repo.did,
        time: timeOf(i),
        active: true,
        mark: ++events.count,
        pad: PAD,
      })
    }
    const { code } = await relay.ended()
    assert.equal(code, 1, 'it stops, and not by itself being killed')
    assert.match(relay.violations.join('\n'), /the relay failed: append to log: .*EMFILE/u)
    for (const socket of taken) socket.terminate()
  }
  await using relay = KillRelay.spawn(options)
  const address = await relay.serving()
  assert.ok(address !== null, relay.stderr)
  await using client = await RelayClient.connect(address, 0)
  await client.reached(events.count)
  assert.deepEqual(faultsOf(client.frames, events.count), [])
  assert.deepEqual(relay.violations, [])
})

function timeOf(i: number): string {
  return new Date(Date.UTC(2026, 0, 1) + i).toISOString()
}
