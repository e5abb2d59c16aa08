import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { readCar, readCarWithRoot, verifyProofs } from '@atproto/repo'

import { RelayClient } from '../../test/support/relay-client.ts'
import { formatDidKey } from '../crypto/public-key.ts'
import { loadVerifier, type SignatureVerifier } from '../crypto/verifier.ts'
import { cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { verifyRecordProof } from '../repo/record-proof.ts'
import type { FakeAccount } from './testing/fake-host-view.ts'
import {
  bytesOf,
  DESCRIPTION,
  errorOf,
  type HostServer,
  startHostServer,
  syncPath,
} from './testing/host-server.ts'

const NOBODY = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const COLLECTION = 'org.example.note'

let verifier: SignatureVerifier
before(async () => {
  verifier = await loadVerifier()
})

function headOf(account: FakeAccount): { cid: string; rev: string } {
  const { commit, rev } = must(account.repo.head, 'head')
  return { cid: cidToString(commit), rev }
}

async function jsonOf(answer: Response): Promise<unknown> {
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json\b/)
  assert.equal(answer.status, 200)
  return answer.json()
}

/** Every call about one repository, with parameters that would be answered. */
function callsAbout(account: FakeAccount): [string, Record<string, string>][] {
  const { did } = account
  const [blob = ''] = account.blobs.keys()
  return [
    ['getRepo', { did }],
    ['getCheckout', { did }],
    ['getRecord', { did, collection: COLLECTION, rkey: 'a' }],
    ['getBlocks', { did, cids: headOf(account).cid }],
    ['getBlob', { did, cid: blob }],
    ['getLatestCommit', { did }],
    ['getHead', { did }],
    ['getRepoStatus', { did }],
    ['listBlobs', { did }],
  ]
}

function richAccount({ host }: HostServer, seed = 'rich'): FakeAccount {
  const account = host.add(seed)
  account.create(`${COLLECTION}/a`)
  account.upload(utf8('a blob'), 'text/plain')
  return account
}

describe('availability', () => {
  test('each status has its error, and only the status is told of who is not served', async (t) => {
    const server = await startHostServer(t)
    const account = richAccount(server)
    const cases = [
      ['takendown', 'RepoTakendown'],
      ['suspended', 'RepoSuspended'],
      ['deactivated', 'RepoDeactivated'],
      ['deleted', 'RepoNotFound'],
    ] as const
    for (const [name, params] of callsAbout(account)) {
      account.status = 'active'
      const answer = await server.get(syncPath(name, params))
      assert.equal(answer.status, 200, name)
      await answer.arrayBuffer()
      for (const [status, error] of cases) {
        account.status = status
        const refused = await server.get(syncPath(name, params))
        if (name === 'getRepoStatus') {
          assert.deepEqual(await jsonOf(refused), { did: account.did, active: false, status })
          continue
        }
        const expected = name === 'getHead' && status === 'deleted' ? 'HeadNotFound' : error
        assert.deepEqual(await errorOf(refused), [400, expected], `${name} ${status}`)
      }
    }
    assert.equal(server.host.exportsOpen, 0)
  })

  test('an account that never was here', async (t) => {
    const server = await startHostServer(t)
    for (const [name, params] of callsAbout(richAccount(server))) {
      const answer = await server.get(syncPath(name, { ...params, did: NOBODY }))
      const expected = name === 'getHead' ? 'HeadNotFound' : 'RepoNotFound'
      assert.deepEqual(await errorOf(answer), [400, expected], name)
    }
  })
})

describe('parameters', () => {
  test('what the lexicons do not allow is InvalidRequest', async (t) => {
    const server = await startHostServer(t)
    const { did } = richAccount(server)
    const paths = [
      'getRepo',
      'getRepo?did=alice.test',
      'getRepo?did=',
      `getRepo?did=${did}&did=${did}`,
      `getRepo?did=${did}&since=abc`,
      'getCheckout',
      'getHead?did=x',
      'getLatestCommit',
      'getRepoStatus?did=did:plc',
      `getRecord?did=${did}&collection=${COLLECTION}`,
      `getRecord?did=${did}&collection=nope&rkey=a`,
      `getRecord?did=${did}&collection=${COLLECTION}&rkey=..`,
      `getRecord?did=${did}&collection=${COLLECTION}&rkey=a%2Fb`,
      `getBlocks?did=${did}`,
      `getBlocks?did=${did}&cids=nope`,
      `getBlob?did=${did}`,
      `getBlob?did=${did}&cid=..%2F..%2Fetc%2Fpasswd`,
      `listBlobs?did=${did}&limit=0`,
      `listBlobs?did=${did}&limit=1001`,
      `listBlobs?did=${did}&since=abc`,
      `listBlobs?did=${did}&cursor=abc`,
      'listRepos?limit=0',
      'listRepos?limit=1001',
      'listRepos?limit=1e2',
      'listRepos?cursor=abc',
    ]
    for (const path of paths) {
      const answer = await server.get(`/xrpc/com.atproto.sync.${path}`)
      assert.deepEqual(await errorOf(answer), [400, 'InvalidRequest'], path)
    }
  })

  test('percent-encoded and unknown parameters are understood', async (t) => {
    const server = await startHostServer(t)
    const account = richAccount(server)
    const encoded = account.did.replaceAll(/./g, (c) => `%${c.charCodeAt(0).toString(16)}`)
    const answer = await server.get(
      `/xrpc/com.atproto.sync.getLatestCommit?x=%2F+%7e&%64%69%64=${encoded}&x=1`,
    )
    assert.deepEqual(await jsonOf(answer), headOf(account))
  })

  test('HEAD is GET without a body', async (t) => {
    const server = await startHostServer(t)
    for (const [name, params] of callsAbout(richAccount(server))) {
      const path = syncPath(name, params)
      const head = await server.get(path, { method: 'HEAD' })
      const get = await server.get(path)
      await get.arrayBuffer()
      assert.equal(head.status, 200, name)
      assert.equal((await head.arrayBuffer()).byteLength, 0, name)
      assert.equal(head.headers.get('content-type'), get.headers.get('content-type'), name)
    }
    assert.equal(server.host.exportsOpen, 0)
    assert.equal(server.host.exportsOpened, 2, 'only GET opens an export')
    assert.equal(server.host.blobsOpen, 0)
  })

  test('other methods are 405, calls of other roles 501', async (t) => {
    const server = await startHostServer(t)
    const posted = await server.get(syncPath('getRepo'), { method: 'POST' })
    assert.deepEqual(await errorOf(posted), [405, 'MethodNotAllowed'])
    for (const name of ['requestCrawl', 'listHosts', 'getHostStatus', 'listReposByCollection']) {
      assert.deepEqual(await errorOf(await server.get(syncPath(name))), [
        501,
        'MethodNotImplemented',
      ])
    }
  })
})

describe('heads and status', () => {
  test('getLatestCommit, getHead and getRepoStatus follow the newest commit', async (t) => {
    const server = await startHostServer(t)
    const account = server.host.add('alice')
    const { did } = account
    for (const path of [null, `${COLLECTION}/a`, `${COLLECTION}/b`]) {
      if (path !== null) account.create(path)
      const { cid, rev } = headOf(account)
      const call = async (name: string): Promise<unknown> =>
        jsonOf(await server.get(syncPath(name, { did })))
      assert.deepEqual(await call('getLatestCommit'), { cid, rev })
      assert.deepEqual(await call('getHead'), { root: cid })
      assert.deepEqual(await call('getRepoStatus'), { did, active: true, rev })
    }
  })

  test('describeServer and the health', async (t) => {
    const server = await startHostServer(t)
    const described = await server.get('/xrpc/com.atproto.server.describeServer')
    assert.deepEqual(await jsonOf(described), DESCRIPTION)
    const well = await server.get('/xrpc/_health')
    assert.match(JSON.stringify(await jsonOf(well)), /"version":"\d+\.\d+/)
    server.host.healthy = false
    const ill = await server.get('/xrpc/_health')
    assert.equal(ill.status, 503)
    assert.match(await ill.text(), /log: disk full/)
    assert.match(await (await server.get('/')).text(), /repository host/)
  })
})

/** Follows cursors to the end; fails when that takes more than `most` pages. */
async function pages(
  server: HostServer,
  name: string,
  params: Record<string, string | number>,
  most: number,
): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = []
  let cursor: unknown
  do {
    assert(found.length < most, `more than ${most} pages`)
    const query = typeof cursor === 'string' ? { ...params, cursor } : params
    const page = (await jsonOf(await server.get(syncPath(name, query)))) as Record<string, unknown>
    found.push(page)
    cursor = page['cursor']
  } while (cursor !== undefined)
  return found
}

describe('listings', () => {
  test('listRepos gives every repository once, with status, and an end', async (t) => {
    const server = await startHostServer(t)
    const accounts = Array.from({ length: 7 }, (_, i) => server.host.add(`account ${i}`))
    must(accounts[2], 'account').status = 'takendown'
    must(accounts[3], 'account').status = 'deleted'
    const expected = accounts
      .filter(({ status }) => status !== 'deleted')
      .map((account) => {
        const { cid: head, rev } = headOf(account)
        const { did, status } = account
        return status === 'active'
          ? { did, head, rev, active: true }
          : { did, head, rev, active: false, status }
      })
    for (const [limit, count] of [
      [1, 6],
      [2, 3],
      [4, 2],
      [6, 1],
      [1_000, 1],
    ] as const) {
      const found = await pages(server, 'listRepos', { limit }, count)
      assert.equal(found.length, count, `${limit} a page`)
      assert.deepEqual(
        found.flatMap(({ repos }) => repos),
        expected,
      )
    }
  })

  test('listBlobs gives every blob once, and those since a rev', async (t) => {
    const server = await startHostServer(t)
    const account = server.host.add('alice')
    const { did } = account
    const early = [1, 2, 3].map((n) => account.upload(utf8(`early ${n}`), 'text/plain'))
    const { rev } = headOf(account)
    account.create(`${COLLECTION}/a`)
    const late = [1, 2].map((n) => account.upload(utf8(`late ${n}`), 'text/plain'))
    const all = [...early, ...late].toSorted()
    for (const limit of [1, 2, 5, 500]) {
      const found = await pages(server, 'listBlobs', { did, limit }, 5)
      const cids = found.flatMap((page) => page['cids'] as string[])
      assert.deepEqual(cids.toSorted(), all)
      assert.equal(found.length, Math.ceil(5 / limit))
    }
    const since = await pages(server, 'listBlobs', { did, since: rev }, 1)
    assert.deepEqual(since.flatMap(({ cids }) => cids as string[]).toSorted(), late.toSorted())
    const now = headOf(account).rev
    assert.deepEqual(await pages(server, 'listBlobs', { did, since: now }, 1), [{ cids: [] }])
  })
})

test('an empty cursor asks for the first page', async (t) => {
  const server = await startHostServer(t)
  const { did } = richAccount(server)
  for (const call of ['listRepos?limit=10', `listBlobs?did=${did}`]) {
    const path = `/xrpc/com.atproto.sync.${call}`
    assert.deepEqual(
      await jsonOf(await server.get(`${path}&cursor=`)),
      await jsonOf(await server.get(path)),
    )
  }
})

describe('getRecord', () => {
  for (const curve of ['k256', 'p256'] as const) {
    test(`proves what is there and what is not (${curve})`, async (t) => {
      const server = await startHostServer(t)
      const account = server.host.add('alice', curve)
      const { did, repo } = account
      const key = repo.key.publicKey
      const names = Array.from({ length: 60 }, (_, i) => `r${i * 7}`)
      account.create(...names.map((name) => `${COLLECTION}/${name}`))
      const records = repo.records()
      for (const rkey of ['r0', 'r7', 'r413', 'r8', 'absent', '~', '0']) {
        const path = `${COLLECTION}/${rkey}`
        const answer = await server.get(
          syncPath('getRecord', { did, collection: COLLECTION, rkey }),
        )
        assert.equal(answer.headers.get('content-type'), 'application/vnd.ipld.car')
        const car = await bytesOf(answer)
        const cid = records.get(path) ?? null
        const proven = verifyRecordProof(car, { did, path, key, verifier })
        assert(proven.ok, path)
        assert.deepEqual(proven.value.record?.cid ?? null, cid, path)
        assert.equal(proven.value.rev, headOf(account).rev)

        const { root, blocks } = await readCarWithRoot(car)
        assert.equal(String(root), headOf(account).cid)
        assert.equal(String(blocks.cids()[0]), String(root), 'commit first')
        const claimed =
          cid === null ? null : blocks.cids().find((c) => String(c) === cidToString(cid))
        const claim = { collection: COLLECTION, rkey, cid: claimed ?? null }
        const verdict = await verifyProofs(car, [claim], did, formatDidKey(key))
        assert.equal(verdict.verified.length, 1, path)
        if (cid === null) continue
        const denied = { ...claim, cid: null }
        const opposite = await verifyProofs(car, [denied], did, formatDidKey(key))
        assert.equal(opposite.unverified.length, 1, 'a proof of the opposite')
      }
    })
  }
})

describe('getBlocks', () => {
  test('gives the blocks in a CAR without roots, each once', async (t) => {
    const server = await startHostServer(t)
    const account = richAccount(server)
    const { did } = account
    const held = account.blocks()
    const cids = held.map(({ cid }) => cidToString(cid))
    const asked = [...cids, ...cids.toReversed()]
    const car = await bytesOf(await server.get(syncPath('getBlocks', { did, cids: asked })))
    const { roots, blocks } = await readCar(car)
    assert.deepEqual(roots, [])
    assert.deepEqual(blocks.cids().map(String).toSorted(), cids.toSorted())
    assert.equal(
      blocks.byteSize,
      held.reduce((sum, { block }) => sum + block.length, 0),
    )
    assert.equal(Buffer.from(car.subarray(0, 11)).toString('hex'), '11a265726f6f7473806776')
  })

  test('one that is missing is BlockNotFound, and named', async (t) => {
    const server = await startHostServer(t)
    const account = richAccount(server)
    const { did } = account
    const { cid } = headOf(account)
    account.create(`${COLLECTION}/b`)
    const other = headOf(server.host.add('bob')).cid
    const odd = `bafyrei${'a'.repeat(51)}b`
    for (const [cids, missing] of [
      [[cid], [cid]],
      [[headOf(account).cid, other], [other]],
      [
        [other, cid],
        [other, cid],
      ],
      [[odd], [odd]],
    ] as const) {
      const answer = await server.get(syncPath('getBlocks', { did, cids }))
      const body = (await answer.clone().json()) as { message: string }
      assert.deepEqual(await errorOf(answer), [400, 'BlockNotFound'])
      assert.equal(body.message, `Could not find cids: ${missing.join(',')}`)
    }
  })

  test('more than one answer may hold is refused', async (t) => {
    const server = await startHostServer(t)
    const account = richAccount(server)
    server.host.blocksBytesMax = 10
    const path = syncPath('getBlocks', { did: account.did, cids: headOf(account).cid })
    assert.deepEqual(await errorOf(await server.get(path)), [400, 'InvalidRequest'])
  })
})

describe('what every answer has', () => {
  test('any origin may read it, its range and tag too', async (t) => {
    const server = await startHostServer(t)
    const account = richAccount(server)
    const [cid = ''] = account.blobs.keys()
    const path = syncPath('getBlob', { did: account.did, cid })
    const answer = await server.get(path, { headers: { origin: 'https://app.test' } })
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    for (const name of ['etag', 'content-range', 'retry-after']) {
      assert.match(answer.headers.get('access-control-expose-headers') ?? '', new RegExp(name))
    }
    const preflight = await server.get(path, {
      method: 'OPTIONS',
      headers: {
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'range',
      },
    })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers.get('access-control-allow-headers'), 'range')
  })

  test('an address that asks too often is told to wait', async (t) => {
    const server = await startHostServer(t, { options: { requestsPerMinute: 2 } })
    const path = syncPath('listRepos')
    for (let i = 0; i < 2; i++) assert.equal((await server.get(path)).status, 200)
    const limited = await server.get(path)
    assert.match(limited.headers.get('retry-after') ?? '', /^\d+$/)
    assert.deepEqual(await errorOf(limited), [429, 'RateLimitExceeded'])
  })

  test('a storage failure is 500 without its reason', async (t) => {
    const server = await startHostServer(t)
    const account = richAccount(server)
    server.host.latestCommit = () => {
      throw new Error('s3cret')
    }
    const answer = await server.get(syncPath('getLatestCommit', { did: account.did }))
    assert.doesNotMatch(await answer.clone().text(), /s3cret/)
    assert.deepEqual(await errorOf(answer), [500, 'InternalServerError'])
  })
})

test('subscribeRepos is the log, and 426 without a WebSocket', async (t) => {
  const server = await startHostServer(t)
  const account = richAccount(server)
  await using client = await RelayClient.connect(server.address, 0)
  const first = await client.take(2)
  account.create(`${COLLECTION}/b`)
  const frames = [...first, await client.next()]
  assert.deepEqual(
    frames.map(({ seq, type, body }) => [seq, type, body['repo']]),
    [1, 2, 3].map((seq) => [seq, '#commit', account.did]),
  )
  assert.equal(frames[2]?.body['rev'], headOf(account).rev)
  const plain = await server.get(syncPath('subscribeRepos'))
  assert.deepEqual(await errorOf(plain), [426, 'UpgradeRequired'])
})
