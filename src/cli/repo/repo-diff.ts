/** `skein repo diff`: two repositories side by side, in bounded memory. */

import { cidEquals, cidToString } from '../../data/cid.ts'
import type { RepoRecord } from '../../repo/repo-reader.ts'
import type { CommandCall } from '../shared/command.ts'
import { EXIT } from '../io.ts'
import { countOf, type StyleName } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import type { READ_OPTIONS } from './repo-commands.ts'
import { counted, openRepoSource } from './repo-source.ts'

type Change = 'create' | 'update' | 'delete'

interface Difference {
  readonly change: Change
  readonly path: string
  readonly before: string | null
  readonly after: string | null
}

const SIGNS: Readonly<Record<Change, readonly [string, StyleName]>> = {
  create: ['+', 'green'],
  update: ['~', 'yellow'],
  delete: ['-', 'red'],
}

/** See docs/cli.md. */
export async function runRepoDiff(call: CommandCall<typeof READ_OPTIONS>): Promise<number> {
  const { words, options, io, output, session } = call
  const [before = '', after = ''] = words
  const sources = [
    await openRepoSource(session, before, options),
    await openRepoSource(session, after, options),
  ] as const
  using progress = new Progress(io, { label: 'comparing', unit: 'bytes' })
  const opened = await Promise.all(sources.map((source) => source.open()))
  const sizes = opened.map(({ size }) => size)
  progress.expect(sizes.includes(null) ? null : sizes.reduce<number>((sum, n) => sum + (n ?? 0), 0))
  const [left, right] = await Promise.all(
    sources.map((source, i) =>
      source.read(counted(opened[i]?.pieces ?? NOTHING, (bytes) => progress.add(bytes))),
    ),
  )
  if (left === undefined || right === undefined) return EXIT.failure
  if (left.commit.did !== right.commit.did) {
    progress.say(`these are two accounts: ${left.commit.did} and ${right.commit.did}`)
  }
  const counts: Record<Change, number> = { create: 0, update: 0, delete: 0 }
  for await (const difference of differences(left.records, right.records)) {
    counts[difference.change]++
    if (output.isJson) await output.jsonLine(difference)
    else {
      const [sign, style] = SIGNS[difference.change]
      const cids = [difference.before, difference.after].filter((cid) => cid !== null)
      await output.line(`${output.style(style, sign)} ${difference.path}  ${cids.join(' > ')}`)
    }
  }
  progress.end()
  const what = [
    countOf(counts.create, 'create'),
    countOf(counts.update, 'update'),
    countOf(counts.delete, 'delete'),
  ].join(', ')
  output.remark(`${what}: rev ${left.commit.rev} to ${right.commit.rev}, ${claimOf(sources)}`)
  return EXIT.ok
}

async function* none(): AsyncGenerator<Uint8Array> {}
const NOTHING: AsyncIterable<Uint8Array> = none()

function claimOf(sources: readonly { readonly claim: string }[]): string {
  const claims = new Set(sources.map(({ claim }) => claim))
  return [...claims].join(' and ')
}

/** What must be done to `before` to make it `after`. Both come in the order of their paths. */
async function* differences(
  before: AsyncIterable<RepoRecord>,
  after: AsyncIterable<RepoRecord>,
): AsyncGenerator<Difference> {
  const old = before[Symbol.asyncIterator]()
  const young = after[Symbol.asyncIterator]()
  try {
    let [a, b] = [await take(old), await take(young)]
    while (a !== null || b !== null) {
      if (b === null || (a !== null && a.path < b.path)) {
        if (a === null) return
        yield { change: 'delete', path: a.path, before: cidToString(a.cid), after: null }
        a = await take(old)
      } else if (a === null || b.path < a.path) {
        yield { change: 'create', path: b.path, before: null, after: cidToString(b.cid) }
        b = await take(young)
      } else {
        if (!cidEquals(a.cid, b.cid)) {
          const [was, is] = [cidToString(a.cid), cidToString(b.cid)]
          yield { change: 'update', path: a.path, before: was, after: is }
        }
        ;[a, b] = [await take(old), await take(young)]
      }
    }
  } finally {
    await old.return?.()
    await young.return?.()
  }
}

async function take(records: AsyncIterator<RepoRecord>): Promise<RepoRecord | null> {
  const next = await records.next()
  return next.done === true ? null : next.value
}
