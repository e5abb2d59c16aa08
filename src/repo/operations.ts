/**
 * The operations of a `#commit`: their form, what they come to on each path, and undoing them.
 * (Sync specification, "repo operations" and "operation inversion".)
 */
import { CODEC_DAG_CBOR, cidEquals } from '../data/cid.ts'
import { utf8 } from '../lib/bytes.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { keyHeight } from './tree-node.ts'
import type { Tree } from './tree.ts'

/** An operation as the event carries it; CIDs are 36 bytes. */
export interface Operation {
  readonly action: string
  readonly path: string
  readonly cid: Uint8Array | null
  /** Undefined where the event has no `prev`. */
  readonly prev: Uint8Array | undefined
}

/** What a commit did to one path. `before` undefined: the event does not say. */
export interface NetChange {
  readonly path: string
  readonly before: Uint8Array | null | undefined
  readonly after: Uint8Array | null
}

export interface NetChanges {
  /** One for each path, in the order in which the paths are first named. */
  readonly changes: readonly NetChange[]
  /** Paths that more than one operation names. */
  readonly repeated: number
}

export type OperationReason = Extract<InvalidReason, `op-${string}` | 'inversion-mismatch'>

const differs = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a !== b : !cidEquals(a, b)

/** For details. A path may be of any length where its check has been relaxed. */
const pathText = (path: string): string => `path ${path.slice(0, 128)}`

/** Checks an operation by itself: which of cid and prev its action allows. */
function formFault(operation: Operation): string | null {
  const { action, cid, prev } = operation
  if (cid !== null && cid[1] !== CODEC_DAG_CBOR) return 'cid of something else than a record'
  if (action === 'create') {
    if (cid === null) return 'create without cid'
    return prev === undefined ? null : 'create with prev'
  }
  if (action === 'update') return cid === null ? 'update without cid' : null
  if (action === 'delete') return cid === null ? null : 'delete with cid'
  return `unknown action ${JSON.stringify(action.slice(0, 32))}`
}

/**
 * Folds the operations to one change a path.
 *
 * More than one operation on a path is allowed if each follows from the one before: the reference
 * PDS emits such pairs. In a later one `prev` may be absent, as it is implied. Only the net change
 * is inverted, so that nothing rests on the steps between.
 */
export function netChanges(operations: readonly Operation[]): Result<NetChanges, OperationReason> {
  const byPath = new Map<string, NetChange>()
  for (const operation of operations) {
    const fault = formFault(operation)
    if (fault !== null) return fail('op-malformed', `${fault}: ${pathText(operation.path)}`)
    const known = byPath.get(operation.path)
    const next = known === undefined ? firstChange(operation) : laterChange(known, operation)
    if (next === null) return fail('op-path-repeated', pathText(operation.path))
    byPath.set(operation.path, next)
  }
  const changes = [...byPath.values()]
  return ok({ changes, repeated: operations.length - changes.length })
}

function firstChange({ action, path, cid, prev }: Operation): NetChange {
  return { path, before: action === 'create' ? null : prev, after: cid }
}

/** The change that `operation` makes of `known`; null when it does not follow from it. */
function laterChange(known: NetChange, operation: Operation): NetChange | null {
  const stands = known.after
  if ((operation.action === 'create') !== (stands === null)) return null
  if (operation.prev !== undefined && differs(operation.prev, stands)) return null
  return { path: known.path, before: known.before, after: operation.cid }
}

/** The order in which undoing needs the fewest nodes; see {@link invertChanges}. */
function undoOrder(changes: readonly NetChange[]): readonly NetChange[] {
  if (changes.length < 2) return changes
  const ranked = changes.map((change) => ({
    change,
    step: change.after === null ? 0 : change.before === null ? 2 : 1,
    height: keyHeight(utf8(change.path)),
  }))
  ranked.sort((a, b) => a.step - b.step || a.height - b.height)
  return ranked.map(({ change }) => change)
}

/**
 * Undoes changes on the new tree, in place, after checking each against it.
 *
 * Deleted records are put back first: parting a tree takes its search path only, and spares the
 * joins that follow. Created records are taken out from the lowest up, so that a subtree which held
 * nothing else is gone before its neighbours would have to be joined with it. On every pair of
 * trees of the MST test suite this needs no node that its minimal proofs lack.
 *
 * @returns Null when every change agreed with the tree, else the reason.
 * @throws TreeError when the tree is invalid or lacks a block.
 */
export function invertChanges(
  tree: Tree,
  changes: readonly NetChange[],
): { readonly reason: OperationReason; readonly detail: string } | null {
  for (const { path, before, after } of undoOrder(changes)) {
    if (before === undefined) return { reason: 'op-prev-missing', detail: pathText(path) }
    const stands = before === null ? tree.delete(path) : tree.put(path, before)
    if (differs(stands, after)) return { reason: 'op-not-in-tree', detail: pathText(path) }
  }
  return null
}
