import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { CODEC_DAG_CBOR, cidOf } from '../data/cid.ts'
import { utf8 } from '../lib/bytes.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import { wrapFrame } from '../stream/wire-frame.ts'
import { commitFrame } from './host-frames.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const commit = cidOf(CODEC_DAG_CBOR, utf8('commit'))
const prevData = cidOf(CODEC_DAG_CBOR, utf8('data'))
const ops = [
  { action: 'create', path: 'org.example.note/1', cid: new CidLinkWrapper(commit) },
  { action: 'delete', path: 'org.example.note/2', cid: null, prev: new CidLinkWrapper(prevData) },
]

test('a commit frame is what encoding its body as one map gives', () => {
  // Sizes around those at which the length of a byte string, or of the frame, takes more bytes.
  for (const size of [0, 23, 24, 255, 256, 60_000, 65_535, 65_536, 200_000]) {
    for (const prev of [null, prevData]) {
      const car = new Uint8Array(size).fill(7)
      const contents = { did, rev: '3jqfcqzm3fo2j', since: null, commit, ops, car, time: 'now' }
      const whole = encodeMessageFrame('#commit', {
        seq: 12_345,
        repo: did,
        commit: new CidLinkWrapper(commit),
        rev: '3jqfcqzm3fo2j',
        since: null,
        blocks: new BytesWrapper(car),
        ops,
        blobs: [],
        ...(prev === null ? {} : { prevData: new CidLinkWrapper(prev) }),
        time: 'now',
        rebase: false,
        tooBig: false,
      })
      const frame = commitFrame({ ...contents, prevData: prev }, 12_345)
      assert.equal(Buffer.compare(frame, wrapFrame(whole)), 0, `${size} bytes`)
    }
  }
})
