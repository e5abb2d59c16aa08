import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  cleanText,
  countOf,
  formatBytes,
  formatDuration,
  jsonText,
  Output,
  tableLines,
} from './output.ts'
import { EXIT } from '../io.ts'
import { captureIo } from '../testing/captured-io.ts'
import { reportError } from './report-error.ts'

test('nothing from the network reaches a terminal as a command', () => {
  const hostile = 'a\u001b[31mb\u009b2Jc\u0007\r\nd\u202ee\u2066f\u200b\u007f\tg'
  assert.equal(
    cleanText(hostile),
    'a\\x1b[31mb\\x9b2Jc\\x07\\x0d\\x0ad\\u202ee\\u2066f\\u200b\\x7f g',
  )
  const json = jsonText({ hostile }, 2)
  assert.deepEqual(JSON.parse(json), { hostile })
  // oxlint-disable-next-line no-control-regex -- these are what must not be there
  assert.doesNotMatch(json.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f\u200b\u202e\u2066]/)
})

test('names of facts and stacks of errors are harmless too', async () => {
  const captured = captureIo()
  await new Output(captured.io, 'text').facts([
    ['a\u001b[2J', 'b\u009b'],
    ['left out\u0007', null],
  ])
  assert.equal(captured.out(), 'a\\x1b[2J  b\\x9b\n')
  const cause = new Error('below\u202e')
  const exit = reportError(captured.io, new Error('above\u001b]0;x\u0007', { cause }), 'stack')
  assert.equal(exit, EXIT.failure)
  assert.match(captured.err(), /above\\x1b\]0;x\\x07\n +at .*\n/)
  assert.match(captured.err(), /caused by: Error: below\\u202e\n/)
  // oxlint-disable-next-line no-control-regex -- these are what must not be there
  assert.doesNotMatch(captured.err(), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
})

test('amounts as people read them', () => {
  const bytes = [0, 999, 1_000, 9_994, 12_345, 999_499, 999_500, 4.2e9, 5e15].map(formatBytes)
  assert.deepEqual(bytes, [
    '0 B',
    '999 B',
    '1.00 kB',
    '9.99 kB',
    '12.3 kB',
    '999 kB',
    '1.00 MB',
    '4.20 GB',
    '5000 TB',
  ])
  const times = [0, 850, 4_200, 60_000, 200_000, 7_500_000, 273_600_000, -1_000].map(formatDuration)
  assert.deepEqual(times, [
    '0 ms',
    '850 ms',
    '4.2 s',
    '1 m',
    '3 m 20 s',
    '2 h 5 m',
    '3 d 4 h',
    '-1.0 s',
  ])
  assert.equal(countOf(1, 'record'), '1 record')
  assert.equal(countOf(1_234, 'record'), '1,234 records')
})

test('columns are as wide as they must be, and cells are harmless', () => {
  const columns = [{ title: 'n', align: 'right' }, { title: 'name' }] as const
  assert.deepEqual(
    tableLines(columns, [
      ['1', 'a\u001b'],
      ['100', 'b'],
    ]),
    ['  n  name', '  1  a\\x1b', '100  b'],
  )
})

function coloured(environment: Record<string, string>, stdoutIsTerminal: boolean): boolean {
  const { io } = captureIo({ environment, stdoutIsTerminal })
  return new Output(io, 'text').style('red', 'x') !== 'x'
}

test('colours are for terminals, and NO_COLOR is heard', () => {
  assert.equal(coloured({}, true), true)
  assert.equal(coloured({}, false), false)
  assert.equal(coloured({ NO_COLOR: '1' }, true), false)
  assert.equal(coloured({ TERM: 'dumb' }, true), false)
})
