import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SubscriberClose } from '../../stream/subscriber.ts'
import { judgeClose, mayBeOneMessage } from './close-kind.ts'
import type { CloseKind } from './source-types.ts'

function close(parts: Partial<SubscriberClose>): SubscriberClose {
  return {
    code: 1006,
    reason: '',
    httpStatus: null,
    retryAfterMs: null,
    hadProgress: false,
    cause: null,
    ...parts,
  }
}

const kindOf = (parts: Partial<SubscriberClose>, errorFrame: string | null = null): CloseKind =>
  judgeClose(close(parts), errorFrame, 0).kind

const detailOf = (parts: Partial<SubscriberClose>, errorFrame: string | null = null): string =>
  judgeClose(close(parts), errorFrame, 0).detail

describe('what an end means', () => {
  const codes: readonly [number, CloseKind][] = [
    [1000, 'ended'],
    [1001, 'ended'],
    [1002, 'failed'],
    [1003, 'failed'],
    [1005, 'lost'],
    [1006, 'lost'],
    [1007, 'failed'],
    [1008, 'refused'],
    [1009, 'failed'],
    [1010, 'refused'],
    [1011, 'failed'],
    [1012, 'ended'],
    [1013, 'overloaded'],
    [1014, 'lost'],
    [1015, 'refused'],
    [1999, 'failed'],
    [3000, 'refused'],
    [4000, 'refused'],
    [4999, 'refused'],
  ]
  for (const [code, kind] of codes) {
    test(`close code ${code}: ${kind}`, () => assert.equal(kindOf({ code }), kind))
  }

  const statuses: readonly [number, CloseKind][] = [
    [200, 'refused'],
    [301, 'refused'],
    [302, 'refused'],
    [307, 'refused'],
    [400, 'refused'],
    [401, 'refused'],
    [403, 'refused'],
    [404, 'refused'],
    [405, 'refused'],
    [408, 'lost'],
    [410, 'refused'],
    [425, 'lost'],
    [426, 'refused'],
    [429, 'overloaded'],
    [500, 'failed'],
    [501, 'refused'],
    [502, 'lost'],
    [503, 'overloaded'],
    [504, 'lost'],
    [520, 'failed'],
  ]
  for (const [httpStatus, kind] of statuses) {
    test(`HTTP ${httpStatus}: ${kind}`, () => assert.equal(kindOf({ httpStatus }), kind))
  }

  const errors: readonly [string, CloseKind][] = [
    ['FutureCursor', 'ended'],
    ['ConsumerTooSlow', 'ended'],
    ['InvalidRequest', 'refused'],
    ['RateLimitExceeded', 'overloaded'],
    ['InternalServerError', 'failed'],
    ['NeverHeardOf', 'failed'],
  ]
  for (const [error, kind] of errors) {
    test(`error frame ${error}, then 1008: ${kind}`, () => {
      assert.equal(kindOf({ code: 1008 }, error), kind)
    })
  }

  test('an error may stand in the close frame instead', () => {
    assert.equal(kindOf({ code: 1008, reason: 'FutureCursor' }), 'ended')
    assert.equal(kindOf({ code: 1008, reason: 'ConsumerTooSlow' }), 'ended')
    assert.equal(kindOf({ code: 1008, reason: 'because' }), 'refused')
  })

  test('a connection that carried messages was not refused, whatever ended it', () => {
    for (const code of [1008, 1010, 3000, 4999]) {
      assert.equal(kindOf({ code, hadProgress: true }), 'failed')
    }
    assert.equal(kindOf({ code: 1012, hadProgress: true }), 'ended')
    assert.equal(kindOf({ code: 1008, hadProgress: true }, 'InvalidRequest'), 'refused')
  })

  test('a connection that the transport makes anew has not failed', () => {
    assert.equal(kindOf({ code: 1006, renewal: 'unheard' }), 'renewed')
    assert.equal(kindOf({ code: 1006, renewal: 'held-back' }), 'renewed')
  })

  test('what this side found goes before what the service says', () => {
    assert.equal(kindOf({ cause: 'silent', code: 1008 }), 'lost')
    assert.equal(kindOf({ cause: 'connect-timeout' }), 'lost')
    assert.equal(kindOf({ cause: 'frame-too-large', code: 1000 }), 'frame-too-large')
  })
})

test('the detail is short and says what it was', () => {
  assert.equal(detailOf({ code: 1012 }), 'closed 1012')
  assert.equal(detailOf({ code: 4000, reason: 'go away' }), 'closed 4000: go away')
  assert.equal(detailOf({ httpStatus: 404, reason: 'HTTP status 404' }), 'HTTP 404')
  assert.equal(detailOf({ cause: 'silent' }), 'silent')
  assert.equal(detailOf({ code: 1008 }, 'ConsumerTooSlow'), 'ConsumerTooSlow')
})

test('only codes about a message can be the fault of one message', () => {
  const codes = Array.from({ length: 4_000 }, (_, i) => i + 1_000)
  const found = codes.filter((code) => mayBeOneMessage(close({ code })))
  assert.deepEqual(found, [1002, 1003, 1007, 1009])
  assert.equal(mayBeOneMessage(close({ code: 1009, cause: 'frame-too-large' })), false)
  assert.equal(mayBeOneMessage(close({ code: 1002, httpStatus: 400 })), false)
})
