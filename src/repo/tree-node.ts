/**
 * One node of a Merkle search tree: as an object, and as its canonical bytes.
 *
 * ```
 * node  = a2 61'e' array(entry...) 61'l' (link | null)
 * entry = a4 61'k' bytes(key suffix) 61'p' uint(prefix length) 61't' (link | null) 61'v' link
 * link  = d8 2a 58 25 00 cid(36)
 * ```
 *
 * `l` is the subtree before the first key, an entry's `t` the subtree after its key. A key is the
 * first `p` bytes of the key before it in the node, followed by `k`; `p` is as long as possible,
 * and 0 for the first. A key stands at the height that its hash demands: the number of leading zero
 * bit pairs of its SHA-256. (Repository specification, "MST structure".)
 */
import { asciiText } from '../crypto/ascii.ts'
import { sha256Latin1 } from '../crypto/sha256.ts'
import { CID_BYTES, CODEC_DAG_CBOR, cidOf, isCidBytes } from '../data/cid.ts'
import { MST_HEIGHT_MAX, MST_NODE_ENTRIES_MAX, PATH_BYTES_MAX } from '../lib/limits.ts'
import { TreeError } from './tree-error.ts'

/** A subtree: nothing, a node in memory, or the 36 bytes of the CID of one that is not loaded. */
export type Subtree = TreeNode | Uint8Array | null

/** A node in memory. `subtrees[i]` lies before `keys[i]`, the last one after all keys. */
export interface TreeNode {
  /** Height of the keys; for a node without keys, one below its parent. */
  height: number
  /** Full keys, strictly rising. ASCII, so that text order is byte order. */
  keys: string[]
  /** CIDs of the records, as many as keys. */
  values: Uint8Array[]
  /** One more than keys. */
  subtrees: Subtree[]
  /** The CID of the node's bytes, or null when it has changed since. */
  cid: Uint8Array | null
  /** The bytes that it was read from, or null when keys or values have changed since. */
  form: NodeForm | null
  /** The keys that enclose the node, exclusive; null where nothing does. */
  lower: string | null
  upper: string | null
}

/**
 * A node's bytes and where its links to subtrees stand in them. A change deep in a tree changes no
 * more of the nodes above it than one link each, so that these are patched and not written anew.
 */
export interface NodeForm {
  readonly bytes: Uint8Array
  /** Where the CID of each subtree begins; 0 where there is none. */
  readonly linkOffsets: number[]
}

/** Judges the bytes of a key, from `start` to `end`. Trees of repositories take paths only. */
export type KeyRule = (bytes: Uint8Array, start: number, end: number) => boolean

/** The height of a key: leading zero bit pairs of its SHA-256, at most 128. */
export function keyHeight(key: Uint8Array): number {
  const digest = sha256Latin1(key)
  let height = 0
  for (let i = 0; i < 32; i++) {
    const byte = digest.charCodeAt(i)
    if (byte === 0) {
      height += 4
      continue
    }
    return height + (Math.clz32(byte) >> 1) - 12
  }
  return height
}

/** A node without keys over `subtree`, as the tree needs between levels. */
export function bareNode(height: number, subtree: Subtree): TreeNode {
  return {
    height,
    keys: [],
    values: [],
    subtrees: [subtree],
    cid: null,
    form: null,
    lower: null,
    upper: null,
  }
}

// The key that is being put together: a key shares its beginning with the one before it.
const keyBytes = new Uint8Array(PATH_BYTES_MAX)

/** A cursor over the bytes of one node; each method throws TreeError where the form is broken. */
class NodeReader {
  readonly #bytes: Uint8Array
  #pos = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#pos === this.#bytes.length
  }

  byte(): number {
    const byte = this.#bytes[this.#pos]
    if (byte === undefined) throw malformed('node is cut')
    this.#pos++
    return byte
  }

  /** Expects these two bytes of a one-letter map key. */
  name(letter: number): void {
    if (this.byte() !== 0x61 || this.byte() !== letter) throw malformed('map keys differ')
  }

  /** A head of `major` in its shortest form, its argument under 65,536 for lengths and counts. */
  head(major: number): number {
    const initial = this.byte()
    const info = initial & 31
    if (initial >> 5 !== major) throw malformed('value of another type')
    if (info < 24) return info
    if (info === 24) return this.#atLeast(this.byte(), 24)
    if (info === 25) return this.#atLeast(this.byte() * 256 + this.byte(), 256)
    if (info === 26 && major === 4) throw tooManyEntries()
    throw malformed('length is out of range')
  }

  #atLeast(argument: number, least: number): number {
    if (argument < least) throw malformed('length is not in its shortest form')
    return argument
  }

  /** Where the next byte stands. */
  get position(): number {
    return this.#pos
  }

  /** A CID link as a view. */
  link(): Uint8Array {
    const bytes = this.#bytes
    const pos = this.#pos
    const tagged =
      bytes[pos] === 0xd8 &&
      bytes[pos + 1] === 0x2a &&
      bytes[pos + 2] === 0x58 &&
      bytes[pos + 3] === CID_BYTES + 1 &&
      bytes[pos + 4] === 0
    if (!tagged || !isCidBytes(bytes, pos + 5)) throw malformed('no CID link where one belongs')
    this.#pos = pos + 5 + CID_BYTES
    return bytes.subarray(pos + 5, this.#pos)
  }

  /** A link to a node, or null. */
  subtree(): Uint8Array | null {
    if (this.#bytes[this.#pos] === 0xf6) {
      this.#pos++
      return null
    }
    const cid = this.link()
    if (cid[1] !== CODEC_DAG_CBOR) throw malformed('subtree is not a dag-cbor link')
    return cid
  }

  /**
   * Copies a byte string behind the first `prefix` bytes of the key buffer; returns the key's end.
   */
  suffix(): { readonly start: number; readonly length: number } {
    const length = this.head(2)
    const start = this.#pos
    if (start + length > this.#bytes.length) throw malformed('node is cut')
    this.#pos += length
    return { start, length }
  }
}

function malformed(what: string): TreeError {
  return new TreeError('mst-malformed', what)
}

function tooManyEntries(): TreeError {
  return new TreeError('mst-too-large', `node has over ${MST_NODE_ENTRIES_MAX} entries`)
}

/** Bytes of a link to a CID: tag, length, the zero byte, the CID. */
const LINK_BYTES = 5 + CID_BYTES
/** Bytes of an entry behind its subtree: the name `v` and a link. */
const VALUE_FIELD_BYTES = 2 + LINK_BYTES

/**
 * Reads a node and checks every rule that can be seen in it alone: canonical form, prefixes, key
 * order and syntax, and that all keys have the one height that their hashes demand.
 *
 * The height of a node without keys is -1: only its parent knows it. CIDs are views into `bytes`.
 *
 * @throws TreeError
 */
export function decodeNode(bytes: Uint8Array, cid: Uint8Array, keyRule: KeyRule): TreeNode {
  const reader = new NodeReader(bytes)
  if (reader.byte() !== 0xa2) throw malformed('node is no map of two')
  reader.name(0x65)
  const count = reader.head(4)
  if (count > MST_NODE_ENTRIES_MAX) throw tooManyEntries()
  const linkOffsets = [0]
  const node: TreeNode = {
    height: -1,
    keys: [],
    values: [],
    subtrees: [null],
    cid,
    form: { bytes, linkOffsets },
    lower: null,
    upper: null,
  }
  let keyLength = 0
  for (let i = 0; i < count; i++) {
    keyLength = readEntry(reader, bytes, node, keyLength, keyRule)
    const linkEnd = reader.position - VALUE_FIELD_BYTES
    linkOffsets.push(node.subtrees[i + 1] === null ? 0 : linkEnd - CID_BYTES)
  }
  reader.name(0x6c)
  node.subtrees[0] = reader.subtree()
  if (node.subtrees[0] !== null) linkOffsets[0] = reader.position - CID_BYTES
  if (!reader.atEnd) throw malformed('bytes after the node')
  return node
}

/** Reads one entry into `node`; `before` is the length of the key before it. Returns the key's. */
function readEntry(
  reader: NodeReader,
  bytes: Uint8Array,
  node: TreeNode,
  before: number,
  keyRule: KeyRule,
): number {
  if (reader.byte() !== 0xa4) throw malformed('entry is no map of four')
  reader.name(0x6b)
  const suffix = reader.suffix()
  reader.name(0x70)
  const prefix = reader.head(0)
  const length = prefix + suffix.length
  if (prefix > before) throw new TreeError('mst-prefix', 'prefix is longer than the key before')
  if (length > PATH_BYTES_MAX) throw new TreeError('mst-key-invalid', `key has ${length} bytes`)
  checkOrder(bytes, suffix.start, suffix.length, prefix, before, node.keys.length)
  for (let i = 0; i < suffix.length; i++) keyBytes[prefix + i] = bytes[suffix.start + i] as number
  const key = asciiText(keyBytes, 0, length)
  if (!keyRule(keyBytes, 0, length)) {
    throw new TreeError('mst-key-invalid', `key ${JSON.stringify(key.slice(0, 80))}`)
  }
  const height = keyHeight(keyBytes.subarray(0, length))
  if (height > MST_HEIGHT_MAX) throw new TreeError('mst-too-large', `key of height ${height}`)
  if (node.keys.length === 0) node.height = height
  else if (height !== node.height)
    throw new TreeError('mst-height', 'keys of one node differ in height')
  reader.name(0x74)
  node.subtrees.push(reader.subtree())
  reader.name(0x76)
  node.keys.push(key)
  node.values.push(reader.link())
  return length
}

/** Checks that a key sorts after the one in `keyBytes`, and that its prefix could not be longer. */
function checkOrder(
  bytes: Uint8Array,
  suffixStart: number,
  suffixLength: number,
  prefix: number,
  before: number,
  index: number,
): void {
  if (index === 0) return
  const first = bytes[suffixStart] as number
  const replaced = keyBytes[prefix] as number
  if (suffixLength === 0 || (prefix < before && first < replaced)) {
    throw new TreeError('mst-key-order', 'a key does not sort after the one before it')
  }
  if (prefix < before && first === replaced) {
    throw new TreeError('mst-prefix', 'prefix is shorter than what the keys share')
  }
}

// ---- Writing

let scratch = new Uint8Array(4_096)

/** Makes room for `length` bytes at `pos`, keeping what stands before. */
function reserve(pos: number, length: number): void {
  if (pos + length <= scratch.length) return
  const grown = new Uint8Array(Math.max(scratch.length * 2, pos + length))
  grown.set(scratch.subarray(0, pos))
  scratch = grown
}

/** Most bytes that an entry takes beside its key suffix: names, heads and two links. */
const ENTRY_OVERHEAD_BYTES = 1 + 4 * 2 + 3 + 3 + 2 * (CID_BYTES + 5)

function writeHead(pos: number, major: number, argument: number): number {
  const top = major << 5
  if (argument < 24) {
    scratch[pos] = top | argument
    return pos + 1
  }
  if (argument < 256) {
    scratch[pos] = top | 24
    scratch[pos + 1] = argument
    return pos + 2
  }
  scratch[pos] = top | 25
  scratch[pos + 1] = argument >> 8
  scratch[pos + 2] = argument & 255
  return pos + 3
}

function writeName(pos: number, letter: number): number {
  scratch[pos] = 0x61
  scratch[pos + 1] = letter
  return pos + 2
}

function writeLink(pos: number, cid: Uint8Array | null): number {
  if (cid === null) {
    scratch[pos] = 0xf6
    return pos + 1
  }
  scratch[pos] = 0xd8
  scratch[pos + 1] = 0x2a
  scratch[pos + 2] = 0x58
  scratch[pos + 3] = CID_BYTES + 1
  scratch[pos + 4] = 0
  scratch.set(cid, pos + 5)
  return pos + 5 + CID_BYTES
}

function sharedPrefix(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a.charCodeAt(i) !== b.charCodeAt(i)) return i
  return length
}

/** The node's old bytes with other links in them; null where a link has come or gone. */
function patchForm(form: NodeForm, links: readonly (Uint8Array | null)[]): Uint8Array | null {
  const { linkOffsets } = form
  for (let i = 0; i < links.length; i++) {
    if ((links[i] === null) !== (linkOffsets[i] === 0)) return null
  }
  const bytes = form.bytes.slice()
  for (let i = 0; i < links.length; i++) {
    const cid = links[i] as Uint8Array | null
    if (cid !== null) bytes.set(cid, linkOffsets[i])
  }
  return bytes
}

/**
 * The canonical bytes of a node whose subtrees all have CIDs (see `link`). A new array.
 *
 * @param link The CID of a subtree; called once for each, in no particular order.
 */
export function encodeNode(
  node: TreeNode,
  link: (subtree: Subtree) => Uint8Array | null,
): Uint8Array {
  // Links come first: finding one may encode other nodes into the same scratch space.
  const links = node.subtrees.map(link)
  const patched = node.form === null ? null : patchForm(node.form, links)
  if (patched !== null) return patched
  let pos = 0
  reserve(pos, 8)
  scratch[pos++] = 0xa2
  pos = writeName(pos, 0x65)
  pos = writeHead(pos, 4, node.keys.length)
  let before = ''
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i] as string
    const prefix = i === 0 ? 0 : sharedPrefix(before, key)
    reserve(pos, ENTRY_OVERHEAD_BYTES + key.length)
    scratch[pos++] = 0xa4
    pos = writeName(pos, 0x6b)
    pos = writeHead(pos, 2, key.length - prefix)
    for (let j = prefix; j < key.length; j++) scratch[pos++] = key.charCodeAt(j)
    pos = writeHead(writeName(pos, 0x70), 0, prefix)
    pos = writeLink(writeName(pos, 0x74), links[i + 1] as Uint8Array | null)
    pos = writeLink(writeName(pos, 0x76), node.values[i] as Uint8Array)
    before = key
  }
  reserve(pos, 2 + CID_BYTES + 5)
  pos = writeLink(writeName(pos, 0x6c), links[0] as Uint8Array | null)
  return scratch.slice(0, pos)
}

/** The bytes and the CID of the tree without records: one node without entries. */
export const EMPTY_TREE_BLOCK: Uint8Array = Uint8Array.of(0xa2, 0x61, 0x65, 0x80, 0x61, 0x6c, 0xf6)
export const EMPTY_TREE_CID: Uint8Array = cidOf(CODEC_DAG_CBOR, EMPTY_TREE_BLOCK)
