/** What commands make of hosts that lie about repositories. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'

import { must } from '../../lib/assert.ts'
import { EXIT } from '../io.ts'
import { CliWorld } from '../testing/cli-world.ts'
import { FakeAccount, FAKE_DID, sendError } from '../testing/fake-account.ts'

let world: CliWorld
let did: string
let car: Uint8Array

before(async () => {
  world = await CliWorld.start()
  did = world.did()
  const path = world.path('good.car')
  assert.equal((await world.run(['repo', 'get', did, path])).code, EXIT.ok)
  car = readFileSync(path)
})
after(() => world[Symbol.asyncDispose]())

function sendCar(response: ServerResponse, bytes: Uint8Array): void {
  response.setHeader('content-type', 'application/vnd.ipld.car')
  response.end(bytes)
}

/** The good CAR with a bit of the byte at a share of it turned. */
function damaged(share: number): Uint8Array {
  const bytes = Uint8Array.from(car)
  const at = Math.floor(bytes.length * share)
  bytes[at] = must(bytes[at], 'byte') ^ 1
  return bytes
}

interface Lie {
  readonly name: string
  readonly send: (response: ServerResponse) => void
  readonly exit: number
  readonly told: RegExp
}

const LIES: readonly Lie[] = [
  {
    name: 'a damaged block',
    send: (response) => sendCar(response, damaged(0.7)),
    exit: EXIT.unverified,
    told: /car-hash-mismatch|car-cid-kind|car-malformed/,
  },
  {
    name: 'a CAR that ends within a block',
    send: (response) => sendCar(response, car.subarray(0, car.length - 5)),
    exit: EXIT.failure,
    told: /Truncated|ended before its end/,
  },
  {
    name: 'nothing',
    send: (response) => sendCar(response, new Uint8Array(0)),
    exit: EXIT.failure,
    told: /ended before its end/,
  },
  {
    name: 'a page',
    send: (response) => response.setHeader('content-type', 'text/html').end('<html>'),
    exit: EXIT.failure,
    told: /text\/html/,
  },
  {
    name: 'noise under the right name',
    send: (response) => sendCar(response, new Uint8Array(5_000).fill(0x41)),
    exit: EXIT.failure,
    told: /car-malformed/,
  },
  {
    name: 'an account that has been taken down',
    send: (response) => sendError(response, 400, 'RepoTakendown'),
    exit: EXIT.absent,
    told: /taken down/,
  },
]

for (const { name, send, exit, told } of LIES) {
  test(`${name}: no file, ${exit}, and the reason`, async () => {
    await using host = await FakeAccount.start((_call, _params, response) => send(response))
    const path = world.path(`lie-${name.replaceAll(' ', '-')}.car`)
    const to = ['--service', host.host.origin]
    const { code, err } = await world.run(['repo', 'get', did, path, ...to])
    assert.equal(code, exit, err)
    assert.match(err, told)
    assert.equal(existsSync(path), false)
    // An export tells the same, and has no manifest.
    const folder = world.path(`lie-${name.replaceAll(' ', '-')}`)
    const exported = await world.run(['repo', 'export', did, folder, ...to])
    assert.equal(exported.code, exit, exported.err)
    assert.equal(existsSync(`${folder}/manifest.json`), false)
  })
}

test("another account's repository is not this one's, whoever signed it", async () => {
  await using host = await FakeAccount.start((_call, _params, response) => sendCar(response, car))
  const path = world.path('other.car')
  for (const more of [[], ['--since', '2222222222222']]) {
    const { code, err } = await host.run(['repo', 'get', FAKE_DID, path, ...more])
    assert.equal(code, EXIT.unverified, err)
    assert.match(err, /commit-did-mismatch/)
    assert.equal(existsSync(path), false)
  }
  const verified = await host.run(['repo', 'verify', FAKE_DID, '--json'])
  assert.equal(verified.code, EXIT.unverified)
  const { broken } = JSON.parse(verified.out) as { broken: Record<string, number> }
  // The directory of this test knows nobody else.
  assert.deepEqual(broken, { 'commit-did-mismatch': 1, 'identity-unresolved': 1 })
})

test('a proof of something else proves nothing', async () => {
  await using host = await FakeAccount.start((_call, _params, response) => sendCar(response, car))
  const [path] = must([...world.network.simulation.world.records(did)][0], 'record')
  const [collection = '', rkey = ''] = path.split('/')
  const args = ['record', 'get', FAKE_DID, collection, rkey]
  const { code, out, err } = await host.run(args)
  assert.equal(code, EXIT.unverified, err)
  assert.equal(out, '')
})

test('what a host says without proof is called that', async () => {
  await using host = await FakeAccount.start((_call, _params, response) =>
    sendError(response, 400, 'RecordNotFound'),
  )
  const { code, out, err } = await host.run([
    'record',
    'get',
    `at://${FAKE_DID}/org.example.thing/a`,
    '--json',
  ])
  assert.equal(code, EXIT.absent)
  assert.equal((JSON.parse(out) as { proven: boolean }).proven, false)
  assert.match(err, /without proof/)
})
