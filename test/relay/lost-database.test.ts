import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { RelayClient } from '../support/relay-client.ts'
import { TestRelay } from '../support/test-relay.ts'
import { createAccount } from '../support/world.ts'

test('I8: a log beside an empty database is not taken for that of other hosts', async () => {
  await using directory = await TemporaryDirectory.create('skein-relay-test-')
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  const options = { plc: [plc.url], hosts: [host.endpoint], data: directory.path }
  {
    await using relay = await TestRelay.start(options)
    await host.connected()
    host.send('#commit', createAccount(plc, host, 'in the log alone').apply([]))
    const stream = await RelayClient.connect(relay.address, 0)
    await stream.next()
    await stream[Symbol.asyncDispose]()
  }
  for (const name of await readdir(directory.path)) {
    if (name.startsWith('state.sqlite')) await rm(join(directory.path, name))
  }
  await assert.rejects(TestRelay.start(options), {
    code: 'STORE_FAILED',
    message: /restore state/u,
  })
})
