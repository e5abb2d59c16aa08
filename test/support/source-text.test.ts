import assert from 'node:assert/strict'
import { test } from 'node:test'

import { splitText } from './source-text.ts'

const code = (text: string): string => splitText(text).code.replaceAll(/ +/g, ' ').trim()
const uncommented = (text: string): string =>
  splitText(text).uncommented.replaceAll(/ +/g, ' ').trim()

test('comments and strings are told apart', () => {
  assert.equal(code(`a // 'b'\nc /* "d\n" */ e`), 'a \nc \n e')
  assert.equal(code(`a('// no comment') + "/* nor this */"`), 'a( ) +')
  assert.equal(uncommented(`a('// no comment') // a comment`), `a('// no comment')`)
  assert.equal(uncommented(String.raw`'it\'s' // b`), String.raw`'it\'s'`)
})

test('a template holds code in its substitutions', () => {
  assert.equal(code('`a ${b} c ${ {d: `e ${f}`} } g` + h'), '${b} ${ {d: ${f} } } + h')
  assert.equal(code('`// ${a}` // b'), '${a}')
})

test('a regular expression is no comment, and a division no regular expression', () => {
  assert.equal(code(`x = /['"]/.test(y) // z`), 'x = .test(y)')
  assert.equal(code(`x = a / b // c\ny = d / e`), 'x = a / b \ny = d / e')
  assert.equal(code(`return /[/'"]/g`), 'return')
})

test('line breaks stay where they are', () => {
  const text = 'a /* b\nc */ `d\ne` // f\n'
  assert.equal(splitText(text).code.length, text.length)
  assert.deepEqual(splitText(text).code.split('\n').length, text.split('\n').length)
})
