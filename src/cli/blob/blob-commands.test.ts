import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { CODEC_RAW, cidOf, cidToString } from '../../data/cid.ts'
import { sendJson } from '../../identity/testing/loopback-server.ts'
import { utf8 } from '../../lib/bytes.ts'
import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import { EXIT } from '../io.ts'
import { FakeAccount, FAKE_DID, sendError } from '../testing/fake-account.ts'

const blobs = new Map(
  ['one', 'two', 'three', 'lost', 'false', 'cut'].map((name) => {
    const bytes = utf8(`blob ${name}`)
    return [name, { bytes, cid: cidToString(cidOf(CODEC_RAW, bytes)) }] as const
  }),
)
const cidBy = (name: string): string => blobs.get(name)?.cid ?? ''

/** A host with three good blobs, one that is gone, one that is another, and one that ends early. */
function startHost(mended: { all: boolean } = { all: false }): Promise<FakeAccount> {
  return FakeAccount.start((call, params, response) => {
    if (call === 'listBlobs') {
      assert.equal(params.get('did'), FAKE_DID)
      const cids = [...blobs.values()].map(({ cid }) => cid)
      const page = Number(params.get('cursor') ?? '0')
      const cursor = page < 1 ? { cursor: String(page + 1) } : {}
      sendJson(response, { cids: cids.slice(page * 3, page * 3 + 3), ...cursor })
      return
    }
    const name = [...blobs].find(([, { cid }]) => cid === params.get('cid'))?.[0] ?? ''
    const bytes = blobs.get(name)?.bytes ?? utf8('')
    response.setHeader('content-type', 'application/octet-stream')
    if (mended.all) response.end(bytes)
    else if (name === 'lost') sendError(response, 400, 'BlobNotFound')
    else if (name === 'false') response.end('something else')
    else if (name === 'cut') {
      response.setHeader('content-length', String(bytes.length))
      response.write(bytes.subarray(0, 3), () => response.destroy())
    } else response.end(bytes)
  })
}

test('one bad blob never stops the others, and the ledger says what became of each', async () => {
  await using folder = await TemporaryDirectory.create('skein-cli-')
  const mended = { all: false }
  await using host = await startHost(mended)
  const args = ['blob', 'sync', FAKE_DID, folder.path, '--parallel', '2']
  const first = await host.run([...args, '--json'])
  assert.equal(first.code, EXIT.failure)
  const { listed, fetched, failed } = JSON.parse(first.out) as Record<string, number>
  assert.deepEqual({ listed, fetched, failed }, { listed: 6, fetched: 3, failed: 3 })
  const ledger = readFileSync(join(folder.path, 'errors.ndjson'), 'utf8')
  const failures = ledger
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { cid: string; code: string; retryable: boolean })
  const byCid = new Map(failures.map(({ cid, code, retryable }) => [cid, [code, retryable]]))
  assert.deepEqual(byCid.get(cidBy('lost')), ['BlobNotFound', false])
  assert.deepEqual(byCid.get(cidBy('false')), ['Unverified', true])
  assert.deepEqual(byCid.get(cidBy('cut')), ['Truncated', true])
  for (const name of ['one', 'two', 'three']) {
    assert.equal(readFileSync(join(folder.path, cidBy(name)), 'utf8'), `blob ${name}`)
  }
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => name.endsWith('.part')),
    [],
  )

  // Again: only what is missing is asked for, and a ledger without failures is gone.
  mended.all = true
  const before = host.host.requests.length
  const second = await host.run(args)
  assert.equal(second.code, EXIT.ok, second.err)
  const asked = host.host.requests.slice(before).filter((path) => path.includes('getBlob'))
  assert.equal(asked.length, 3)
  assert.equal(existsSync(join(folder.path, 'errors.ndjson')), false)
  assert.equal(readdirSync(folder.path).length, 6)
})

test('get writes a blob only when it is the one that was asked for', async () => {
  await using folder = await TemporaryDirectory.create('skein-cli-')
  await using host = await startHost()
  const path = join(folder.path, 'blob')
  assert.equal((await host.run(['blob', 'get', FAKE_DID, cidBy('one'), path])).code, EXIT.ok)
  assert.equal(readFileSync(path, 'utf8'), 'blob one')
  const other = join(folder.path, 'other')
  const bad = await host.run(['blob', 'get', FAKE_DID, cidBy('false'), other])
  assert.equal(bad.code, EXIT.unverified)
  assert.equal(existsSync(other), false)
  const lost = await host.run(['blob', 'get', FAKE_DID, cidBy('lost'), other, '--json'])
  assert.equal(lost.code, EXIT.absent)
  assert.equal((JSON.parse(lost.err) as { error: string }).error, 'BlobNotFound')
  assert.equal((await host.run(['blob', 'get', FAKE_DID, 'nonsense'])).code, EXIT.usage)
  const terminal = { stdoutIsTerminal: true }
  assert.equal((await host.run(['blob', 'get', FAKE_DID, cidBy('one')], terminal)).code, EXIT.usage)
})

test('ls gives every page', async () => {
  await using host = await startHost()
  const { out } = await host.run(['blob', 'ls', FAKE_DID])
  assert.deepEqual(
    out.trimEnd().split('\n'),
    [...blobs.values()].map(({ cid }) => cid),
  )
})

test('a listing that fails ends the sync with its reason', async () => {
  await using folder = await TemporaryDirectory.create('skein-cli-')
  await using host = await FakeAccount.start((_, _params, response) =>
    sendError(response, 400, 'RepoDeactivated'),
  )
  const { code, err } = await host.run(['blob', 'sync', FAKE_DID, folder.path])
  assert.equal(code, EXIT.absent)
  assert.match(err, /deactivated/)
  // oxlint-disable-next-line no-control-regex -- what the host sent must not be there
  assert.doesNotMatch(err, /\u001b/)
})

test('a host that a document names on a private network is not asked unless it may be', async () => {
  await using host = await startHost()
  const { code, err } = await host.runInPublic(['blob', 'ls', FAKE_DID])
  assert.notEqual(code, EXIT.ok)
  assert.equal(host.host.requests.length, 0, err)
})
