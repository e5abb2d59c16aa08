/** Events that break a rule about frames, or about the fields of their bodies. */
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { concatBytes } from '../lib/bytes.ts'
import { tidOf } from '../syntax/tid.ts'
import { type BadEventCase, type BadEventContext, cases } from './bad-event.ts'
import { deepCbor, forge } from './hostile-commit.ts'
import { accountBody, frameOf, identityBody } from './messages.ts'

const commitFrame = (body: object): Uint8Array => frameOf({ op: 1, t: '#commit' }, body)
const framed = ({ good, seq }: BadEventContext): Uint8Array => commitFrame({ ...good, seq })
const message = (type: string, { seq }: BadEventContext, body: object): Uint8Array =>
  frameOf({ op: 1, t: type }, { ...body, seq })

/** Events that break a rule about frames, or about the fields of their bodies. */
export const FRAMES: readonly BadEventCase[] = [
  ...cases('frame-not-binary', { 'a text message': () => '{"op":1}' }),
  ...cases('frame-malformed', {
    'no bytes': () => new Uint8Array(),
    'half a frame': (c) => framed(c).subarray(0, 500),
    'a header only': (c) => framed(c).subarray(0, 15),
    'bytes after the end': (c) => concatBytes([framed(c), Uint8Array.of(0)]),
    'no map': () => frameOf({ op: 1, t: '#commit' }, [1, 2]),
    'a header without op': () => frameOf({ t: '#commit' }, {}),
    'a header without t': () => frameOf({ op: 1 }, {}),
    '200,000 arrays in one another': () =>
      concatBytes([encodeDrisl({ op: 1, t: '#x' }), deepCbor(200_000)]),
    'a header of 200,000 arrays': () => deepCbor(200_000),
    'a float': () =>
      concatBytes([
        encodeDrisl({ op: 1, t: '#x' }),
        Uint8Array.of(0xa1, 0x61, 0x61, 0xf9, 0x3c, 0),
      ]),
    'text that is not UTF-8': () =>
      concatBytes([encodeDrisl({ op: 1, t: '#x' }), Uint8Array.of(0xa1, 0x61, 0xff, 0)]),
    'a key said twice': () =>
      concatBytes([
        encodeDrisl({ op: 1, t: '#x' }),
        Uint8Array.of(0xa2, 0x61, 0x61, 0, 0x61, 0x61, 0),
      ]),
    'a length of 4 GiB': () =>
      concatBytes([encodeDrisl({ op: 1, t: '#x' }), Uint8Array.of(0x5a, 0xff, 0xff, 0xff, 0xff)]),
  }),
  ...cases('frame-unknown-op', {
    'op 2': () => frameOf({ op: 2, t: '#commit' }, {}),
    'op -2': () => frameOf({ op: -2 }, {}),
  }),
  ...cases('frame-unknown-type', { 'a type of tomorrow': (c) => message('#tomorrow', c, {}) }),
  ...cases('frame-too-large', {
    'no room for a longer seq': (c) => largestFrame(c),
  }),
  ...cases('frame-schema', {
    'a commit without ops': ({ good, seq }) => commitFrame({ ...good, seq, ops: undefined }),
    'seq 0': ({ good }) => commitFrame({ ...good, seq: 0 }),
    'seq as text': ({ good }) => commitFrame({ ...good, seq: '7' }),
    'a JSON link': ({ good, seq }) =>
      commitFrame({ ...good, seq, commit: { $link: good.commit.$link } }),
    'active as text': (c) =>
      message('#account', c, { ...accountBody(c.repo.did, c.nowMs, 'active'), active: 'yes' }),
    'a handle that is none': (c) =>
      message('#identity', c, identityBody(c.repo.did, c.nowMs, 'not a handle')),
    'a body without fields': (c) => message('#sync', c, {}),
  }),
  ...cases('did-invalid', {
    'no DID': ({ good, seq }) => commitFrame({ ...good, seq, repo: 'alice.example.com' }),
    'another method': (c) => message('#identity', c, identityBody('did:example:alice', c.nowMs)),
    'capitals in a did:plc': (c) =>
      message(
        '#account',
        c,
        accountBody(c.repo.did.toUpperCase().replace('DID:PLC', 'did:plc'), c.nowMs, 'active'),
      ),
  }),
  ...cases('rev-invalid', {
    'rev is no TID': ({ good, seq }) => commitFrame({ ...good, seq, rev: 'yesterday' }),
    'since is no TID': ({ good, seq }) => commitFrame({ ...good, seq, since: '1' }),
    'rev of a sync': (c) => message('#sync', c, { ...c.repo.sync(), rev: 'zzzzzzzzzzzzz' }),
  }),
  ...cases('time-invalid', {
    'no time': ({ good, seq }) => commitFrame({ ...good, seq, time: 'noon' }),
    'a 13th month': (c) =>
      message('#account', c, {
        ...accountBody(c.repo.did, c.nowMs, 'active'),
        time: '2026-13-01T00:00:00Z',
      }),
  }),
  ...cases('status-invalid', {
    'a status of 129 bytes': (c) =>
      message('#account', c, accountBody(c.repo.did, c.nowMs, 'x'.repeat(129))),
  }),
  ...cases('blocks-too-large', {
    'a commit over 2,000,000 bytes': ({ good, seq }) =>
      commitFrame({ ...good, seq, blocks: new Uint8Array(2_000_001) }),
    'a sync over 10,000 bytes': (c) =>
      message('#sync', c, { ...c.repo.sync(), blocks: new Uint8Array(10_001) }),
  }),
  ...cases('ops-too-many', {
    '201 operations': ({ good }) => ({
      ...good,
      ops: Array.from({ length: 201 }, () => must(good.ops[0], 'op')),
    }),
  }),
  ...cases('rev-future', {
    'ten minutes ahead, signed': ({ repo, good, nowMs }) =>
      forge(repo, good, { rev: tidOf(Math.floor(nowMs + 600_000) * 1_000, 3) }),
  }),
]

/** An `#account` frame of exactly 5,000,000 bytes with a short seq. */
function largestFrame({ repo, seq, nowMs }: BadEventContext): Uint8Array {
  const frame = (bytes: number): Uint8Array =>
    frameOf(
      { op: 1, t: '#account' },
      { ...accountBody(repo.did, nowMs, 'active'), seq, pad: new Uint8Array(bytes) },
    )
  const overhead = frame(100_000).length - 100_000
  return frame(5_000_000 - overhead)
}
