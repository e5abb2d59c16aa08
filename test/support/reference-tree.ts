/**
 * The definition of a Merkle search tree, written down a second time: built whole, from its sorted
 * contents, by @atcute/cbor and node:crypto. Slow and plain; what ../../src/repo makes is held
 * against it.
 *
 * Contents may hold subtrees of which only the CID is known, so that a partial tree can be taken
 * apart, changed, and put together again wherever nothing inside those subtrees would have to
 * change.
 */
import { createHash } from 'node:crypto'

import { BytesWrapper, decode, encode } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'

/** A record, or a subtree that is known by CID only, with the height of its root. CIDs are text. */
export type Content =
  | { readonly kind: 'record'; readonly key: string; readonly value: string }
  | { readonly kind: 'subtree'; readonly cid: string; readonly height: number }

/** Thrown when contents cannot be put together without opening a subtree. */
export class SubtreeNeeded extends Error {
  readonly cid: string

  constructor(cid: string) {
    super(`subtree ${cid} has to be opened`)
    this.cid = cid
  }
}

/** Leading zero bit pairs of SHA-256. */
export function referenceHeight(key: string): number {
  const bits = [...createHash('sha256').update(key, 'utf8').digest()]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('')
  return Math.floor(bits.indexOf('1') / 2)
}

/** A tree as its root and its nodes, CID text to bytes. */
export interface ReferenceTree {
  readonly root: string
  readonly nodes: ReadonlyMap<string, Uint8Array>
}

/** The tree of these contents, which must be in key order. */
export function buildTree(contents: readonly Content[]): ReferenceTree {
  const nodes = new Map<string, Uint8Array>()
  const heights = contents.map((content) =>
    content.kind === 'record' ? referenceHeight(content.key) : content.height,
  )
  const root = build(contents, Math.max(0, ...heights), nodes)
  return { root: root ?? putNode(nodes, null, []), nodes }
}

/** The tree of records only, in any order. */
export function buildTreeOf(records: ReadonlyMap<string, string>): ReferenceTree {
  const sorted = [...records].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return buildTree(sorted.map(([key, value]) => ({ kind: 'record', key, value })))
}

interface Entry {
  readonly key: string
  readonly value: string
  readonly after: string | null
}

function build(
  contents: readonly Content[],
  height: number,
  nodes: Map<string, Uint8Array>,
): string | null {
  const [first] = contents
  if (first === undefined) return null
  if (contents.length === 1 && first.kind === 'subtree' && first.height === height) return first.cid
  const gaps: Content[][] = [[]]
  const keys: { readonly key: string; readonly value: string }[] = []
  for (const content of contents) {
    if (content.kind === 'record' && referenceHeight(content.key) === height) {
      keys.push(content)
      gaps.push([])
    } else {
      if (content.kind === 'subtree' && content.height >= height)
        throw new SubtreeNeeded(content.cid)
      gaps.at(-1)?.push(content)
    }
  }
  const links = gaps.map((gap) => build(gap, height - 1, nodes))
  const entries = keys.map(({ key, value }, i) => ({ key, value, after: links[i + 1] ?? null }))
  return putNode(nodes, links[0] ?? null, entries)
}

function putNode(
  nodes: Map<string, Uint8Array>,
  left: string | null,
  entries: readonly Entry[],
): string {
  let before = ''
  const e = entries.map(({ key, value, after }) => {
    let shared = 0
    while (shared < Math.min(before.length, key.length) && before[shared] === key[shared]) shared++
    before = key
    const suffix = new BytesWrapper(new Uint8Array(Buffer.from(key.slice(shared))))
    return { k: suffix, p: shared, t: after === null ? null : link(after), v: link(value) }
  })
  const bytes = encode({ e, l: left === null ? null : link(left) })
  const cid = cidText(bytes)
  nodes.set(cid, bytes)
  return cid
}

function link(cid: string): { readonly $link: string } {
  return { $link: cid }
}

/** Text of the dag-cbor CID of a block. */
export function cidText(block: Uint8Array): string {
  const digest = createHash('sha256').update(block).digest()
  return new CidLinkWrapper(Uint8Array.of(1, 0x71, 0x12, 0x20, ...digest)).$link
}

/** What @atcute/cbor makes of a node. */
interface DecodedNode {
  readonly l: CidLinkWrapper | null
  readonly e: readonly {
    readonly k: BytesWrapper
    readonly p: number
    readonly t: CidLinkWrapper | null
    readonly v: CidLinkWrapper
  }[]
}

/** Takes a tree apart, as far as its blocks are there. */
export function contentsOf(root: string, block: (cid: string) => Uint8Array | null): Content[] {
  const contents: Content[] = []
  const walk = (cid: string, heightAbove: number | null): void => {
    const bytes = block(cid)
    if (bytes === null) {
      contents.push({ kind: 'subtree', cid, height: (heightAbove ?? 0) - 1 })
      return
    }
    const node = decode(bytes) as DecodedNode
    let key = ''
    const keys = node.e.map(({ k, p }) => (key = key.slice(0, p) + Buffer.from(k.buf).toString()))
    const height = heightAbove === null ? referenceHeight(keys[0] ?? '') : heightAbove - 1
    if (node.l !== null) walk(node.l.$link, height)
    for (const [i, { t, v }] of node.e.entries()) {
      contents.push({ kind: 'record', key: keys[i] ?? '', value: v.$link })
      if (t !== null) walk(t.$link, height)
    }
  }
  walk(root, null)
  return contents
}
