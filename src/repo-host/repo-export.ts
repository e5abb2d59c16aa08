/** A repository, or what is new in it, as the bytes of a CAR, from one snapshot. */
import { type CarBlock, encodeCarHeader } from '../data/car-stream.ts'
import { CID_BYTES } from '../data/cid.ts'
import { encodeVarint } from '../data/varint.ts'
import type { Clock } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { missingBlock } from '../repo/tree-error.ts'
import { Tree } from '../repo/tree.ts'
import { BATCH_BLOCKS_MAX, type RepoSnapshot } from '../store/repo-snapshot.ts'
import { isRepoPathBytes } from '../syntax/repo-path.ts'
import { Slices } from './fair.ts'
import type { HostedHead, RepoExport } from './host-view.ts'
import { walkOnce } from './repo-walk.ts'

/** Size of the pieces that are given out, bytes; a large block at the end makes a larger one. */
const PIECE_BYTES = 65_536
/** Room behind that for a last block of a usual size, bytes. */
const PIECE_SLACK_BYTES = 8_192
/** Most bytes of nodes that wait with the records around them. */
const WINDOW_NODE_BYTES_MAX = 1_048_576

/** Gathers blocks into pieces. */
class Pieces {
  #piece = new Uint8Array(PIECE_BYTES + PIECE_SLACK_BYTES)
  #length = 0

  get isFull(): boolean {
    return this.#length >= PIECE_BYTES
  }

  add(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#piece.length) {
      const grown = new Uint8Array(this.#length + bytes.length)
      grown.set(this.#piece.subarray(0, this.#length))
      this.#piece = grown
    }
    this.#piece.set(bytes, this.#length)
    this.#length += bytes.length
  }

  addBlock(cid: Uint8Array, block: Uint8Array): void {
    this.add(encodeVarint(CID_BYTES + block.length))
    this.add(cid)
    this.add(block)
  }

  /** What has been gathered; the caller's. */
  take(): Uint8Array {
    const taken = this.#piece.subarray(0, this.#length)
    this.#piece = new Uint8Array(PIECE_BYTES + PIECE_SLACK_BYTES)
    this.#length = 0
    return taken
  }
}

export interface ExportOptions {
  readonly snapshot: RepoSnapshot
  readonly head: HostedHead
  /** See `HostView.repoCar`. */
  readonly since: string | null
  /** Whether the account is still served as it was at the beginning. */
  readonly isServed: () => boolean
  readonly clock: Clock
}

/** Opens an export. Owns the snapshot from now on. */
export function exportRepo(options: ExportOptions): RepoExport {
  const { snapshot, head } = options
  return {
    root: head.commit,
    rev: head.rev,
    chunks: pieces(options),
    close: () => snapshot.close(),
  }
}

async function* pieces(options: ExportOptions): AsyncGenerator<Uint8Array> {
  const { snapshot, head, isServed, clock } = options
  const slices = new Slices(clock)
  const gathered = new Pieces()
  gathered.add(encodeCarHeader([head.commit]))
  try {
    for (const { cid, block } of snapshot.isOpen ? blocksOf(options) : []) {
      gathered.addBlock(cid, block)
      if (!gathered.isFull) continue
      if (slices.used) await slices.pause()
      yield gathered.take()
      if (!snapshot.isOpen) return
      if (!isServed()) {
        throw new SkeinError('REPO_UNAVAILABLE', 'export: the account is not served any more')
      }
    }
    yield gathered.take()
  } finally {
    snapshot.close()
  }
}

/** Blocks that follow each other, and which of them are records that have not been read. */
class Window {
  readonly #snapshot: RepoSnapshot
  readonly #cids: Uint8Array[] = []
  /** Null for a record. */
  readonly #blocks: (Uint8Array | null)[] = []
  readonly #records: Uint8Array[] = []
  #nodeBytes = 0

  constructor(snapshot: RepoSnapshot) {
    this.#snapshot = snapshot
  }

  get isFull(): boolean {
    return this.#records.length >= BATCH_BLOCKS_MAX || this.#nodeBytes >= WINDOW_NODE_BYTES_MAX
  }

  addNode(cid: Uint8Array, block: Uint8Array): void {
    this.#cids.push(cid)
    this.#blocks.push(block)
    this.#nodeBytes += block.length
  }

  addRecord(cid: Uint8Array): void {
    this.#cids.push(cid)
    this.#blocks.push(null)
    this.#records.push(cid)
  }

  /** Everything in order. Large records are read as they are asked for. */
  *blocks(): Generator<CarBlock> {
    const read = this.#records.length === 0 ? [] : this.#snapshot.blocks(this.#records)
    let next = 0
    for (const [i, cid] of this.#cids.entries()) {
      const block = this.#blocks[i] ?? read[next++] ?? blockOf(this.#snapshot, cid)
      yield { cid, block }
    }
  }
}

function blockOf(snapshot: RepoSnapshot, cid: Uint8Array): Uint8Array {
  const block = snapshot.block(cid)
  if (block === null) throw missingBlock(cid)
  return block
}

/** The blocks of an export in streamable order. */
function* blocksOf({ snapshot, head, since }: ExportOptions): Generator<CarBlock> {
  yield { cid: head.commit, block: blockOf(snapshot, head.commit) }
  // What has not left the repository since it came in with a rev has had the same below it since:
  // a node as old as `since` and everything under it is known to the reader.
  const isNew = (cid: Uint8Array): boolean => {
    if (since === null) return true
    const rev = snapshot.blockRev(cid)
    if (rev === null) throw missingBlock(cid)
    return rev > since
  }
  if (!isNew(head.data)) return
  // The walk asks for the block of each node just before it names the node.
  let last: Uint8Array = head.data
  const source = { block: (cid: Uint8Array): Uint8Array => (last = blockOf(snapshot, cid)) }
  const tree = new Tree(source, head.data, { keyRule: isRepoPathBytes })
  let window = new Window(snapshot)
  for (const item of walkOnce(tree, isNew)) {
    if (item.kind === 'node') window.addNode(item.node.cid ?? head.data, last)
    else if (since === null || (snapshot.recordRev(item.key) ?? '') > since) {
      window.addRecord(item.value)
    }
    if (!window.isFull) continue
    yield* window.blocks()
    window = new Window(snapshot)
  }
  yield* window.blocks()
}
