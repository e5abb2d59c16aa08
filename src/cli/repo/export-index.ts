/**
 * What an export folder holds, one JSON object a line in the order of the paths: `path`, `cid`,
 * `file`. The next export compares itself with it, line by line, in bounded memory.
 */

import { createReadStream } from 'node:fs'
import { rename, unlink } from 'node:fs/promises'
import { createInterface } from 'node:readline'

import { codeOf } from '../../lib/errors.ts'
import { parseRepoPath } from '../../syntax/repo-path.ts'
import { fileError, fileSize, PartFile, partPathOf } from '../shared/files.ts'
import { jsonText } from '../shared/output.ts'
import { safeName } from '../shared/safe-name.ts'

/** A record of an export. */
export interface IndexEntry {
  readonly path: string
  /** Null when the file may be of any version: the export was interrupted while it was written. */
  readonly cid: string | null
}

/** Longest line: a path of 1,024 characters, its file and a CID. */
const LINE_CHARS_MAX = 8_192

/** Where a record is, from the export's folder on. */
export function recordFile(path: string): string {
  const slash = path.indexOf('/')
  const [collection, rkey] = [path.slice(0, slash), path.slice(slash + 1)]
  return `records/${safeName(collection)}/${safeName(rkey)}.json`
}

/** Where the records of a collection are, when they are in one file. */
export function collectionFile(collection: string): string {
  return `records/${safeName(collection)}.ndjson`
}

export function indexLine({ path, cid }: IndexEntry): string {
  return `${jsonText({ path, cid, file: recordFile(path) })}\n`
}

/**
 * The entries of an index; none when there is no such file. Lines that are no entry (a write that
 * was cut) are left out, as are those out of order: what is not known is written anew.
 */
export async function* readIndex(path: string): AsyncGenerator<IndexEntry> {
  const input = createReadStream(path, 'utf8')
  const lines = createInterface({ input, crlfDelay: Infinity })
  let last = ''
  try {
    for await (const line of lines) {
      const entry = line.length > LINE_CHARS_MAX ? null : parseLine(line)
      if (entry === null || entry.path <= last) continue
      last = entry.path
      yield entry
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw fileError('read', path, error)
  } finally {
    lines.close()
    input.destroy()
  }
}

function parseLine(line: string): IndexEntry | null {
  try {
    const { path, cid } = JSON.parse(line) as Readonly<Record<string, unknown>>
    if (typeof path !== 'string' || parseRepoPath(path) === null) return null
    return { path, cid: typeof cid === 'string' ? cid : null }
  } catch {
    return null
  }
}

/** Two sequences in the order of their paths, side by side; a path in both comes once. */
export async function* sideBySide<A extends { readonly path: string }, B extends A>(
  left: AsyncIterable<A>,
  right: AsyncIterable<B>,
): AsyncGenerator<readonly [A | null, B | null]> {
  const lefts = left[Symbol.asyncIterator]()
  const rights = right[Symbol.asyncIterator]()
  try {
    let [a, b] = [await take(lefts), await take(rights)]
    while (a !== null || b !== null) {
      const takesLeft: boolean = a !== null && (b === null || a.path <= b.path)
      const takesRight: boolean = b !== null && (a === null || b.path <= a.path)
      yield [takesLeft ? a : null, takesRight ? b : null]
      if (takesLeft) a = await take(lefts)
      if (takesRight) b = await take(rights)
    }
  } finally {
    await lefts.return?.()
    await rights.return?.()
  }
}

async function take<T>(items: AsyncIterator<T>): Promise<T | null> {
  const next = await items.next()
  return next.done === true ? null : next.value
}

/**
 * Joins what an interrupted export wrote down to the index of the one before: those records may be
 * of either version, so they are written anew, and are known should they have gone meanwhile.
 */
export async function recoverIndex(path: string): Promise<void> {
  const part = partPathOf(path)
  if ((await fileSize(part)) === null) return
  const merged = `${path}.merged`
  await using file = await PartFile.create(merged)
  for await (const [old, young] of sideBySide(readIndex(path), readIndex(part))) {
    const entry = young ?? old
    if (entry !== null)
      await file.write(indexLine(young === null ? entry : { ...entry, cid: null }))
  }
  try {
    await file.commit()
    await rename(merged, path)
    await unlink(part)
  } catch (error) {
    throw fileError('write', path, error)
  }
}
