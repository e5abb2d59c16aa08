import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CallError, type CallErrorCode, isCallError } from './call-error.ts'
import { parseRateLimit, parseRetryAfter } from './rate-headers.ts'
import { NO_RETRY, RETRY_POLICY, retryDelayMs } from './retry.ts'

const NOW = Date.UTC(2026, 0, 1)
const TARGET = { nsid: 'com.atproto.sync.getRepo', service: 'https://pds.example' }

test('Retry-After in both forms', () => {
  const parse = (value: string): number | null =>
    parseRetryAfter(new Map([['retry-after', value]]), NOW)
  assert.equal(parse('30'), 30_000)
  assert.equal(parse(' 0 '), 0)
  assert.equal(parse('Thu, 01 Jan 2026 00:01:00 GMT'), 60_000)
  assert.equal(parse('Thu, 01 Jan 2025 00:01:00 GMT'), 0)
  assert.equal(parse('99999999999'), 86_400_000)
  for (const bad of ['', 'soon', '-1', '1.5', '1e3', '2026-01-01', 'Xxx, nonsense']) {
    assert.equal(parse(bad), null, bad)
  }
  assert.equal(parseRetryAfter(new Map(), NOW), null)
})

test('limits that are used up, in every spelling', () => {
  const parse = (headers: Record<string, string>): number | null =>
    parseRateLimit(new Map(Object.entries(headers)), NOW)
  const reset = String(NOW / 1_000 + 90)
  assert.equal(parse({ 'ratelimit-remaining': '0', 'ratelimit-reset': '12' }), 12_000)
  assert.equal(parse({ 'ratelimit-remaining': '0', 'ratelimit-reset': reset }), 90_000)
  assert.equal(parse({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset }), 90_000)
  assert.equal(parse({ ratelimit: 'limit=10, remaining=0, reset=5' }), 5_000)
  assert.equal(parse({ ratelimit: '"default";r=0;t=8' }), 8_000)
  assert.equal(parse({ ratelimit: '"default";r=3;t=8' }), null)
  assert.equal(parse({ 'ratelimit-remaining': '7', 'ratelimit-reset': '12' }), null)
  assert.equal(parse({ 'ratelimit-remaining': '0' }), null)
  assert.equal(parse({ 'ratelimit-remaining': '0', 'ratelimit-reset': 'later' }), null)
  assert.equal(parse({ 'ratelimit-remaining': '-0', 'ratelimit-reset': '1' }), null)
  assert.equal(parse({}), null)
})

const errorWith = (code: CallErrorCode, retryAfterMs: number | null = null): CallError =>
  new CallError(code, TARGET, 'x', { retryAfterMs })

test('only what may pass is tried again, in pauses that grow and are spread', () => {
  const delay = (code: CallErrorCode, attempt: number, random = 0): number | null =>
    retryDelayMs(errorWith(code), attempt, RETRY_POLICY, random)
  assert.deepEqual(
    [1, 2, 3, 4].map((attempt) => delay('ServerError', attempt)),
    [250, 500, 1_000, null],
  )
  assert.equal(delay('Truncated', 1, 0.999), 500)
  for (const code of ['RepoNotFound', 'RepoTakendown', 'InvalidResponse', 'Aborted'] as const) {
    assert.equal(delay(code, 1), null, code)
  }
  const asked = (ms: number): number | null =>
    retryDelayMs(errorWith('RateLimited', ms), 1, RETRY_POLICY, 0)
  assert.equal(asked(3_000), 3_250)
  assert.equal(asked(RETRY_POLICY.retryAfterMsMax + 1), null)
  assert.equal(retryDelayMs(errorWith('Timeout'), 1, NO_RETRY, 0), null)
  const longest = { ...RETRY_POLICY, attemptsMax: 1_000 }
  assert.equal(retryDelayMs(errorWith('Timeout'), 900, longest, 0.5), 7_500)
})

test('the kind of an error says what may be done, and its texts are bounded', () => {
  const kind = (code: CallErrorCode): string => new CallError(code, TARGET, 'x').kind
  assert.equal(kind('RepoDeactivated'), 'terminal')
  assert.equal(kind('BlobNotFound'), 'terminal')
  assert.equal(kind('RateLimited'), 'retryable')
  assert.equal(kind('Unverified'), 'refused')
  assert.equal(kind('NotFound'), 'refused')
  const unresolved = { reason: 'identity-unresolved' } as const
  assert.equal(new CallError('Unverified', TARGET, 'x', unresolved).kind, 'retryable')
  const long = new CallError('OtherError', TARGET, 'm'.repeat(9_999), { error: 'e'.repeat(9_999) })
  assert.equal(long.error?.length, 128)
  assert(long.message.length < 400)
  assert(isCallError(long) && isCallError(long, 'Timeout', 'OtherError'))
  assert(!isCallError(long, 'Timeout') && !isCallError(new Error('x')))
})
