/** A repository to be read: from the account's host, another service, or a CAR file. */

import type { SyncClient } from '../../client/calls/sync-client.ts'
import { Trust } from '../../client/calls/trust.ts'
import {
  parseDidKey,
  parseMultikey,
  formatDidKey,
  type PublicKey,
} from '../../crypto/public-key.ts'
import { loadVerifier, type SignatureVerifier } from '../../crypto/verifier.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { InvalidReason, UnverifiableReason } from '../../lib/reasons.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { type Commit, unsignedBytes } from '../../repo/commit.ts'
import {
  type CommitJudge,
  readRepo,
  type RepoRead,
  type RepoReadOptions,
} from '../../repo/repo-reader.ts'
import { isAtprotoDid, parseAtprotoDid } from '../../syntax/did.ts'
import { given } from '../shared/common-options.ts'
import { fileError, fileSize, readPieces } from '../shared/files.ts'
import type { Session } from '../shared/session.ts'
import { type Account, type AccountName, openSource, parseTarget } from '../shared/targets.ts'

/** The options of a command that decide whom to ask and whom to trust. */
export interface ReadOptions {
  readonly service: string
  readonly did?: string
  readonly key?: string
  readonly skipSignature?: boolean
}

type Refusal = InvalidReason | UnverifiableReason
type Verdict = Result<void, Refusal>
type CheckWithKey<T> = (key: PublicKey, verifier: SignatureVerifier) => Promise<Result<T, Refusal>>

/** How a commit's signature was judged. */
export interface SignatureFacts {
  /** The key that was used, as did:key; null when there was none. */
  readonly key: string | null
  /** `option` for --key, `document` for the DID document. */
  readonly keyFrom: 'option' | 'document' | null
  readonly state: 'good' | 'bad' | 'unknown' | 'skipped'
  /** Why it is bad or unknown. */
  readonly reason: InvalidReason | UnverifiableReason | null
  readonly detail: string | null
}

/** Bytes of a repository, with what is announced of their number. */
export interface RepoBytes {
  readonly pieces: AsyncIterable<Uint8Array>
  /** Null when nobody says. */
  readonly size: number | null
}

/** Whose repository, from where, and how its signature is judged. */
export class RepoSource {
  /** The service's origin, or the path of the file. */
  readonly origin: string
  /** Null for a file that nobody has said the owner of. */
  readonly did: string | null
  readonly account: Account | null
  /** Null for a file. */
  readonly client: SyncClient | null
  /** Path of the record that was named with the account. */
  readonly name: AccountName | null
  readonly #session: Session
  readonly #options: ReadOptions
  #facts: SignatureFacts = NOT_JUDGED

  constructor(
    session: Session,
    options: ReadOptions,
    from: Pick<RepoSource, 'origin' | 'did' | 'account' | 'client' | 'name'>,
  ) {
    this.#session = session
    this.#options = options
    this.origin = from.origin
    this.did = from.did
    this.account = from.account
    this.client = from.client
    this.name = from.name
  }

  /** How the last commit was judged. */
  get signature(): SignatureFacts {
    return this.#facts
  }

  /** What a person calls it. */
  get label(): string {
    return this.account?.handle ?? this.did ?? this.origin
  }

  /** What may be said of what was read to its end. */
  get claim(): string {
    return this.#facts.state === 'good' ? 'verified' : 'whole, signature not checked'
  }

  /** Opens the CAR anew. Rejects with CallError, or SkeinError FILE_FAILED. */
  async open(since?: string): Promise<RepoBytes> {
    const { client, did, origin } = this
    if (client !== null && did !== null) {
      const stream = await client.getRepo(since === undefined ? { did } : { did, since })
      return { pieces: stream, size: stream.contentLength }
    }
    const size = await fileSize(origin)
    if (size === null) throw fileError('read', origin, { code: 'ENOENT' })
    return { pieces: readPieces(origin), size }
  }

  /** Reads a repository out of `pieces`; see `readRepo`. */
  read(
    pieces: AsyncIterable<Uint8Array>,
    options: Omit<RepoReadOptions, 'did' | 'judge'> = {},
  ): Promise<RepoRead> {
    return readRepo(pieces, { did: this.did, judge: this.judge, ...options })
  }

  /** The same whatever comes of the signature: see `signature`. */
  readUnjudged(
    pieces: AsyncIterable<Uint8Array>,
    options: Omit<RepoReadOptions, 'did' | 'judge'> = {},
  ): Promise<RepoRead> {
    const judge: CommitJudge = async (commit, block) => {
      await this.judge(commit, block)
      return ok(undefined)
    }
    return readRepo(pieces, { did: this.did, judge, ...options })
  }

  /** Judges a commit by --key or the DID document; what was found is in `signature` afterwards. */
  readonly judge = async (commit: Commit, block: Uint8Array): Promise<Verdict> => {
    if (this.#options.skipSignature === true) {
      this.#facts = { ...NOT_JUDGED, state: 'skipped' }
      return ok(undefined)
    }
    const rev = new Trust({}).checkRev(commit.rev)
    if (!rev.ok) return rev
    if (!isAtprotoDid(commit.did)) return fail('did-invalid', 'the commit names no DID of atproto')
    const message = unsignedBytes(block)
    return this.withKey(commit.did, async (key, verifier): Promise<Verdict> => {
      const verdict = await verifier.verifyAsync(key, message, commit.signature)
      if (verdict === 'ok') return ok(undefined)
      return fail(verdict, `the signature of rev ${commit.rev} is not by ${formatDidKey(key)}`)
    })
  }

  /** What `check` says with the key of --key, or else with that of the DID document. */
  async withKey<T>(did: string, check: CheckWithKey<T>): Promise<Result<T, Refusal>> {
    const { identities, signal } = this.#session
    const fixed = keyOf(this.#options)
    let used = fixed
    const verdict =
      fixed === null
        ? await new Trust({ identities }).withKey(did, this.origin, signal, (key, verifier) => {
            used = key
            return check(key, verifier)
          })
        : await check(fixed, await loadVerifier())
    this.#facts = {
      key: used === null ? null : formatDidKey(used),
      keyFrom: used === null ? null : fixed === null ? 'document' : 'option',
      state: verdict.ok ? 'good' : verdict.reason.startsWith('identity-') ? 'unknown' : 'bad',
      reason: verdict.ok ? null : verdict.reason,
      detail: verdict.ok ? null : verdict.detail,
    }
    return verdict
  }
}

const NOT_JUDGED: SignatureFacts = {
  key: null,
  keyFrom: null,
  state: 'unknown',
  reason: null,
  detail: null,
}

function keyOf({ key }: ReadOptions): PublicKey | null {
  const text = key === undefined ? null : given(key)
  if (text === null) return null
  const parsed = text.startsWith('did:key:') ? parseDidKey(text) : parseMultikey(text)
  if (parsed !== null) return parsed
  throw new SkeinError('OPTION_INVALID', 'options: --key is no did:key of a supported curve', {
    value: JSON.stringify(text.slice(0, 80)),
  })
}

/**
 * What the words on the command line name.
 *
 * @throws SkeinError OPTION_INVALID, and those of `openSource`.
 */
export async function openRepoSource(
  session: Session,
  target: string,
  options: ReadOptions,
): Promise<RepoSource> {
  keyOf(options)
  const name = parseTarget(target)
  const did = didOption(options)
  if (name.kind === 'car') {
    const from = { origin: name.path, did, account: null, client: null, name: null }
    return new RepoSource(session, options, from)
  }
  const service = given(options.service) ?? name.service
  const named = parseAtprotoDid(name.account)
  if (service !== null && named !== null && needsNoDirectory(options)) {
    const client = session.client(service, 'user')
    checkDid(did, named)
    const from = { origin: client.service, did: named, account: null, client, name }
    return new RepoSource(session, options, from)
  }
  const { account, client } = await openSource(session, name, service)
  checkDid(did, account.did)
  const from = { origin: client.service, did: account.did, account, client, name }
  return new RepoSource(session, options, from)
}

function checkDid(option: string | null, did: string): void {
  if (option === null || option === did) return
  throw new SkeinError('OPTION_INVALID', 'options: --did is another than that of the target', {
    did,
  })
}

/** The key and the service are given: the DID document would say nothing that is needed. */
function needsNoDirectory(options: ReadOptions): boolean {
  return options.skipSignature === true || keyOf(options) !== null
}

function didOption(options: ReadOptions): string | null {
  const text = options.did === undefined ? null : given(options.did)
  if (text === null || parseAtprotoDid(text) !== null) return text
  throw new SkeinError('OPTION_INVALID', 'options: --did is no DID of atproto', {
    value: JSON.stringify(text.slice(0, 80)),
  })
}

/** Passes pieces on, and tells their bytes as they go by. */
export async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void | Promise<void>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    await onBytes(piece.length)
    yield piece
  }
}
