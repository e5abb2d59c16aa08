/** Commits with hostile trees, hashed and signed as they should be. */
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { concatBytes } from '../lib/bytes.ts'
import { EMPTY_TREE_CID } from '../repo/tree-node.ts'
import type { CommitBody } from '../stream/frame-types.ts'
import { type BadEventCase, cases } from './bad-event.ts'
import {
  blockOf,
  blocksOf,
  deepCbor,
  forge,
  nodeBlock,
  pathOfHeight,
  withTree,
} from './hostile-commit.ts'
import type { SignedRepo } from './signed-repo.ts'

const P0 = pathOfHeight(0)
const P1 = pathOfHeight(1)
const P2 = pathOfHeight(2)
const V = EMPTY_TREE_CID

/** Commits with hostile trees, hashed and signed as they should be. */
export const TREES: readonly BadEventCase[] = [
  ...cases('mst-malformed', {
    'a node that is no map': ({ repo, good }) =>
      withTree(repo, good, blockOf(Uint8Array.of(0x80)), P0),
    '200,000 arrays in one another': ({ repo, good }) =>
      withTree(repo, good, blockOf(deepCbor(200_000)), P0),
    'a node with a third field': ({ repo, good }) =>
      withTree(repo, good, blockOf(encodeDrisl({ e: [], l: null, x: 1 })), P0),
    'bytes after the node': ({ repo, good }) =>
      withTree(repo, good, blockOf(concatBytes([nodeBlock([]).block, Uint8Array.of(0)])), P0),
    'a root without keys over a subtree': ({ repo, good }) => {
      const below = nodeBlock([{ k: P0, v: V }])
      return withTree(repo, good, nodeBlock([], below), P0, [below])
    },
  }),
  ...cases('mst-key-invalid', {
    'a key that is no path': ({ repo, good }) =>
      withTree(repo, good, nodeBlock([{ k: 'nonsense', v: V }]), P0),
    'an empty key': ({ repo, good }) => withTree(repo, good, nodeBlock([{ k: '', v: V }]), P0),
    'a key of 3,000 bytes': ({ repo, good }) =>
      withTree(repo, good, nodeBlock([{ k: `org.example.note/${'a'.repeat(3_000)}`, v: V }]), P0),
  }),
  ...cases('mst-key-order', {
    'keys that fall': ({ repo, good }) =>
      withTree(
        repo,
        good,
        nodeBlock([
          { k: 'org.example.note/b', v: V },
          { k: 'a', p: 17, v: V },
        ]),
        P0,
      ),
    'a key twice': ({ repo, good }) =>
      withTree(
        repo,
        good,
        nodeBlock([
          { k: P0, v: V },
          { k: '', p: P0.length, v: V },
        ]),
        P0,
      ),
    'a child whose keys lie outside': ({ repo, good }) => {
      const child = nodeBlock([{ k: pathOfHeight(0, 'org.example.note/z'), v: V }])
      return withTree(repo, good, nodeBlock([{ k: P1, v: V }], child), 'org.example.note/a', [
        child,
      ])
    },
  }),
  ...cases('mst-prefix', {
    'a prefix longer than the key': ({ repo, good }) =>
      withTree(
        repo,
        good,
        nodeBlock([
          { k: P0, v: V },
          { k: 'x', p: 60_000, v: V },
        ]),
        P0,
      ),
    'a prefix of the first key': ({ repo, good }) =>
      withTree(repo, good, nodeBlock([{ k: P0, p: 3, v: V }]), P0),
    'a prefix that could be longer': ({ repo, good }) =>
      withTree(
        repo,
        good,
        nodeBlock([
          { k: P0, v: V },
          { k: `${P0.slice(10)}0`, p: 10, v: V },
        ]),
        P0,
      ),
  }),
  ...cases('mst-height', {
    'keys of two heights in a node': ({ repo, good }) =>
      withTree(
        repo,
        good,
        nodeBlock([
          { k: pathOfHeight(1, 'app.example.note/k'), v: V },
          { k: P0, v: V },
        ]),
        P0,
      ),
    'a child two levels below': ({ repo, good }) => {
      const child = nodeBlock([{ k: P0, v: V }])
      const root =
        P0 < P2 ? nodeBlock([{ k: P2, v: V }], child) : nodeBlock([{ k: P2, v: V, t: child }])
      return withTree(repo, good, root, P0, [child])
    },
    'a subtree below the bottom': ({ repo, good }) => {
      const child = nodeBlock([{ k: P0, v: V }])
      return withTree(repo, good, nodeBlock([{ k: P0, v: V, t: child }]), P0, [child])
    },
  }),
  ...cases('mst-block-repeated', {
    'a child repeated at every level': ({ repo, good }) => childPerLevel(repo, good),
  }),
  ...cases('mst-too-large', {
    'a node that claims 100,000 entries': ({ repo, good }) =>
      withTree(repo, good, blockOf(Uint8Array.of(0xa2, 0x61, 0x65, 0x9a, 0, 1, 0x86, 0xa0)), P0),
    'a node with 20,000 entries': ({ repo, good }) => {
      const entries = Array.from({ length: 20_000 }, () => ({ k: 'a', v: V }))
      return withTree(repo, good, nodeBlock(entries), P0)
    },
  }),
  ...cases('mst-block-missing', {
    'the root is not there': ({ repo, good }) =>
      forge(repo, good, { blocks: blocksOf(good).slice(-1) }),
    'a child on the way is not there': ({ repo, good }) => {
      const child = nodeBlock([{ k: P0, v: V }])
      const root =
        P0 < P1 ? nodeBlock([{ k: P1, v: V }], child) : nodeBlock([{ k: P1, v: V, t: child }])
      return withTree(repo, good, root, P0)
    },
  }),
]

/** Each sorts after those of lower heights, so that a left side is in order and is entered. */
const keyAt = (height: number): string => pathOfHeight(height, `org.example.note/${height}k`)

/**
 * Nodes that name one child on both sides: expanded they would be 2^6 nodes, in a real attack 2^40.
 */
function childPerLevel(repo: SignedRepo, good: CommitBody): CommitBody {
  const record = blockOf(encodeDrisl({ hostile: true }))
  const top = 6
  const nodes = [nodeBlock([{ k: keyAt(0), v: record.cid }])]
  for (let height = 1; height <= top; height++) {
    const child = must(nodes.at(-1), 'child')
    nodes.push(nodeBlock([{ k: keyAt(height), v: record.cid, t: child }], child))
  }
  return withTree(repo, good, must(nodes.at(-1), 'root'), keyAt(top), nodes.slice(0, -1))
}
