import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isCallError } from './call-error.ts'
import { eachPage, Listing, type Page } from './pages.ts'

const TARGET = { nsid: 'com.atproto.sync.listRepos', service: 'https://pds.example' }
const LIMITS = { pagesMax: 10_000, emptyPagesMax: 5 }

/** A listing over what `next` says, counting how often it is asked. */
function listing(next: (cursor: string | undefined) => Page<number>): {
  readonly list: Listing<number>
  readonly asked: (string | undefined)[]
} {
  const asked: (string | undefined)[] = []
  const fetchPage = (cursor: string | undefined): Promise<Page<number>> => {
    asked.push(cursor)
    return Promise.resolve(next(cursor))
  }
  return { list: new Listing(() => eachPage(TARGET, LIMITS, undefined, fetchPage)), asked }
}

/** How many entries come, and the code that ends them. */
async function run(list: Listing<number>): Promise<readonly [number, string]> {
  let count = 0
  try {
    for await (const item of list) count += item > 0 ? 1 : 0
  } catch (error) {
    assert(isCallError(error))
    return [count, error.code]
  }
  return [count, 'end']
}

test('all pages, each when the one before is used up, and anew for each iteration', async () => {
  const { list, asked } = listing((cursor = '0') =>
    cursor === '3'
      ? { items: [9], cursor: undefined }
      : { items: [1, 2], cursor: `${+cursor + 1}` },
  )
  assert.deepEqual(await run(list), [7, 'end'])
  assert.deepEqual(asked, [undefined, '1', '2', '3'])
  for await (const item of list) {
    assert.equal(item, 1)
    break
  }
  assert.equal(asked.length, 5)
  const cursors: (string | undefined)[] = []
  for await (const page of list.pages()) cursors.push(page.cursor)
  assert.deepEqual(cursors, ['1', '2', '3', undefined])
})

test('an empty cursor is the end', async () => {
  assert.deepEqual(await run(listing(() => ({ items: [1], cursor: '' })).list), [1, 'end'])
})

test('a cursor that leads in a circle is an error, whatever the size of the circle', async () => {
  for (const lead of [0, 1, 5, 40]) {
    for (const size of [1, 2, 3, 7, 64, 100]) {
      const { list, asked } = listing((cursor = '0') => {
        const at = Number(cursor) + 1
        return { items: [1], cursor: String(at < lead + size ? at : lead) }
      })
      const [, code] = await run(list)
      assert.equal(code, 'InvalidResponse', `${lead} ${size}`)
      assert(asked.length <= 3 * (lead + size) + 2, `${asked.length} for ${lead} and ${size}`)
    }
  }
})

test('pages without end, without entries, or with a monstrous cursor', async () => {
  let n = 0
  const endless = listing(() => ({ items: [1], cursor: `c${n++}` }))
  assert.deepEqual(await run(endless.list), [10_000, 'TooLarge'])
  const empty = listing(() => ({ items: [], cursor: `c${n++}` }))
  assert.deepEqual(await run(empty.list), [0, 'TooLarge'])
  assert.equal(empty.asked.length, 5)
  const long = listing(() => ({ items: [1], cursor: 'c'.repeat(3_000) }))
  assert.deepEqual(await run(long.list), [1, 'InvalidResponse'])
})
