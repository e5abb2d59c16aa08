/** The comparisons with real hosts find what they are there to find. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { must } from '../../src/lib/assert.ts'
import { streamOf } from '../../src/sim/distributions.ts'
import { compareHosted } from './compare-hosted.ts'
import { compareListRepos } from './compare-hosted-lists.ts'
import type { HostedAccount, StoredBlob, StoredRecord } from './hosted-account.ts'
import { RealMoves } from './real-host-moves.ts'
import { applyWrites, updateHandle } from './real-host-operations.ts'
import { recordOf } from './real-host-writes.ts'
import { RealNetwork } from './real-network.ts'

let network: RealNetwork
let account: HostedAccount
let url: string
const path = 'org.example.note/here'

before(async () => {
  network = await RealNetwork.start(1, 1)
  const moves = new RealMoves(network)
  await moves.create()
  const person = must(network.people[0], 'person')
  await moves.upload(person)
  account = network.account(person)
  url = network.host(0).endpoint
  const [[cid, blob]] = [...account.uploads] as [[string, StoredBlob]]
  const ref = { $type: 'blob', ref: { $link: cid }, mimeType: blob.mimeType, size: 1 }
  const record = recordOf({ ref }, [cid])
  await network.perform(applyWrites(account, [{ action: 'create', path, record }]))
  for (let i = 0; i < 10; i++) await moves.write(person)
  await network.quiet()
})

after(() => network[Symbol.asyncDispose]())

/** What is found while one thing about the model is wrong. */
async function faultsWith(change: () => () => void): Promise<string> {
  const restore = change()
  try {
    return (await compareHosted(url, account, streamOf(1, 'comparison'))).join('\n')
  } finally {
    restore()
  }
}

function written(): StoredRecord {
  return must(account.records.get(path), 'record')
}

test('nothing is wrong when nothing is', async () => {
  assert.equal(await faultsWith(() => () => undefined), '')
  assert.deepEqual(await compareListRepos(url, [account]), [])
})

describe('answers', () => {
  test('a record that is not the one that was written, or is not there', async () => {
    const right = written()
    const restore = (): void => void account.records.set(path, right)
    const other = await faultsWith(() => {
      account.records.set(path, { ...right, cid: recordOf({}).cid })
      return restore
    })
    assert.match(other, /records of getRepo/)
    const more = await faultsWith(() => {
      account.records.delete(path)
      return restore
    })
    assert.match(more, /blocks of getRepo/)
  })

  test('a record that came with another rev', async () => {
    const right = written()
    const faults = await faultsWith(() => {
      account.records.set(path, { ...right, rev: must(account.head, 'head').rev })
      return () => void account.records.set(path, right)
    })
    assert.match(faults, /getRepo since/)
  })

  test('a blob that has other bytes, or that is not there', async () => {
    const [[cid, right]] = [...account.uploads] as [[string, StoredBlob]]
    const restore = (): void => void account.uploads.set(cid, right)
    const other = await faultsWith(() => {
      account.uploads.set(cid, { ...right, bytes: Uint8Array.of(1) })
      return restore
    })
    assert.match(other, /other bytes/)
    const gone = await faultsWith(() => {
      account.uploads.delete(cid)
      return restore
    })
    assert.match(gone, /not BlobNotFound/)
    assert.match(gone, /listBlobs since ever/)
  })

  test('another head, another status', async () => {
    const { head, status } = account
    const faults = await faultsWith(() => {
      account.head = { ...must(head, 'head'), commit: recordOf({}).cid }
      return () => void (account.head = head)
    })
    assert.match(faults, /getLatestCommit/)
    const served = await faultsWith(() => {
      account.status = 'suspended'
      return () => void (account.status = status)
    })
    assert.match(served, /getRepo is "200 undefined", not "400 RepoSuspended"/)
  })
})

test('what was acknowledged and not said, and what was said and never asked for', async () => {
  const host = network.host(0)
  const unsaid = updateHandle(account, 'unsaid.test')
  await network.acknowledge(unsaid, { kind: 'done', value: null })
  await assert.rejects(network.settle(host))
  assert.match(network.faults.splice(0).join(), /was acknowledged and is lost/)
  await network.call(updateHandle(account, 'unasked.test'))
  await assert.rejects(network.settle(host))
  assert.match(network.faults.splice(0).join(), /was never asked for/)
})
