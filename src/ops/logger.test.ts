import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { SkeinError } from '../lib/errors.ts'
import { createLogger, type Logger, type LoggerOptions, silentLogger } from './logger.ts'

function capture(options: Partial<LoggerOptions> = {}): { logger: Logger; lines: string[] } {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  return { logger: createLogger({ level: 'info', format: 'json', write, ...options }), lines }
}

describe('createLogger', () => {
  test('writes one JSON object a line', () => {
    const { logger, lines } = capture()
    logger.child({ host: 'a.test' }).info('host: connected', { seq: 7 })
    const line: unknown = JSON.parse(lines[0] ?? '')
    assert(typeof line === 'object' && line !== null && 'time' in line)
    const { time, ...rest } = line
    assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
    assert.deepEqual(rest, { level: 'info', host: 'a.test', seq: 7, msg: 'host: connected' })
    assert(lines[0]?.endsWith('\n'))
  })

  test('lines below the level are not written', () => {
    const { logger, lines } = capture({ level: 'warn' })
    for (const level of ['info', 'debug', 'trace'] as const) {
      logger[level]('x')
      assert.equal(logger.enabled(level), false)
    }
    for (const level of ['warn', 'error', 'fatal'] as const) logger[level]('x')
    assert.equal(lines.length, 3)
    silentLogger.fatal('x')
    assert.equal(silentLogger.enabled('fatal'), false)
  })

  test('secrets are hidden at the top and one level down', () => {
    const { logger, lines } = capture()
    logger.info('x', {
      authorization: 's3cret',
      headers: { authorization: 's3cret', cookie: 's3cret' },
    })
    assert.doesNotMatch(lines.join(''), /s3cret/)
    assert.match(lines.join(''), /\(hidden\)/)
  })

  test('errors keep their message, code and stack', () => {
    const { logger, lines } = capture()
    logger.error('x', { error: new SkeinError('LOG_DAMAGED', 'log: cut') })
    const { error } = JSON.parse(lines[0] ?? '')
    assert.equal(error.code, 'LOG_DAMAGED')
    assert.equal(error.message, 'log: cut')
    assert.match(error.stack, /logger\.test/)
    logger.error('y', { error: 'a text was thrown' })
    assert.equal(JSON.parse(lines[1] ?? '').error.message, 'a text was thrown')
  })

  test('text lines stay on one line whatever is quoted', () => {
    const { logger, lines } = capture({ format: 'text' })
    logger.info('host: \u001B[2Jgone\nfake', { name: 'a\r\nb\u202E', host: 'a.test', n: 1 })
    const text = lines.join('')
    assert.match(text, /^\d\d:\d\d:\d\d\.\d{3} INFO {2}host: /)
    assert.match(text, / host=a\.test n=1\n$/)
    assert.doesNotMatch(text.slice(0, -1), /[\p{Cc}\p{Cf}]/u)
  })
})
