import assert from 'node:assert/strict'
import { on, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { formatMultikey, PrivateKey } from '../src/crypto/index.ts'
import { startHost, startRelay } from '../src/server/index.ts'
import { parseFrame } from '../src/stream/index.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const key = PrivateKey.generate('k256')

test('a record that is written at a host comes out of a relay', async (t) => {
  await using host = await startHost()
  const plc = await startDirectory(host.url)
  t.after(() => plc.close())
  await using relay = await startRelay({ plc: [plc.url], hosts: [host.url] })

  await host.host.createAccount({ did, key, handle: 'alice.test' })
  await host.host.putRecord(did, 'org.example.note/1', { record: { text: 'hello' } })

  const stream = `ws://${relay.address}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`
  assert.equal(await firstChange(stream), `${did} create org.example.note/1`)
})

/** Waits for the first commit of a stream that changes a record. */
async function firstChange(url: string): Promise<string> {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  for await (const [{ data }] of on(socket, 'message', { signal: AbortSignal.timeout(10_000) })) {
    const frame = parseFrame(new Uint8Array(data))
    if (!frame.ok || frame.value.kind !== 'message' || frame.value.type !== '#commit') continue
    const { repo, ops } = frame.value.body
    if (ops[0] === undefined) continue
    socket.close()
    return `${repo} ${ops[0].action} ${ops[0].path}`
  }
  throw new Error('the stream has ended')
}

/** Stands for a PLC directory, which says whose key signs for an account, and at which host. */
async function startDirectory(serviceEndpoint: string): Promise<{ url: string; close(): void }> {
  const publicKeyMultibase = formatMultikey(key.publicKey)
  const document = {
    id: did,
    verificationMethod: [
      { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase },
    ],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }],
  }
  const server = createServer((_, response) => response.end(JSON.stringify(document)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() }
}
