import assert from 'node:assert/strict'
import { test } from 'node:test'

import { generatedPages, stalePages } from '../scripts/generate-docs.ts'
import { ERROR_CODES } from '../src/lib/errors.ts'
import { REASONS } from '../src/lib/reasons.ts'
import { RELAY_OPTIONS } from '../src/ops/relay-options.ts'
import { ADJUSTABLE_CHECKS } from '../src/repo/checks.ts'

test('the generated pages are what the source says (npm run docs)', () => {
  assert.deepEqual(stalePages(), [])
})

test('no entry is left out', () => {
  const pages = generatedPages()
  for (const reason of Object.keys(REASONS))
    assert(pages.get('reasons.md')?.includes(reason), reason)
  for (const code of Object.keys(ERROR_CODES)) assert(pages.get('errors.md')?.includes(code), code)
  assert.match(pages.get('limits.md') ?? '', /`FRAME_BYTES_MAX` \| 5,000,000 \| Largest WebSocket/)
  for (const page of pages.values()) assert(page.endsWith('\n') && !page.endsWith('\n\n'))
})

test('the checks that can be loosened by option are those that can be loosened', () => {
  assert.deepEqual([...RELAY_OPTIONS.checks.names].sort(), [...ADJUSTABLE_CHECKS].sort())
})
