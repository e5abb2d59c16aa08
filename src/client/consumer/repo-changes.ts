/**
 * What a fetch changes in what was delivered of a repository: found in what is new since the head
 * where that can be proven, else in the whole repository.
 */
import { cidEquals, cidToString } from '../../data/cid.ts'
import { type Clock, sleep } from '../../lib/clock.ts'
import { KnownTree } from '../../repo/repo-update.ts'
import { RepoReadError } from '../../repo/repo-reader.ts'
import { TreeError } from '../../repo/tree-error.ts'
import type { ConsumerStore, RepoRow } from '../../store/consumer-state.ts'
import { toCidString } from '../../syntax/cid-string.ts'
import { toDid } from '../../syntax/did.ts'
import { toTid } from '../../syntax/tid.ts'
import { CallError } from '../calls/call-error.ts'
import type { ConsumerLimits } from './consumer-limits.ts'
import { type FetchedRepo, FoundOperation } from './deliveries.ts'
import { differenceOf, indexedPages, indexedRecords } from './repo-difference.ts'
import type { OpenFetch } from './repo-fetcher.ts'

/** How a repository is fetched. */
export type FetchWay = 'update' | 'whole'

/** A fetched repository, and what is to be delivered for it. */
export interface RepoChanges {
  readonly way: FetchWay
  readonly repo: FetchedRepo & {
    /** CID of the root of its tree. */
    readonly data: string
  }
  /** In the order of paths, to be iterated once; throws CallError. */
  readonly operations: AsyncIterable<FoundOperation> | Iterable<FoundOperation>
  /** Gives up what has not been read. */
  cancel(): void
}

export interface RepoChangesOptions {
  readonly store: ConsumerStore
  readonly limits: ConsumerLimits
  readonly clock: Clock
  readonly wantsPath: (path: string) => boolean
  /** Whether every record is wanted, so that the index can hold whole repositories. */
  readonly wantsAllPaths: boolean
  readonly signal: AbortSignal
  /** What is new would not do, for this reason; the whole repository is fetched. */
  readonly onFallBack: (reason: string) => void
}

/** The host has less than was delivered already. */
export class StaleRepo extends Error {}

/** What would befall the whole repository too. */
const SAME_FOR_WHOLE: ReadonlySet<string> = new Set([
  'Aborted',
  'Blocked',
  'RateLimited',
  'Timeout',
  'Unreachable',
])

/** Thrown when what is new does not lead to a proof. */
class NoProof extends Error {
  readonly reason: string

  constructor(reason: string, cause?: unknown) {
    super(reason, { cause })
    this.reason = reason
  }
}

/**
 * Fetches a repository. Its commit is verified when this resolves, and with `update` all the rest.
 *
 * @throws CallError, StaleRepo.
 */
export async function fetchChanges(
  fetch: OpenFetch,
  row: RepoRow,
  options: RepoChangesOptions,
): Promise<RepoChanges> {
  const found = await fromUpdate(fetch, row, options)
  if (found !== null) return found
  const { store, wantsPath } = options
  const repo = await fetch.whole()
  if (row.head !== null && repo.rev < row.head.rev) {
    repo.cancel()
    throw new StaleRepo(`the host has rev ${repo.rev}, known rev ${row.head.rev}`)
  }
  const operations = differenceOf(indexedRecords(store, row.did, wantsPath), repo.records)
  return { way: 'whole', repo, operations, cancel: () => repo.cancel() }
}

/** Null when the whole repository is to be fetched. */
async function fromUpdate(
  fetch: OpenFetch,
  row: RepoRow,
  options: RepoChangesOptions,
): Promise<RepoChanges | null> {
  const { limits, onFallBack } = options
  const { head, complete } = row
  // What is of no use now is no fall-back.
  if (head === null || head.data === null || !complete || limits.updateRecordsMax === 0) return null
  if (!options.wantsAllPaths || !fetch.givesUpdates) return null
  try {
    const known = await knownTree(row.did, options)
    if (!cidEquals(known.root(), head.data)) throw new NoProof('index-differs')
    const update = await fetch.update(head.rev, limits.updateBytesMax)
    const { commit, cid } = update
    if (commit.rev < head.rev) throw new NoProof('rev-stale')
    return {
      way: 'update',
      repo: {
        did: toDid(commit.did),
        rev: toTid(commit.rev),
        commit: toCidString(cidToString(cid)),
        data: cidToString(commit.data),
      },
      operations: operationsOf(known.changesTo(update)),
      cancel: () => undefined,
    }
  } catch (error) {
    onFallBack(reasonOf(error))
    return null
  }
}

/** The tree of everything that was delivered. Lets others have their turn in between. */
async function knownTree(
  did: string,
  { store, limits, clock, signal }: RepoChangesOptions,
): Promise<KnownTree> {
  const tree = new KnownTree()
  let count = 0
  for await (const page of indexedPages(store, did)) {
    count += page.length
    if (count > limits.updateRecordsMax) throw new NoProof('index-too-large')
    for (const { path, cid } of page) tree.add(path, cid)
    await sleep(clock, 0, signal)
    if (signal.aborted) throw new NoProof('Aborted')
  }
  return tree
}

function* operationsOf(changes: ReturnType<KnownTree['changesTo']>): Generator<FoundOperation> {
  for (const { path, before, after } of changes) yield new FoundOperation(path, before, after)
}

/** Why what is new would not do; throws on what has nothing to do with that. */
function reasonOf(error: unknown): string {
  if (error instanceof NoProof || error instanceof RepoReadError) return error.reason
  // What was stored is not what a tree may hold.
  if (error instanceof TreeError) return 'index-differs'
  if (!(error instanceof CallError)) throw error
  if (error.kind === 'terminal' || SAME_FOR_WHOLE.has(error.code)) throw error
  return error.reason ?? error.code
}
