/** The difference between what was delivered of a repository and what it holds, in parts. */
import { cidEquals, cidFromString } from '../../data/cid.ts'
import { must } from '../../lib/assert.ts'
import type { ConsumerStore, IndexedRecord } from '../../store/consumer-state.ts'
import { FoundOperation } from './deliveries.ts'
import type { VerifiedRecord } from '../calls/verified-client.ts'

/** Rows of the index that are read at once. */
const PAGE_RECORDS = 2_000

export interface PartLimits {
  readonly opsMax: number
  readonly bytesMax: number
}

/** All records of an index in the order of their paths; no page is empty. */
export async function* indexedPages(
  store: Pick<ConsumerStore, 'records'>,
  did: string,
): AsyncGenerator<readonly IndexedRecord[]> {
  let after = ''
  for (;;) {
    const page = await store.records(did, after, PAGE_RECORDS)
    const last = page.at(-1)
    if (last === undefined) return
    yield page
    if (page.length < PAGE_RECORDS) return
    after = last.path
  }
}

/**
 * Records of an index in the order of their paths, read page by page.
 *
 * @param wants Those that are left out are not touched.
 */
export async function* indexedRecords(
  store: Pick<ConsumerStore, 'records'>,
  did: string,
  wants: (path: string) => boolean,
): AsyncGenerator<IndexedRecord> {
  for await (const page of indexedPages(store, did)) {
    for (const record of page) if (wants(record.path)) yield record
  }
}

/**
 * What turns `before` into `now`. Both in the order of paths, and so is what comes out.
 *
 * What `now` throws passes through after whole operations: what has been given out stays true.
 */
export async function* differenceOf(
  before: AsyncIterable<IndexedRecord>,
  now: AsyncIterable<Pick<VerifiedRecord, 'path' | 'cid' | 'bytes'>>,
): AsyncGenerator<FoundOperation> {
  const old = before[Symbol.asyncIterator]()
  let known = await old.next()
  for await (const { path, cid, bytes } of now) {
    while (known.done !== true && known.value.path < path) {
      yield new FoundOperation(known.value.path, known.value.cid, null)
      known = await old.next()
    }
    const after = { cid: must(cidFromString(cid), 'CID'), bytes }
    if (known.done === true || known.value.path !== path) {
      yield new FoundOperation(path, null, after)
      continue
    }
    const { cid: earlier } = known.value
    if (!cidEquals(earlier, after.cid)) yield new FoundOperation(path, earlier, after)
    known = await old.next()
  }
  for (; known.done !== true; known = await old.next()) {
    yield new FoundOperation(known.value.path, known.value.cid, null)
  }
}

/** Operations in parts: none is empty, and only one of a single operation is over the bytes. */
export async function* inParts(
  operations: AsyncIterable<FoundOperation> | Iterable<FoundOperation>,
  { opsMax, bytesMax }: PartLimits,
): AsyncGenerator<readonly FoundOperation[]> {
  let part: FoundOperation[] = []
  let bytes = 0
  for await (const operation of operations) {
    const size = operation.recordBytes?.length ?? 0
    if (part.length > 0 && (part.length >= opsMax || bytes + size > bytesMax)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(operation)
    bytes += size
  }
  if (part.length > 0) yield part
}
