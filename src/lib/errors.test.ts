import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from './errors.ts'

test('anything that is thrown has a message', () => {
  const silent = new Error('never seen')
  Object.defineProperty(silent, 'message', {
    get() {
      throw new Error('no')
    },
  })
  const numbered = Object.assign(new Error('text'), { message: 5 })
  const cases: readonly (readonly [unknown, string])[] = [
    [new Error('text'), 'text'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Symbol('x'), 'Symbol(x)'],
    [numbered, '5'],
    [Object.create(null), 'thrown without a message'],
    [{ toString: () => ({}) }, 'thrown without a message'],
    [silent, 'thrown without a message'],
  ]
  for (const [thrown, message] of cases) assert.equal(messageOf(thrown), message)
})
