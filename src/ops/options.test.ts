import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import * as fc from 'fast-check'

import { SkeinError } from '../lib/errors.ts'
import { optionHelp, optionsMarkdown, optionUsage } from './option-docs.ts'
import { environmentNameOf, flagOf, type OptionTable } from './option-table.ts'
import {
  formatListenAddress,
  parseBytes,
  parseDuration,
  parseListenAddress,
} from './option-values.ts'
import { checkEnvironment, nearest, parseOptions } from './options.ts'

const base = { group: 'G', help: 'Help.' } as const
const TABLE = {
  name: { ...base, kind: 'string', default: 'x' },
  count: { ...base, kind: 'integer', default: '5', min: 1, max: 10 },
  size: { ...base, kind: 'bytes', default: '1KiB', min: '1KiB', max: '2GiB' },
  keepFor: { ...base, kind: 'duration', default: '72h', min: '1m', max: '30d' },
  quick: { ...base, kind: 'boolean', default: 'false' },
  slow: { ...base, kind: 'boolean', default: 'true' },
  from: { ...base, kind: 'choice', default: 'a', values: ['a', 'b'] },
  bind: { ...base, kind: 'address', default: '127.0.0.1:1', off: false },
  other: { ...base, kind: 'address', default: 'off', off: true },
  hosts: { ...base, kind: 'list', item: 'host', default: '', flag: 'host' },
  urls: { ...base, kind: 'list', item: 'url', default: '' },
  nets: { ...base, kind: 'list', item: 'network', default: '' },
  set: { ...base, kind: 'settings', default: '', names: ['p', 'q'], values: ['on', 'off'] },
  key: { ...base, kind: 'string', default: 'k', secret: true },
} as const satisfies OptionTable

function refusal(run: () => unknown): SkeinError {
  try {
    run()
  } catch (error) {
    assert(error instanceof SkeinError)
    return error
  }
  throw new Error('nothing was thrown')
}

describe('parseOptions', () => {
  test('defaults are parsed by the same rules', () => {
    const values = parseOptions(TABLE)
    assert.equal(values.size, 1_024)
    assert.equal(values.keepFor, 259_200_000)
    assert.deepEqual(values.bind, { host: '127.0.0.1', port: 1 })
    assert.equal(values.other, null)
    assert.deepEqual(values.hosts, [])
    assert.equal(values.quick, false)
    assert.equal(values.slow, true)
  })

  test('a flag wins over the environment, which wins over the default', () => {
    const environment = { SKEIN_COUNT: '7', SKEIN_KEEP_FOR: '2h', SKEIN_NAME: '' }
    const values = parseOptions(TABLE, { flags: { count: '8' }, environment })
    assert.equal(values.count, 8)
    assert.equal(values.keepFor, 7_200_000)
    assert.equal(values.name, 'x', 'an empty variable counts as not set')
  })

  const good: [keyof typeof TABLE, string, unknown][] = [
    ['count', '10', 10],
    ['size', '512MiB', 512 * 2 ** 20],
    ['size', '2GB', 2e9],
    ['size', '4096', 4_096],
    ['size', '1.5kib', 1_536],
    ['keepFor', '90s', 90_000],
    ['keepFor', '1.5h', 5_400_000],
    ['keepFor', '30d', 2_592_000_000],
    ['quick', 'yes', true],
    ['quick', '1', true],
    ['slow', 'OFF', false],
    ['from', 'b', 'b'],
    ['bind', '[::1]:2470', { host: '::1', port: 2470 }],
    ['bind', 'LocalHost:0', { host: 'localhost', port: 0 }],
    ['other', '0.0.0.0:65535', { host: '0.0.0.0', port: 65_535 }],
    ['hosts', 'A.test, b.test:8080,a.test', ['a.test', 'b.test:8080']],
    ['hosts', 'http://localhost:2583/', ['http://localhost:2583']],
    ['urls', 'https://plc.directory/,http://127.0.0.1:2582/x/', null],
    ['nets', '10.0.0.0/8,::1,192.0.2.7', ['10.0.0.0/8', '::1/128', '192.0.2.7/32']],
    ['set', 'p=on,q=off', { p: 'on', q: 'off' }],
  ]
  for (const [key, text, expected] of good) {
    test(`${key} takes ${text}`, () => {
      const flag = parseOptions(TABLE, { flags: { [key]: text } })[key]
      const name = environmentNameOf(key, TABLE[key])
      assert.deepEqual(parseOptions(TABLE, { environment: { [name]: text } })[key], flag)
      if (expected === null) {
        assert.deepEqual(flag, ['https://plc.directory', 'http://127.0.0.1:2582/x'])
      } else assert.deepEqual(flag, expected)
    })
  }

  const bad: [keyof typeof TABLE, string][] = [
    ['name', ''],
    ['count', '0'],
    ['count', '11'],
    ['count', '-1'],
    ['count', '5.0'],
    ['count', '5e0'],
    ['count', '0x5'],
    ['count', ' 5'],
    ['count', ''],
    ['size', '1023'],
    ['size', '3GiB'],
    ['size', '5 apples'],
    ['size', '1e3'],
    ['size', '999999999999999TiB'],
    ['keepFor', '72'],
    ['keepFor', '59s'],
    ['keepFor', '31d'],
    ['keepFor', '1h30m'],
    ['keepFor', '-1h'],
    ['quick', 'maybe'],
    ['from', 'c'],
    ['bind', 'off'],
    ['bind', '2470'],
    ['bind', ':2470'],
    ['bind', '127.0.0.1'],
    ['bind', '127.0.0.1:65536'],
    ['bind', '[::zz]:1'],
    ['bind', '::1:2470'],
    ['hosts', 'ftp://a.test'],
    ['hosts', 'https://a.test/path'],
    ['hosts', 'a.test?x=1'],
    ['hosts', 'user@a.test'],
    ['hosts', 'a b.test'],
    ['urls', 'plc.directory'],
    ['urls', 'https://u:p@plc.directory'],
    ['nets', '10.0.0.0/33'],
    ['nets', '10/8'],
    ['nets', 'a.test'],
    ['set', 'p'],
    ['set', 'p=maybe'],
    ['set', 'constructor=on'],
    ['set', 'p=on=off'],
  ]
  for (const [key, text] of bad) {
    test(`${key} refuses ${JSON.stringify(text)}`, () => {
      const error = refusal(() => parseOptions(TABLE, { flags: { [key]: text } }))
      assert.equal(error.code, 'OPTION_INVALID')
      assert.equal(error.fields['option'], `--${flagOf(key, TABLE[key])}`)
      assert.notEqual(error.fields['allowed'], '')
    })
  }

  test('a repeated flag is a list', () => {
    const flags = { hosts: ['a.test', 'b.test,c.test'], set: ['p=on', 'p=off'] }
    const values = parseOptions(TABLE, { flags })
    assert.deepEqual(values.hosts, ['a.test', 'b.test', 'c.test'])
    assert.deepEqual(values.set, { p: 'off' })
  })

  test('the environment is named when it holds the wrong value', () => {
    const environment = { SKEIN_HOST: 'x y' }
    const error = refusal(() => parseOptions(TABLE, { environment }))
    assert.match(error.message, /SKEIN_HOST/)
  })

  test('secrets, credentials and long values do not reach the error', () => {
    const hidden = refusal(() => parseOptions(TABLE, { flags: { key: '\0hunter2' } }))
    assert.doesNotMatch(hidden.message, /hunter2/)
    const url = refusal(() => parseOptions(TABLE, { flags: { urls: 'https://me:hunter2@a.test' } }))
    assert.doesNotMatch(url.message, /hunter2/)
    const long = refusal(() => parseOptions(TABLE, { flags: { count: '9'.repeat(5_000) } }))
    assert(long.message.length < 400)
    const lines = refusal(() => parseOptions(TABLE, { flags: { count: '1\n2' } }))
    assert(!lines.message.includes('\n'))
  })

  test('a flag that the table lacks is refused', () => {
    const error = refusal(() => parseOptions(TABLE, { flags: { nope: '1' } }))
    assert.equal(error.code, 'OPTION_UNKNOWN')
  })
})

describe('checkEnvironment', () => {
  test('a misspelt variable is refused with the nearest name', () => {
    const error = refusal(() => checkEnvironment([TABLE], { SKEIN_KEPE_FOR: '1h' }))
    assert.equal(error.code, 'OPTION_UNKNOWN')
    assert.equal(error.fields['nearest'], 'SKEIN_KEEP_FOR')
  })

  test('one that resembles nothing is refused without a guess', () => {
    const error = refusal(() => checkEnvironment([TABLE], { SKEIN_ZZZZZZZZZZZZZZZZZ: '' }))
    assert.equal(error.code, 'OPTION_UNKNOWN')
    assert.deepEqual(error.fields, {})
  })

  test('known variables and those of others pass', () => {
    checkEnvironment([TABLE], { SKEIN_HOST: 'a', PATH: '/bin', skein_x: '1', OTHER: '1' })
  })

  test('nearest prefers the fewest edits', () => {
    assert.equal(nearest('hots', ['hops', 'hosts', 'ghosts']), 'hops')
    assert.equal(nearest('a'.repeat(10_000), ['a']), null)
  })
})

describe('value texts', () => {
  test('durations and sizes survive their units', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), (n) => {
        assert.equal(parseDuration(`${n}ms`), n)
        assert.equal(parseDuration(`${n}s`), n * 1_000)
        assert.equal(parseDuration(`${n}w`), n * 604_800_000)
        assert.equal(parseBytes(`${n}`), n)
        assert.equal(parseBytes(`${n}KiB`), n * 1_024)
      }),
    )
  })

  test('no text makes a parser throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseDuration(text)
        parseBytes(text)
        const address = parseListenAddress(text)
        if (address !== null) assert(address.port <= 65_535)
      }),
    )
    assert.equal(parseBytes('1constructor'), null)
    assert.equal(parseDuration('1valueOf'), null)
  })

  test('listen addresses are written as they are read', () => {
    for (const text of ['127.0.0.1:2470', '[::1]:0', 'localhost:80']) {
      const address = parseListenAddress(text)
      assert(address !== null)
      assert.equal(formatListenAddress(address), text)
    }
  })
})

describe('documentation', () => {
  test('names every option, its variable and its default', () => {
    const page = optionsMarkdown('Options', TABLE)
    for (const [key, spec] of Object.entries(TABLE)) {
      assert(page.includes(optionUsage(key, spec)), key)
      assert(page.includes(environmentNameOf(key, spec)), key)
      assert(optionHelp(key, spec).includes('env SKEIN_'), key)
    }
    assert(page.includes('`72h`'))
    assert(page.includes('--no-slow'))
    assert(page.endsWith('\n') && !page.endsWith('\n\n'))
  })
})
