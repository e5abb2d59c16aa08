/** `skein repo ls`: the collections of a repository, or the records of some. */

import { cidToString } from '../../data/cid.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { RepoRead } from '../../repo/repo-reader.ts'
import { parseNsid } from '../../syntax/nsid.ts'
import type { CommandCall } from '../shared/command.ts'
import { EXIT } from '../io.ts'
import { countOf, formatBytes, formatCount, type Output } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import type { READ_OPTIONS } from './repo-commands.ts'
import { counted, openRepoSource } from './repo-source.ts'

interface CollectionSize {
  records: number
  bytes: number
}

/** Collections that are told apart: real repositories have some dozens. */
const COLLECTIONS_MAX = 10_000
const OTHERS = '(others)'

/** See docs/cli.md. */
export async function runRepoLs(call: CommandCall<typeof READ_OPTIONS>): Promise<number> {
  const { words, options, io, output, session } = call
  const [target = '', given] = words
  if (given !== undefined) collectionFilter(given)
  const source = await openRepoSource(session, target, options)
  const collection = given ?? source.name?.collection ?? null
  using progress = new Progress(io, { label: source.label, unit: 'bytes' })
  const { pieces, size } = await source.open()
  progress.expect(size)
  const wants = collection === null ? null : collectionFilter(collection)
  const read = await source.read(
    counted(pieces, (bytes) => progress.add(bytes)),
    wants === null ? {} : { wants },
  )
  if (wants !== null) return listRecords(read, output, progress)
  await listCollections(read, output, progress, source.claim)
  return EXIT.ok
}

/** Paths of a collection, or with `.*` at its end of all that begin so. */
export function collectionFilter(collection: string): (path: string) => boolean {
  const isGroup = collection.endsWith('.*')
  const example = isGroup ? `${collection.slice(0, -1)}name` : collection
  if (parseNsid(example) === null) {
    throw new SkeinError('OPTION_INVALID', 'read collection: it is no NSID', {
      value: JSON.stringify(collection.slice(0, 80)),
    })
  }
  const beginning = isGroup ? collection.slice(0, -1) : `${collection}/`
  return (path) => path.startsWith(beginning)
}

async function listRecords(read: RepoRead, output: Output, progress: Progress): Promise<number> {
  let count = 0
  for await (const record of read.records) {
    count++
    const cid = cidToString(record.cid)
    // Shown while more comes; that these were all is known at the end.
    if (output.isJson) await output.jsonLine({ path: record.path, cid, bytes: record.bytes.length })
    else await output.line(`${record.path}  ${cid}`)
  }
  progress.end()
  if (count === 0) output.remark('the repository holds no such record')
  return count === 0 ? EXIT.absent : EXIT.ok
}

async function listCollections(
  read: RepoRead,
  output: Output,
  progress: Progress,
  claim: string,
): Promise<void> {
  const sizes = new Map<string, CollectionSize>()
  const total: CollectionSize = { records: 0, bytes: 0 }
  for await (const { path, bytes } of read.records) {
    const named = path.slice(0, path.indexOf('/'))
    const collection = sizes.has(named) || sizes.size < COLLECTIONS_MAX ? named : OTHERS
    const size = sizes.get(collection) ?? { records: 0, bytes: 0 }
    sizes.set(collection, size)
    for (const sum of [size, total]) {
      sum.records++
      sum.bytes += bytes.length
    }
  }
  progress.end()
  const { did, rev } = read.commit
  if (output.isJson) {
    const collections = [...sizes].map(([collection, size]) => Object.assign({ collection }, size))
    await output.json({ did, rev, ...total, collections })
    return
  }
  await output.table(
    [
      { title: 'records', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'collection' },
    ],
    [...sizes].map(([name, { records, bytes }]) => [
      formatCount(records),
      formatBytes(bytes),
      name,
    ]),
  )
  const sum = `${countOf(total.records, 'record')}, ${formatBytes(total.bytes)}`
  await output.line(output.style('dim', `${sum}, rev ${rev} of ${did}, ${claim}`))
}
