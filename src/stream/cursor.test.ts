import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cursorParameters, resolveCursor, type CursorStart } from './cursor.ts'

const FULL = { firstSeq: 1, publishedSeq: 500 }
const TRIMMED = { firstSeq: 101, publishedSeq: 500 }
const EMPTY = { firstSeq: 1, publishedSeq: 0 }
const DRAINED = { firstSeq: 501, publishedSeq: 500 }

const live = (afterSeq: number): CursorStart => ({ kind: 'live', afterSeq })
const replay = (afterSeq: number, outdated = false): CursorStart => ({
  kind: 'replay',
  afterSeq,
  outdated,
})

describe('resolveCursor', () => {
  const cases: [string, string[], typeof FULL, CursorStart][] = [
    ['none', [], FULL, live(500)],
    ['empty', [''], FULL, live(500)],
    ['none, empty log', [], EMPTY, live(0)],
    ['inside is exclusive', ['28'], FULL, replay(28)],
    ['one before the newest', ['499'], FULL, replay(499)],
    ['the newest', ['500'], FULL, replay(500)],
    ['0, nothing dropped', ['0'], FULL, replay(0)],
    ['0, some dropped', ['0'], TRIMMED, replay(100, true)],
    ['negative', ['-1'], FULL, replay(0)],
    ['negative, some dropped', ['-7'], TRIMMED, replay(100, true)],
    ['minus zero', ['-0'], FULL, replay(0)],
    ['leading zeros', ['007'], FULL, replay(7)],
    ['before the window', ['99'], TRIMMED, replay(100, true)],
    ['right before the window: nothing is missing', ['100'], TRIMMED, replay(100)],
    ['first of the window', ['101'], TRIMMED, replay(101)],
    ['0, empty log', ['0'], EMPTY, replay(0)],
    ['old, everything dropped', ['400'], DRAINED, replay(500, true)],
    ['newest, everything dropped', ['500'], DRAINED, replay(500)],
    ['lowest', ['-9007199254740991'], FULL, replay(0)],
  ]
  for (const [name, values, window, expected] of cases) {
    test(name, () => assert.deepEqual(resolveCursor(values, window), expected))
  }

  for (const [value, window] of [
    ['501', FULL],
    ['100000', FULL],
    ['1', EMPTY],
    ['9007199254740991', FULL],
  ] as const) {
    test(`future: ${value}`, () => {
      const start = resolveCursor([value], window)
      assert.ok(start.kind === 'refused')
      assert.equal(start.error, 'FutureCursor')
    })
  }

  for (const values of [
    ...['abc', '1.5', '1e3', '0x10', ' 5', '5 ', '+5', '--5', '-', 'NaN', '٣', '5\n'].map((v) => [
      v,
    ]),
    ['9007199254740992'],
    ['-9007199254740992'],
    ['9'.repeat(31)],
    ['0'.repeat(33)],
    ['5', '5'],
    ['', '5'],
  ]) {
    test(`invalid: ${JSON.stringify(values)}`, () => {
      const start = resolveCursor(values, FULL)
      assert.ok(start.kind === 'refused')
      assert.equal(start.error, 'InvalidRequest')
    })
  }
})

test('cursorParameters reads the query of any request target', () => {
  const path = '/xrpc/com.atproto.sync.subscribeRepos'
  assert.deepEqual(cursorParameters(path), [])
  assert.deepEqual(cursorParameters(`${path}?`), [])
  assert.deepEqual(cursorParameters(`${path}?x=1`), [])
  assert.deepEqual(cursorParameters(`${path}?cursor`), [''])
  assert.deepEqual(cursorParameters(`${path}?cursor=5&x=2`), ['5'])
  assert.deepEqual(cursorParameters(`${path}?cursor=5&cursor=6`), ['5', '6'])
  assert.deepEqual(cursorParameters(`${path}?cursor=%2D1`), ['-1'])
  assert.deepEqual(cursorParameters(`//?cursor=%zz&%`), ['%zz'])
})
