import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIP } from 'node:net'
import { test } from 'node:test'
import { createDnsLookup, resolvePrivateNames } from './address-lookup.ts'
import { createAddressPolicy, isBlocked } from './address-policy.ts'

const TYPE_A = 1
const TYPE_AAAA = 28

interface NameServer extends AsyncDisposable {
  readonly address: string
}

/** Addresses of a name by record type; undefined keeps silent. */
type Zone = (name: string, type: number) => readonly Uint8Array[] | undefined

/** A name server on loopback: one question, plain records, nothing else (RFC 1035, 4.1). */
async function startNameServer(zone: Zone): Promise<NameServer> {
  const socket = createSocket('udp4')
  socket.on('message', (query, peer) => {
    const labels: string[] = []
    let offset = 12
    for (let length = query[offset] ?? 0; length > 0; length = query[offset] ?? 0) {
      labels.push(query.toString('latin1', offset + 1, offset + 1 + length))
      offset += 1 + length
    }
    const question = query.subarray(12, offset + 5)
    const type = query.readUInt16BE(offset + 1)
    const records = zone(labels.join('.').toLowerCase(), type)
    if (records === undefined) return
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(records.length, 6)
    const answers = records.map((data) => {
      const record = Buffer.alloc(12)
      record.writeUInt16BE(0xc00c, 0)
      record.writeUInt16BE(type, 2)
      record.writeUInt16BE(1, 4)
      record.writeUInt32BE(60, 6)
      record.writeUInt16BE(data.length, 10)
      return Buffer.concat([record, data])
    })
    socket.send(Buffer.concat([header, question, ...answers]), peer.port, peer.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

const V4 = Uint8Array.of(8, 8, 4, 4)
const V6 = Uint8Array.from([0x26, 0x06, 0x47, 0, ...Array.from({ length: 11 }, () => 0), 1])

const zone: Zone = (name, type) => {
  if (name === 'silent.example.com') return undefined
  if (name === 'inside.example.com') return type === TYPE_A ? [Uint8Array.of(10, 0, 0, 1)] : []
  const hasV4 = name.startsWith('both') || name.startsWith('v4')
  const hasV6 = name.startsWith('both') || name.startsWith('v6')
  if (type === TYPE_A && hasV4) return [V4]
  return type === TYPE_AAAA && hasV6 ? [V6] : []
}

test('both families, or the one there is; none is a failure', async () => {
  await using server = await startNameServer(zone)
  const lookUp = createDnsLookup({ servers: [server.address], timeoutMs: 200, tries: 1 })
  const v4 = { address: '8.8.4.4', family: 4 }
  const v6 = { address: '2606:4700::1', family: 6 }
  assert.deepEqual(await lookUp('both.example.com'), [v4, v6])
  assert.deepEqual(await lookUp('v4.example.com'), [v4])
  assert.deepEqual(await lookUp('v6.example.com'), [v6])
  await assert.rejects(lookUp('none.example.com'))
})

test('a name server that keeps silent is given up', async () => {
  await using server = await startNameServer(zone)
  const lookUp = createDnsLookup({ servers: [server.address], timeoutMs: 100, tries: 1 })
  const started = performance.now()
  await assert.rejects(lookUp('silent.example.com'))
  assert.ok(performance.now() - started < 5_000)
})

test('a name that leads inside is refused', async () => {
  await using server = await startNameServer(zone)
  const resolveAddresses = createDnsLookup({ servers: [server.address] })
  const { lookup } = createAddressPolicy({ resolveAddresses })
  const error = await new Promise((resolve) => lookup('inside.example.com', { all: true }, resolve))
  assert.ok(isBlocked(error))
})

test('on private networks the system knows localhost', async () => {
  const found = await resolvePrivateNames('localhost')
  assert.ok(found.length > 0)
  for (const { address } of found) assert.notEqual(isIP(address), 0)
})
