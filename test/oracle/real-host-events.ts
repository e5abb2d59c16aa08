/**
 * What a host has said, held against what it must have said, read by @atcute/cbor and verified by
 * @atcute/crypto. Whether operations invert is for the relay that reads along.
 */
import { createHash } from 'node:crypto'
import { type BytesWrapper, decode, encode } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { verifySigWithDidKey } from '@atcute/crypto'
import { readCarBlocks } from '../support/read-car.ts'
import type { ReceivedFrame } from '../support/relay-client.ts'
import type { ExpectedCommit, ExpectedEvent, SaidCommit } from './real-host-operations.ts'

/** Text of a CID. */
export function cidTextOf(cid: Uint8Array): string {
  return new CidLinkWrapper(cid).$link
}

/** Text of the CID of bytes under the codec of another CID, by node:crypto. */
export function cidLike(cid: Uint8Array, bytes: Uint8Array): string {
  const digest = createHash('sha256').update(bytes).digest()
  return cidTextOf(Uint8Array.of(1, cid[1] ?? 0, 0x12, 0x20, ...digest))
}

/**
 * The blocks of a CAR by CID, and their order: a record that stands at several paths comes at each.
 * Faults are blocks that are not what their CID says.
 */
export function readBlocks(car: Uint8Array): {
  readonly root: string | null
  readonly roots: number
  readonly blocks: ReadonlyMap<string, Uint8Array>
  readonly order: readonly string[]
  readonly faults: readonly string[]
} {
  const { roots, blocks } = readCarBlocks(car)
  const faults: string[] = []
  const byCid = new Map<string, Uint8Array>()
  for (const { cid, block } of blocks) {
    const text = cidTextOf(cid)
    if (cidLike(cid, block) !== text) faults.push(`block ${text} is something else`)
    byCid.set(text, block)
  }
  const [first] = roots
  return {
    root: first === undefined ? null : cidTextOf(first),
    roots: roots.length,
    blocks: byCid,
    order: blocks.map(({ cid }) => cidTextOf(cid)),
    faults,
  }
}

interface DecodedCommit {
  readonly did: string
  readonly version: number
  readonly prev: unknown
  readonly rev: string
  readonly data: CidLinkWrapper
  readonly sig: BytesWrapper
}

/** What is wrong with a commit block. */
export async function commitFaults(
  did: string,
  block: Uint8Array | undefined,
  { rev, data, key }: Pick<ExpectedCommit, 'rev' | 'data' | 'key'>,
): Promise<string[]> {
  if (block === undefined) return ['the commit is not there']
  const { sig, ...unsigned } = decode(block) as DecodedCommit
  const found = `${unsigned.did} ${unsigned.version} ${unsigned.rev} ${unsigned.data.$link}`
  const wanted = `${did} 3 ${rev} ${data}`
  const faults = found === wanted ? [] : [`the commit says ${found}, not ${wanted}`]
  if (unsigned.prev !== null) faults.push('prev of the commit is not null')
  const signature = new Uint8Array(sig.buf)
  const isGood = await verifySigWithDidKey(key, signature, new Uint8Array(encode(unsigned)))
  return isGood ? faults : [...faults, `the commit does not verify under ${key}`]
}

/** The commit that a turn of events speaks of. */
export function saidIn(frames: readonly ReceivedFrame[]): SaidCommit | null {
  for (const { type, body } of frames) {
    if (type === '#commit') {
      return { rev: String(body['rev']), commit: (body['commit'] as CidLinkWrapper).$link }
    }
    if (type !== '#sync') continue
    const { root } = readBlocks((body['blocks'] as BytesWrapper).buf)
    return { rev: String(body['rev']), commit: root ?? '' }
  }
  return null
}

/** A frame in a few words. */
export function brief({ type, body, seq }: ReceivedFrame): string {
  const { rev, status, active, handle } = body
  return `seq ${seq} ${type} ${JSON.stringify({ rev, status, active, handle })}`
}

/** What is wrong with a frame that must be this event of this account. */
export async function eventFaults(
  did: string,
  expected: ExpectedEvent,
  frame: ReceivedFrame,
): Promise<string[]> {
  const { type, body } = frame
  const told = (fault: string): string => `${did}: ${brief(frame)}: ${fault}`
  if (type !== expected.type) return [told(`is not ${expected.type}`)]
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(String(body['time']))) return [told('time')]
  if (expected.type === '#identity') {
    return body['handle'] === expected.handle ? [] : [told(`handle is not ${expected.handle}`)]
  }
  if (expected.type !== '#account') return (await contentFaults(did, expected, body)).map(told)
  const isActive = expected.status === 'active'
  const isRight =
    body['active'] === isActive && body['status'] === (isActive ? undefined : expected.status)
  return isRight ? [] : [told(`is not ${expected.status}`)]
}

/** What is wrong with the content of a `#commit` or `#sync`. */
async function contentFaults(
  did: string,
  expected: Extract<ExpectedEvent, { type: '#commit' | '#sync' }>,
  body: ReceivedFrame['body'],
): Promise<string[]> {
  const { root, roots, blocks, faults } = readBlocks((body['blocks'] as BytesWrapper).buf)
  const found = [...faults]
  if (body['rev'] !== expected.rev) found.push(`rev is not ${expected.rev}`)
  if (roots !== 1 || root !== expected.commit) found.push(`root ${root} of ${roots}`)
  found.push(...(await commitFaults(did, blocks.get(expected.commit), expected)))
  if (expected.type === '#commit') found.push(...operationFaults(expected, body, blocks))
  else if (blocks.size !== 1) found.push(`${blocks.size} blocks`)
  return found
}

function linkText(value: unknown): string | null {
  return value instanceof CidLinkWrapper ? value.$link : null
}

function operationFaults(
  expected: Extract<ExpectedEvent, { type: '#commit' }>,
  body: ReceivedFrame['body'],
  blocks: ReadonlyMap<string, Uint8Array>,
): string[] {
  const faults: string[] = []
  const same = (name: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) faults.push(`${name} is ${String(found)}, not ${String(wanted)}`)
  }
  same('commit', linkText(body['commit']), expected.commit)
  same('since', body['since'] ?? null, expected.since)
  same('prevData', linkText(body['prevData']), expected.prevData)
  same('rebase', body['rebase'], false)
  same('tooBig', body['tooBig'], false)
  const ops = body['ops'] as readonly Readonly<Record<string, unknown>>[]
  const texts = ops.map(({ action, path, cid, prev }) =>
    [String(action), String(path), linkText(cid) ?? '-', linkText(prev) ?? '-'].join(' '),
  )
  same('ops', texts.toSorted().join('\n'), expected.ops.join('\n'))
  for (const { cid } of ops) {
    const text = linkText(cid)
    if (text !== null && !blocks.has(text)) faults.push(`record ${text} is not in the blocks`)
  }
  return faults
}
