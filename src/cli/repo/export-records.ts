/** The records of an export: written where they differ from what the folder has. */

import { readdir, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { cidToString } from '../../data/cid.ts'
import { codeOf } from '../../lib/errors.ts'
import { type RepoRead, RepoReadError, type RepoRecord } from '../../repo/repo-reader.ts'
import {
  collectionFile,
  indexLine,
  readIndex,
  recordFile,
  recoverIndex,
  sideBySide,
} from './export-index.ts'
import { fileError, fileSize, makeFolder, PartFile, WRITE_FLAGS } from '../shared/files.ts'
import { jsonText } from '../shared/output.ts'
import { recordJson } from './record-view.ts'

/** Name of the index in an export's folder. */
export const INDEX_FILE = 'index.ndjson'

export interface RecordCounts {
  records: number
  written: number
  unchanged: number
  removed: number
  /** Records by collection. */
  readonly collections: Map<string, number>
}

/** Records that are written at once: their lines are in the index before they are. */
const BATCH = 64
/** Folders and lines of the manifest: real repositories have some dozens. */
const COLLECTIONS_MAX = 20_000

interface Listed {
  readonly path: string
  readonly cid: string | null
  readonly record?: RepoRecord
}

/** What stands in a record's file or line. */
function exportedJson(did: string, path: string, cid: string, bytes: Uint8Array): object {
  return { uri: `at://${did}/${path}`, cid, ...recordJson(bytes) }
}

/**
 * One file a record. Files whose record has not changed stay as they are; those of records that are
 * gone are removed. Rejects with FILE_FAILED and what reading rejects with.
 */
export async function exportFiles(
  folder: string,
  read: RepoRead,
  onRecord: (counts: RecordCounts) => void,
): Promise<RecordCounts> {
  const indexPath = join(folder, INDEX_FILE)
  await recoverIndex(indexPath)
  const counts = emptyCounts()
  const { did } = read.commit
  await using index = await PartFile.create(indexPath)
  let batch: { path: string; cid: string; bytes: Uint8Array }[] = []
  let lines: string[] = []
  const folders = new Set<string>()
  const flush = async (): Promise<void> => {
    await index.write(lines.join(''))
    lines = []
    const due = batch
    batch = []
    await Promise.all(
      due.map(async ({ path, cid, bytes }) => {
        const text = `${jsonText(exportedJson(did, path, cid, bytes), 2)}\n`
        await writeRecord(join(folder, recordFile(path)), text)
      }),
    )
  }
  for await (const [old, young] of sideBySide<Listed, Listed>(
    readIndex(indexPath),
    listed(read.records),
  )) {
    if (young?.record === undefined) {
      await remove(join(folder, recordFile(old?.path ?? '')))
      counts.removed++
      continue
    }
    const { path, record } = young
    const cid = cidToString(record.cid)
    count(counts, path)
    lines.push(indexLine({ path, cid }))
    const file = join(folder, recordFile(path))
    if (old?.cid === cid && ((await fileSize(file)) ?? 0) > 0) counts.unchanged++
    else {
      await makeOnce(folders, dirname(file))
      batch.push({ path, cid, bytes: record.bytes })
      counts.written++
    }
    if (lines.length >= BATCH) await flush()
    onRecord(counts)
  }
  await flush()
  await index.commit()
  return counts
}

/** One file a collection, each written anew. Files of collections that are gone are removed. */
export async function exportLines(
  folder: string,
  read: RepoRead,
  onRecord: (counts: RecordCounts) => void,
): Promise<RecordCounts> {
  const counts = emptyCounts()
  const { did } = read.commit
  await makeFolder(join(folder, 'records'))
  const kept = new Set<string>()
  await using stack = new AsyncDisposableStack()
  let file: PartFile | null = null
  let current: string | null = null
  for await (const { path, cid, bytes } of read.records) {
    const collection = path.slice(0, path.indexOf('/'))
    if (file === null || current !== collection) {
      await file?.commit()
      const name = collectionFile(collection)
      kept.add(name.slice('records/'.length))
      file = stack.use(await PartFile.create(join(folder, name)))
      current = collection
    }
    count(counts, path)
    counts.written++
    await file.write(`${jsonText(exportedJson(did, path, cidToString(cid), bytes))}\n`)
    onRecord(counts)
  }
  await file?.commit()
  counts.removed = await removeOthers(join(folder, 'records'), kept)
  return counts
}

function emptyCounts(): RecordCounts {
  return { records: 0, written: 0, unchanged: 0, removed: 0, collections: new Map() }
}

function count(counts: RecordCounts, path: string): void {
  const collection = path.slice(0, path.indexOf('/'))
  if (!counts.collections.has(collection) && counts.collections.size >= COLLECTIONS_MAX) {
    throw new RepoReadError('too-large', 'mst-too-large', `over ${COLLECTIONS_MAX} collections`)
  }
  counts.records++
  counts.collections.set(collection, (counts.collections.get(collection) ?? 0) + 1)
}

async function* listed(records: AsyncIterable<RepoRecord>): AsyncGenerator<Listed> {
  for await (const record of records) yield { path: record.path, cid: null, record }
}

async function makeOnce(made: Set<string>, folder: string): Promise<void> {
  if (made.has(folder)) return
  await makeFolder(folder)
  made.add(folder)
}

/** Removes files of our kind that are not in `kept`; gives their number. */
async function removeOthers(folder: string, kept: ReadonlySet<string>): Promise<number> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    throw fileError('read', folder, error)
  }
  const gone = names.filter((name) => /\.ndjson(?:\.part)?$/.test(name) && !kept.has(name))
  for (const name of gone) await remove(join(folder, name))
  return gone.length
}

/** Not at once whole: one that is cut is in the index as not known, and is written again. */
async function writeRecord(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: WRITE_FLAGS })
  } catch (error) {
    throw fileError('write', path, error)
  }
}

async function remove(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw fileError('remove', path, error)
  }
}
