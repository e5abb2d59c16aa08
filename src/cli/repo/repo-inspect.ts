/** `skein repo inspect`: the commit, the shape of the tree, sizes, the key, and what is odd. */

import { cidToString } from '../../data/cid.ts'
import { systemClock } from '../../lib/clock.ts'
import { ok } from '../../lib/result.ts'
import type { Commit } from '../../repo/commit.ts'
import type { RepoRead } from '../../repo/repo-reader.ts'
import type { TreeNode } from '../../repo/tree-node.ts'
import { decodeRecord } from '../../client/events/commit-view.ts'
import { tidMicros, toTid } from '../../syntax/tid.ts'
import type { CommandCall } from '../shared/command.ts'
import { EXIT } from '../io.ts'
import {
  cleanText,
  formatBytes,
  formatCount,
  formatDuration,
  type Output,
} from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import type { READ_OPTIONS } from './repo-commands.ts'
import { counted, openRepoSource, type RepoSource, type SignatureFacts } from './repo-source.ts'

interface Level {
  nodes: number
  entries: number
  bytes: number
}

interface Inspection {
  readonly did: string
  readonly handle: string | null
  readonly service: string
  readonly commit: string
  readonly rev: string
  readonly revTime: string
  readonly data: string
  readonly prev: string | null
  readonly signature: SignatureFacts
  readonly bytes: number
  readonly tree: {
    readonly height: number
    readonly levels: readonly ({ height: number } & Level)[]
  }
  readonly nodes: { readonly count: number; readonly bytes: number }
  readonly records: {
    readonly count: number
    readonly bytes: number
    readonly largest: { readonly path: string; readonly bytes: number } | null
  }
  readonly warnings: readonly string[]
}

/** Rows of the table of levels: hashes make a tree of millions of records 15 high. */
const LEVELS_MAX = 130
/** The reference takes no record larger than this; the protocol's limit is near. */
const LARGE_RECORD_BYTES = 900_000

/** See docs/cli.md. */
export async function runRepoInspect(call: CommandCall<typeof READ_OPTIONS>): Promise<number> {
  const { words, options, io, output, session } = call
  const source = await openRepoSource(session, words[0] ?? '', options)
  const inspection = await inspect(source, new Progress(io, { label: source.label, unit: 'bytes' }))
  if (output.isJson) await output.json(inspection)
  else await print(output, inspection)
  return inspection.signature.state === 'bad' ? EXIT.unverified : EXIT.ok
}

async function inspect(source: RepoSource, progress: Progress): Promise<Inspection> {
  using line = progress
  const { pieces, size } = await source.open()
  line.expect(size)
  const levels = new Map<number, Level>()
  let bytes = 0
  const read = await source.readUnjudged(
    counted(pieces, (count) => line.update((bytes += count))),
    {
      onNode: (node, nodeBytes) => addNode(levels, node, nodeBytes),
    },
  )
  const records = await readRecords(read)
  const { commit } = read
  const shown = [...levels].sort(([a], [b]) => b - a).slice(0, LEVELS_MAX)
  const nodes = { count: 0, bytes: 0 }
  for (const level of levels.values()) {
    nodes.count += level.nodes
    nodes.bytes += level.bytes
  }
  return {
    did: commit.did,
    handle: source.account?.handle ?? null,
    service: source.origin,
    commit: cidToString(read.cid),
    rev: commit.rev,
    revTime: timeOf(commit).toISOString(),
    data: cidToString(commit.data),
    prev: commit.prev === null ? null : cidToString(commit.prev),
    signature: source.signature,
    bytes,
    tree: {
      height: shown[0]?.[0] ?? 0,
      levels: shown.map(([height, level]) => Object.assign({ height }, level)),
    },
    nodes,
    records: { count: records.count, bytes: records.bytes, largest: records.largest },
    warnings: [...warningsOf(source, commit), ...records.warnings],
  }
}

function addNode(levels: Map<number, Level>, node: TreeNode, bytes: number): void {
  const level = levels.get(node.height) ?? { nodes: 0, entries: 0, bytes: 0 }
  levels.set(node.height, level)
  level.nodes++
  level.entries += node.keys.length
  level.bytes += bytes
}

async function readRecords(
  read: RepoRead,
): Promise<Inspection['records'] & { readonly warnings: readonly string[] }> {
  const found = { count: 0, bytes: 0, malformed: 0, large: 0, untyped: 0 }
  let largest: { readonly path: string; readonly bytes: number } | null = null
  for await (const { path, bytes } of read.records) {
    found.count++
    found.bytes += bytes.length
    if (bytes.length > (largest?.bytes ?? -1)) largest = { path, bytes: bytes.length }
    if (bytes.length > LARGE_RECORD_BYTES) found.large++
    const record = decodeRecord(ok(bytes))
    if (!record.valid) found.malformed++
    else if (record.value['$type'] !== path.slice(0, path.indexOf('/'))) found.untyped++
  }
  const warnings = [
    found.malformed > 0 && `${found.malformed} records are not well formed: see skein repo verify`,
    found.large > 0 && `${found.large} records are near the limit of 1,000,000 bytes`,
    found.untyped > 0 && `${found.untyped} records have a $type other than their collection`,
  ].filter((warning) => warning !== false)
  return { count: found.count, bytes: found.bytes, largest, warnings }
}

function warningsOf(source: RepoSource, commit: Commit): string[] {
  const { signature, account } = source
  const warnings: string[] = []
  if (signature.state === 'skipped') warnings.push('the signature was not checked')
  if (signature.detail !== null) warnings.push(`${signature.reason ?? ''}: ${signature.detail}`)
  if (commit.prev !== null) warnings.push('the commit names the one before: an older writer')
  if (account?.isStale === true)
    warnings.push('no directory answered: the DID document is an old one')
  if (account !== null && account.handle === null)
    warnings.push('the DID document claims no handle')
  if (timeOf(commit).getTime() > systemClock.nowMs()) warnings.push('the rev is ahead of the clock')
  return warnings
}

function timeOf(commit: Commit): Date {
  return new Date(tidMicros(toTid(commit.rev)) / 1_000)
}

async function print(output: Output, found: Inspection): Promise<void> {
  const { signature, nodes, records, tree } = found
  const age = formatDuration(systemClock.nowMs() - Date.parse(found.revTime))
  await output.facts([
    ['did', found.did],
    ['handle', found.handle],
    ['from', found.service],
    ['commit', found.commit],
    ['rev', `${found.rev}, ${found.revTime} (${age} ago)`],
    ['tree', found.data],
    ['signature', signature.state],
    ['key', signature.key],
    ['size', formatBytes(found.bytes)],
    ['records', `${formatCount(records.count)}, ${formatBytes(records.bytes)}`],
    [
      'largest',
      records.largest && `${records.largest.path}, ${formatBytes(records.largest.bytes)}`,
    ],
    ['nodes', `${formatCount(nodes.count)}, ${formatBytes(nodes.bytes)}`],
  ])
  await output.line()
  await output.table(
    ['height', 'nodes', 'entries', 'size'].map((title) => ({ title, align: 'right' as const })),
    tree.levels.map(({ height, nodes: count, entries, bytes }) => [
      String(height),
      formatCount(count),
      formatCount(entries),
      formatBytes(bytes),
    ]),
  )
  for (const warning of found.warnings) {
    await output.line(`${output.style('yellow', 'warning')}  ${cleanText(warning)}`)
  }
}
