/** An honest commit and its verdict, for tests that change one thing about it. */
import type { Curve } from '../../src/crypto/curve.ts'
import type { PublicKey } from '../../src/crypto/public-key.ts'
import { loadVerifier, type SignatureVerifier } from '../../src/crypto/verifier.ts'
import type { CheckModes } from '../../src/repo/checks.ts'
import { type Verdict, verifyCommit } from '../../src/repo/verify.ts'
import { type CommitBody, SignedRepo } from './signed-repo.ts'

export const verifier: SignatureVerifier = await loadVerifier()

/** A day after the example's commits were signed. */
export const NOW_MS: number = Date.UTC(2026, 0, 2)
/** The record that the example's last commit creates. */
export const PATH = 'org.example.note/one'

export function judge(
  body: CommitBody,
  key: PublicKey,
  checks: CheckModes = {},
  nowMs: number = NOW_MS,
): Verdict {
  return verifyCommit(body, { key, verifier, nowMs, checks })
}

/** `ok`, or why not. */
export function reasonOf(verdict: Verdict): string {
  return verdict.ok ? 'ok' : verdict.reason
}

/** A repository of 40 records, and its honest next commit: a create, an update and a delete. */
export function example(curve: Curve = 'k256'): {
  readonly repo: SignedRepo
  readonly good: CommitBody
} {
  const repo = new SignedRepo({ seed: 'example', curve })
  repo.apply([])
  const paths = Array.from({ length: 40 }, (_, i) => `org.example.note/r${i}`)
  repo.apply(paths.map((path, i) => ({ action: 'create', path, record: { i } })))
  const good = repo.apply([
    { action: 'create', path: PATH, record: { text: 'one' } },
    { action: 'update', path: 'org.example.note/r7', record: { i: -7 } },
    { action: 'delete', path: 'org.example.note/r20' },
  ])
  return { repo, good }
}
