/**
 * Everything that is wrong with the repository in a CAR file. Where the streaming reader stops at
 * the first broken rule, this goes on: around damaged blocks, and past nodes that cannot be read.
 */

import { type FileHandle, open } from 'node:fs/promises'

import { decodeRecord } from '../../client/events/commit-view.ts'
import { parseCarHeader } from '../../data/car.ts'
import { CID_BYTES, cidToString, hashMatches, isCidBytes } from '../../data/cid.ts'
import { readVarint, varintValue } from '../../data/varint.ts'
import { CAR_HEADER_BYTES_MAX, COMMIT_BLOCKS_BYTES_MAX } from '../../lib/limits.ts'
import type { Reason } from '../../lib/reasons.ts'
import { ok } from '../../lib/result.ts'
import { type Commit, decodeCommit } from '../../repo/commit.ts'
import type { CommitJudge } from '../../repo/repo-reader.ts'
import { TreeError } from '../../repo/tree-error.ts'
import { decodeNode, type TreeNode } from '../../repo/tree-node.ts'
import { checkChild, checkRoot } from '../../repo/tree.ts'
import { isRepoPathBytes } from '../../syntax/repo-path.ts'
import { fileError } from '../shared/files.ts'

/** One broken rule at one place. */
export interface Finding {
  readonly reason: Reason
  /** A path, a block, or a place in the file. */
  readonly where: string
  readonly detail: string
}

export interface SurveyResult {
  /** Null when there is no commit that can be read. */
  readonly commit: Commit | null
  readonly commitCid: string | null
  readonly nodes: number
  readonly records: number
  readonly blocks: number
}

export interface SurveyOptions {
  /** Whose repository it must be; null for anybody's. */
  readonly did: string | null
  readonly judge: CommitJudge
  readonly onFinding: (finding: Finding) => void
  readonly signal: AbortSignal
}

/** Blocks that are looked up again, some 150 bytes of memory each: 30 times the largest known. */
const BLOCKS_MAX = 4_000_000
/** Levels that are entered: hashes allow 128 heights, and a damaged tree may claim more. */
const DEPTH_MAX = 130
const READ_BYTES = 1_024 * 1_024
/** Blocks of a tree lie near one another in most files, but not in all. */
const BLOCK_READ_BYTES = 64 * 1_024
/** Longest varint of a length. */
const VARINT_BYTES = 4

interface Place {
  readonly offset: number
  readonly length: number
  readonly isGood: boolean
}

/** Surveys the file. Rejects with FILE_FAILED only. */
export async function surveyRepo(path: string, options: SurveyOptions): Promise<SurveyResult> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    throw fileError('read', path, error)
  }
  await using stack = new AsyncDisposableStack()
  stack.defer(() => file.close())
  return await new Survey(file, path, options).run()
}

class Survey {
  readonly #file: FileHandle
  readonly #path: string
  readonly #options: SurveyOptions
  readonly #places = new Map<string, Place>()
  readonly #visited = new Set<string>()
  #window: Uint8Array = new Uint8Array(0)
  #windowAt = 0
  #nodes = 0
  #records = 0

  constructor(file: FileHandle, path: string, options: SurveyOptions) {
    this.#file = file
    this.#path = path
    this.#options = options
  }

  async run(): Promise<SurveyResult> {
    const root = await this.#scan()
    const block = root === null ? null : await this.#block(root)
    if (root !== null && block === null) {
      this.#find('car-root-missing', cidToString(root), 'the commit is not in the CAR, or damaged')
    }
    const commit = block === null ? null : await this.#readCommit(block, root)
    if (commit !== null) await this.#walk(commit.data)
    return {
      commit,
      commitCid: root === null ? null : cidToString(root),
      nodes: this.#nodes,
      records: this.#records,
      blocks: this.#places.size,
    }
  }

  #find(reason: Reason, where: string, detail: string): void {
    this.#options.onFinding({ reason, where, detail })
  }

  /** Bytes from `offset` on, fewer at the end of the file. Valid until the next call. */
  async #bytesAt(offset: number, length: number, ahead = READ_BYTES): Promise<Uint8Array> {
    this.#options.signal.throwIfAborted()
    const start = offset - this.#windowAt
    if (start >= 0 && start + length <= this.#window.length) {
      return this.#window.subarray(start, start + length)
    }
    const buffer = new Uint8Array(Math.max(length, ahead))
    let filled = 0
    try {
      while (filled < buffer.length) {
        const { bytesRead } = await this.#file.read(buffer, filled, undefined, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
    } catch (error) {
      throw fileError('read', this.#path, error)
    }
    this.#window = buffer.subarray(0, filled)
    this.#windowAt = offset
    return this.#window.subarray(0, Math.min(length, filled))
  }

  /** Where the blocks are, and whether each is what its CID says. Gives the root. */
  async #scan(): Promise<Uint8Array | null> {
    const header = await this.#lengthAt(0)
    if (header === null || header.length > CAR_HEADER_BYTES_MAX) {
      this.#find('car-malformed', 'byte 0', 'the file does not begin with the header of a CAR')
      return null
    }
    const roots = parseCarHeader((await this.#bytesAt(header.start, header.length)).slice())
    if (!roots.ok) {
      this.#find(roots.reason, 'header', roots.detail)
      return null
    }
    let offset = header.start + header.length
    for (;;) {
      const next = await this.#entry(offset)
      if (next === null) return roots.value[0] ?? null
      offset = next
    }
  }

  /** Reads the entry at `offset` and gives the offset after it; null at the end. */
  async #entry(offset: number): Promise<number | null> {
    const where = `byte ${offset}`
    if ((await this.#bytesAt(offset, 1)).length === 0) return null
    const entry = await this.#lengthAt(offset)
    if (entry === null) {
      this.#find('car-malformed', where, 'the file is cut in a length, or what is there is none')
      return null
    }
    const { start, length } = entry
    if (this.#places.size >= BLOCKS_MAX) {
      this.#find('car-too-many-blocks', where, `only the first ${BLOCKS_MAX} blocks are surveyed`)
      return null
    }
    if (length > CID_BYTES + COMMIT_BLOCKS_BYTES_MAX) {
      this.#find('car-block-too-large', where, `a block of ${length - CID_BYTES} bytes`)
      return start + length
    }
    const bytes = await this.#bytesAt(start, length)
    if (bytes.length < length) {
      this.#find(
        'car-malformed',
        where,
        `the file is cut: ${length - bytes.length} bytes are missing`,
      )
      return null
    }
    if (length < CID_BYTES || !isCidBytes(bytes, 0)) {
      this.#find('car-cid-kind', where, 'a CID of another kind')
      return start + length
    }
    const isGood = hashMatches(bytes, 0, bytes.subarray(CID_BYTES))
    const key = keyOf(bytes.subarray(0, CID_BYTES))
    if (!isGood) {
      const cid = cidToString(bytes.slice(0, CID_BYTES))
      this.#find('car-hash-mismatch', where, `the block does not hash to its CID ${cid}`)
    }
    if (isGood || !this.#places.has(key)) {
      this.#places.set(key, { offset: start + CID_BYTES, length: length - CID_BYTES, isGood })
    }
    return start + length
  }

  async #lengthAt(offset: number): Promise<{ start: number; length: number } | null> {
    const bytes = await this.#bytesAt(offset, VARINT_BYTES)
    const end = readVarint(bytes, 0)
    return end <= 0 ? null : { start: offset + end, length: varintValue() }
  }

  /** A good block, the caller's own; null when it is missing or damaged. */
  async #block(cid: Uint8Array): Promise<Uint8Array | null> {
    const place = this.#places.get(keyOf(cid))
    if (place === undefined || !place.isGood) return null
    return (await this.#bytesAt(place.offset, place.length, BLOCK_READ_BYTES)).slice()
  }

  async #readCommit(block: Uint8Array, cid: Uint8Array | null): Promise<Commit | null> {
    const where = cid === null ? 'commit' : `commit ${cidToString(cid)}`
    const decoded = decodeCommit(block)
    if (!decoded.ok) {
      this.#find(decoded.reason, where, decoded.detail)
      return null
    }
    const commit = decoded.value
    const { did } = this.#options
    if (did !== null && commit.did !== did) {
      this.#find('commit-did-mismatch', where, `it is of ${commit.did.slice(0, 128)}`)
    }
    const verdict = await this.#options.judge(commit, block)
    if (!verdict.ok) this.#find(verdict.reason, where, verdict.detail)
    return commit
  }

  async #walk(root: Uint8Array): Promise<void> {
    const rootNode = await this.#node(root, 'root')
    if (rootNode === null) return
    this.#check('root', () => checkRoot(rootNode))
    const path: { node: TreeNode; index: number }[] = [{ node: rootNode, index: 0 }]
    for (let place = path.at(-1); place !== undefined; place = path.at(-1)) {
      const { node, index } = place
      place.index++
      // Even places are subtrees, odd ones keys.
      const at = index >> 1
      if (index % 2 === 1) {
        const [key, value] = [node.keys[at], node.values[at]]
        if (key === undefined || value === undefined) path.pop()
        else await this.#record(key, value)
        continue
      }
      const subtree = node.subtrees[at] ?? null
      if (!(subtree instanceof Uint8Array)) continue
      const where = `node ${cidToString(subtree)} ${between(node, at)}`
      if (path.length >= DEPTH_MAX) {
        this.#find('mst-too-large', where, `over ${DEPTH_MAX} levels`)
        continue
      }
      const child = await this.#node(subtree, where)
      if (child === null) continue
      this.#check(where, () => checkChild(node, at, child))
      path.push({ node: child, index: 0 })
    }
  }

  async #node(cid: Uint8Array, where: string): Promise<TreeNode | null> {
    const key = keyOf(cid)
    if (this.#visited.has(key)) {
      this.#find('mst-block-repeated', where, 'the node stands elsewhere too')
      return null
    }
    this.#visited.add(key)
    const block = await this.#block(cid)
    if (block === null) {
      const detail = this.#places.has(key) ? 'the node is damaged' : 'the node is missing'
      this.#find('mst-block-missing', where, `${detail}: ${cidToString(cid)}`)
      return null
    }
    this.#nodes++
    let node: TreeNode | null = null
    this.#check(where, () => (node = decodeNode(block, cid, isRepoPathBytes)))
    return node
  }

  /** A broken rule of the tree is a finding. */
  #check(where: string, check: () => void): void {
    try {
      check()
    } catch (error) {
      if (!(error instanceof TreeError)) throw error
      this.#find(error.reason, where, error.detail)
    }
  }

  async #record(path: string, cid: Uint8Array): Promise<void> {
    this.#records++
    const block = await this.#block(cid)
    if (block === null) {
      const detail = this.#places.has(keyOf(cid)) ? 'is damaged' : 'is missing'
      this.#find('op-record-missing', path, `the record ${detail}: ${cidToString(cid)}`)
      return
    }
    const fault = recordFault(path, block)
    if (fault !== null) this.#options.onFinding(fault)
  }
}

/** What is wrong with the bytes of a record; null when they are one. */
export function recordFault(path: string, bytes: Uint8Array): Finding | null {
  const record = decodeRecord(ok(bytes))
  if (record.valid) return null
  const detail = record.issues[0]?.message ?? 'the record cannot be read'
  return { reason: record.reason ?? 'op-record-malformed', where: path, detail }
}

function between(node: TreeNode, index: number): string {
  const lower = node.keys[index - 1] ?? node.lower
  const upper = node.keys[index] ?? node.upper
  if (lower === null && upper === null) return 'over all keys'
  if (lower === null) return `before ${upper ?? ''}`
  return upper === null ? `after ${lower}` : `between ${lower} and ${upper}`
}

function keyOf(cid: Uint8Array): string {
  return String.fromCharCode(...cid)
}
