import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { describe, test, type TestContext } from 'node:test'

import { JumpingClock } from '../../test/support/jumping-clock.ts'
import { eventually } from '../../test/support/waiting.ts'
import { concatBytes, utf8 } from '../lib/bytes.ts'
import { CODEC_RAW, cidOf, cidToString } from '../data/cid.ts'
import type { FakeAccount } from './testing/fake-host-view.ts'
import {
  bytesOf,
  errorOf,
  type HostServer,
  silentReader,
  startHostServer,
  syncPath,
} from './testing/host-server.ts'

const ALPHABET = utf8('abcdefghijklmnopqrstuvwxyz')

interface Setup extends HostServer {
  readonly account: FakeAccount
  readonly cid: string
  readonly path: string
}

async function setup(
  t: TestContext,
  bytes: Uint8Array = ALPHABET,
  mimeType = 'text/plain',
): Promise<Setup> {
  const server = await startHostServer(t)
  const account = server.host.add('alice')
  const cid = account.upload(bytes, mimeType)
  return { ...server, account, cid, path: syncPath('getBlob', { did: account.did, cid }) }
}

/** The exact header lines of an answer, without what `fetch` hides. */
async function rawHeaders(url: string, method: string): Promise<Record<string, unknown>> {
  const sent = request(url, { method })
  sent.end()
  const [answer] = await once(sent, 'response')
  answer.resume()
  return answer.headers
}

function failDisk(): never {
  throw new Error('disk failure')
}

describe('getBlob', () => {
  test('is the bytes, with headers that keep browsers from running them', async (t) => {
    const { get, path, cid, address } = await setup(t, ALPHABET, 'text/html; charset=utf-8')
    assert.deepEqual(await bytesOf(await get(path)), ALPHABET)
    for (const method of ['GET', 'HEAD']) {
      const headers = await rawHeaders(`http://${address}${path}`, method)
      assert.equal(headers['content-type'], 'text/html; charset=utf-8')
      assert.equal(headers['content-length'], '26')
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['content-security-policy'], "default-src 'none'; sandbox")
      assert.equal(headers['content-disposition'], `attachment; filename="${cid}"`)
      assert.equal(headers['accept-ranges'], 'bytes')
      assert.equal(headers['etag'], `"${cid}"`)
      assert.equal(headers['cache-control'], 'no-cache')
      assert.equal(headers['transfer-encoding'], undefined)
    }
  })

  test('a type that is none, or would break the head, is not sent', async (t) => {
    for (const type of ['', 'text', 'text/html\r\nset-cookie: a=b', 'a/b\u00e9', 'a/b;\n', '*/*']) {
      const { get, path } = await setup(t, ALPHABET, type)
      const answer = await get(path)
      assert.equal(answer.headers.get('content-type'), 'application/octet-stream', type)
      assert.equal(answer.headers.get('set-cookie'), null)
      await answer.text()
    }
  })

  test('an empty blob is empty', async (t) => {
    const { get, path } = await setup(t, new Uint8Array(0))
    for (const range of ['bytes=0-', 'bytes=-1', '']) {
      const answer = await get(path, { headers: { range } })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('content-length'), '0')
      assert.equal((await bytesOf(answer)).length, 0)
    }
  })

  test("what is not there, another account's too, is BlobNotFound", async (t) => {
    const { host, get, account, cid } = await setup(t)
    const other = host.add('bob')
    const absent = cidToString(cidOf(CODEC_RAW, utf8('absent')))
    const record = cidToString(account.repo.head?.commit ?? new Uint8Array())
    for (const [did, wanted] of [
      [other.did, cid],
      [account.did, absent],
      [account.did, record],
      [account.did, `bafkrei${'a'.repeat(51)}b`],
    ]) {
      const answer = await get(syncPath('getBlob', { did: did ?? '', cid: wanted ?? '' }))
      assert.deepEqual(await errorOf(answer), [400, 'BlobNotFound'], wanted)
    }
  })

  test('one that is deleted before its first byte is BlobNotFound, a failure is 500', async (t) => {
    const { host, get, account, path, cid } = await setup(t)
    host.beforePiece = failDisk
    assert.deepEqual(await errorOf(await get(path)), [500, 'InternalServerError'])
    host.beforePiece = () => {
      account.blobs.delete(cid)
      failDisk()
    }
    assert.deepEqual(await errorOf(await get(path)), [400, 'BlobNotFound'])
    assert.equal(host.blobsOpen, 0)
  })
})

describe('ranges', () => {
  test('one range is 206 with exactly its bytes', async (t) => {
    const { host, get, path } = await setup(t)
    host.pieceBytes = 4
    for (const [range, expected, shown] of [
      ['bytes=0-0', 'a', '0-0'],
      ['bytes=0-2', 'abc', '0-2'],
      ['bytes=3-9', 'defghij', '3-9'],
      ['bytes=25-', 'z', '25-25'],
      ['bytes=20-1000', 'uvwxyz', '20-25'],
      ['bytes=-2', 'yz', '24-25'],
      ['bytes=-1000', 'abcdefghijklmnopqrstuvwxyz', '0-25'],
    ] as const) {
      const answer = await get(path, { headers: { range } })
      assert.equal(answer.status, 206, range)
      assert.equal(answer.headers.get('content-range'), `bytes ${shown}/26`)
      assert.equal(answer.headers.get('content-length'), String(expected.length))
      assert.equal(answer.headers.get('content-type'), 'text/plain')
      assert.equal(await answer.text(), expected)
    }
  })

  test('one beyond the end is 416 and names the size', async (t) => {
    const { get, path } = await setup(t)
    for (const range of ['bytes=26-', 'bytes=26-30', 'bytes=-0']) {
      const answer = await get(path, { headers: { range } })
      assert.equal(answer.headers.get('content-range'), 'bytes */26')
      assert.deepEqual(await errorOf(answer), [416, 'RangeNotSatisfiable'], range)
    }
  })

  test('several ranges, other units and HEAD get the whole', async (t) => {
    const { get, path } = await setup(t)
    for (const range of ['bytes=0-1,3-4', 'lines=1-2', 'bytes=5-4', 'bytes=x']) {
      const answer = await get(path, { headers: { range } })
      assert.equal(answer.status, 200, range)
      assert.deepEqual(await bytesOf(answer), ALPHABET)
    }
    const head = await get(path, { method: 'HEAD', headers: { range: 'bytes=0-1' } })
    assert.equal(head.status, 200)
    assert.equal(head.headers.get('content-length'), '26')
  })

  test('parts put together are the blob', async (t) => {
    const bytes = new Uint8Array(300_000).map((_, i) => i * 7 + (i >> 8))
    const { get, path } = await setup(t, bytes, 'video/mp4')
    const parts: Uint8Array[] = []
    for (let at = 0; at < bytes.length; at += 70_001) {
      const answer = await get(path, { headers: { range: `bytes=${at}-${at + 70_000}` } })
      parts.push(await bytesOf(answer))
    }
    assert.deepEqual(concatBytes(parts), bytes)
  })
})

describe('entity tags', () => {
  test('a known one is 304 without a body', async (t) => {
    const { host, get, path, cid } = await setup(t)
    for (const known of [`"${cid}"`, `W/"${cid}"`, `"x", "${cid}"`, '*']) {
      const headers = { 'if-none-match': known, range: 'bytes=0-1' }
      const answer = await get(path, { headers })
      assert.equal(answer.status, 304, known)
      assert.equal(answer.headers.get('etag'), `"${cid}"`)
      assert.equal((await answer.arrayBuffer()).byteLength, 0)
    }
    assert.equal(host.pieces, 0)
    assert.equal((await get(path, { headers: { 'if-none-match': '"x"' } })).status, 200)
  })

  test('a copy may not be used once the account is not served', async (t) => {
    const { get, account, path, cid } = await setup(t)
    account.status = 'takendown'
    const answer = await get(path, { headers: { 'if-none-match': `"${cid}"` } })
    assert.deepEqual(await errorOf(answer), [400, 'RepoTakendown'])
  })

  test('If-Range lets the part through for the very tag only', async (t) => {
    const { get, path, cid } = await setup(t)
    for (const [tag, status] of [
      [`"${cid}"`, 206],
      [`W/"${cid}"`, 200],
      ['"x"', 200],
      ['Sat, 21 Nov 2026 00:00:00 GMT', 200],
    ] as const) {
      const answer = await get(path, { headers: { range: 'bytes=0-1', 'if-range': tag } })
      assert.equal(answer.status, status, tag)
      await answer.text()
    }
  })
})

describe('what goes wrong on the way', () => {
  test('a blob that ends early or late ends its connection', async (t) => {
    const { host, get, ended, account, path, cid } = await setup(t, new Uint8Array(500_000))
    for (const wrong of [499_999, 500_001]) {
      const read = host.blob.bind(host)
      const stored = account.blobs.get(cid)
      assert(stored)
      host.blob = (did, wanted) => {
        const blob = read(did, wanted)
        stored.bytes = new Uint8Array(wrong)
        return blob && { ...blob, size: 500_000, read: () => blob.read(0, wrong) }
      }
      await assert.rejects(get(path).then(bytesOf), String(wrong))
      await eventually(() => (host.blobsOpen === 0 ? true : null), 'the blob is closed')
      assert.equal(ended.at(-1)?.end, 'failed')
      host.blob = read
    }
  })

  test('a blob whose account is taken down on the way is cut', async (t) => {
    const { host, get, ended, account, path } = await setup(t, new Uint8Array(40_000_000))
    const first = await get(path)
    account.status = 'takendown'
    await assert.rejects(first.arrayBuffer())
    assert.equal(ended.at(-1)?.end, 'failed')
    await eventually(() => (host.blobsOpen === 0 ? true : null), 'the blob is closed')
    account.status = 'active'
    host.beforePiece = () => {
      account.status = 'suspended'
    }
    assert.deepEqual(await errorOf(await get(path)), [400, 'RepoSuspended'])
    assert.equal(host.blobsOpen, 0)
  })

  test('a reader that stands still is cut off, and the file is closed', async (t) => {
    const clock = new JumpingClock()
    const server = await startHostServer(t, { clock })
    const { host, port, ended } = server
    const account = host.add('alice')
    const cid = account.upload(new Uint8Array(40_000_000), 'video/mp4')
    silentReader(t, port, syncPath('getBlob', { did: account.did, cid }))
    const isOver = eventually(() => ended[0] ?? null, 'the end of the body')
    const { end } = await clock.jumpUntil(isOver, 5_000)
    assert.equal(end, 'slow')
    await eventually(() => (host.blobsOpen === 0 ? true : null), 'the blob is closed')
  })
})
