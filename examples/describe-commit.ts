import { loadVerifier, parseDidKey } from '../src/crypto/index.ts'
import { verifyCommit } from '../src/repo/index.ts'
import { parseFrame } from '../src/stream/index.ts'

const verifier = await loadVerifier()

/** What one message of an event stream says, checked against its author's signing key. */
export function describeCommit(message: Uint8Array, didKey: string): string {
  const frame = parseFrame(message)
  if (!frame.ok) return `refused: ${frame.reason}`
  if (frame.value.kind !== 'message' || frame.value.type !== '#commit') return 'not a commit'
  const key = parseDidKey(didKey)
  if (key === null) return 'not a key'
  const verdict = verifyCommit(frame.value.body, { key, verifier, nowMs: Date.now() })
  if (!verdict.ok) return `refused: ${verdict.reason}`
  const { did, rev, changes } = verdict.value
  return `${did} at ${rev} changed ${changes.map(({ path }) => path).join(', ')}`
}
