import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Progress, progressLine } from './progress.ts'
import { captureIo } from '../testing/captured-io.ts'

test('a line says how much of how much, how fast, and how long it will take', () => {
  const line = progressLine({
    label: 'alice',
    unit: 'bytes',
    done: 2_500_000,
    total: 10_000_000,
    elapsedMs: 1_000,
    note: '',
  })
  assert.equal(
    line,
    'alice  [######------------------]  25%  2.50 MB of 10.0 MB  2.50 MB/s  3.0 s left',
  )
  const open = {
    label: 'a',
    unit: 'blobs',
    done: 4,
    total: null,
    elapsedMs: 2_000,
    note: '1 failed',
  }
  assert.equal(progressLine(open), 'a  4 blobs  2.0/s  1 failed')
})

test('it is drawn on terminals alone, cleaned, and taken away', () => {
  const piped = captureIo()
  const quiet = new Progress(piped.io, { label: 'x', unit: 'bytes' })
  quiet.add(10)
  quiet.end()
  assert.equal(piped.err(), '')
  quiet.say('bad\u001b[2J')
  assert.equal(piped.err(), 'skein: bad\\x1b[2J\n')

  const terminal = captureIo({ stderrIsTerminal: true })
  const shown = new Progress(terminal.io, { label: 'evil\u001b]0;title\u0007', unit: 'bytes' })
  shown.add(10)
  shown.end()
  assert.equal(terminal.err(), '\r\u001b[2Kevil\\x1b]0;title\\x07  10 B\r\u001b[2K')
  assert.equal(terminal.out(), '')
})
