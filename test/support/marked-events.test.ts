import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsOf } from './marked-events.ts'
import type { ReceivedFrame } from './relay-client.ts'

const frame = (seq: number, mark: number, did = 'did:plc:a'): ReceivedFrame => ({
  seq,
  type: '#account',
  bytes: new Uint8Array(),
  body: { did, mark },
})

test('what is lost, repeated or out of order among marked events is found', () => {
  assert.deepEqual(faultsOf([frame(1, 1), frame(2, 2)], 2), [])
  assert.deepEqual(faultsOf([frame(1, 1)], 2), ['mark 2 is lost'])
  assert.deepEqual(faultsOf([frame(1, 1), frame(2, 1)], 1), ['mark 1 at seq 1 and 2'])
  assert.deepEqual(faultsOf([frame(1, 1), frame(3, 2)], 2), ['seq 3 after 1'])
  assert.deepEqual(faultsOf([frame(1, 2), frame(2, 1)], 2), ['mark 1 after 2 of one account'])
  assert.deepEqual(faultsOf([frame(1, 2), frame(2, 1, 'did:plc:b')], 2), [])
})
