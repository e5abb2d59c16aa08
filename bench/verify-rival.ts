/**
 * What a consumer built on `@atproto/sync` does with a frame, without its socket: the frame decoder
 * and the lexicon check of its `Subscription`, then `parseCommitAuthenticated` of its `Firehose`.
 *
 * The decoder and the lexicon are inner parts of that package and are found through it, so that
 * they are the ones it runs with.
 */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

import { parseCommitAuthenticated } from '@atproto/sync'

type IdResolver = Parameters<typeof parseCommitAuthenticated>[0]
type CommitMessage = Parameters<typeof parseCommitAuthenticated>[1]

export interface Rival {
  /** Decodes and verifies a `#commit` frame; gives the number of operations it vouches for. */
  parse(frame: Uint8Array): Promise<number>
}

interface FrameDecoder {
  readonly Frame: {
    fromBytes(bytes: Uint8Array): {
      readonly header: { readonly t?: string }
      readonly body: Readonly<Record<string, unknown>>
    }
  }
}

type SafeParse = (
  value: unknown,
) =>
  | { readonly success: true; readonly value: CommitMessage }
  | { readonly success: false; readonly reason: Error }

interface Lexicons {
  readonly com: {
    readonly atproto: {
      readonly sync: {
        readonly subscribeRepos: {
          readonly $lxm: string
          readonly $message: { readonly safeParse: SafeParse }
        }
      }
    }
  }
}

/** @param keys The signing key of each DID, as did:key, in place of looking identities up. */
export async function loadRival(keys: ReadonlyMap<string, string>): Promise<Rival> {
  const entry = import.meta.resolve('@atproto/sync')
  const { Frame } = await importFrom<FrameDecoder>(
    pathToFileURL(createRequire(entry).resolve('@atproto/xrpc-server')),
  )
  const { com } = await importFrom<Lexicons>(new URL('./lexicons/index.js', entry))
  const { $lxm, $message } = com.atproto.sync.subscribeRepos
  const resolver = {
    did: { resolveAtprotoKey: (did: string) => Promise.resolve(keys.get(did)) },
  } as unknown as IdResolver
  return {
    async parse(bytes) {
      const { header, body } = Frame.fromBytes(bytes)
      const result = $message.safeParse({ ...body, $type: `${$lxm}${header.t ?? ''}` })
      if (!result.success) throw result.reason
      const events = await parseCommitAuthenticated(resolver, result.value)
      return events.length
    },
  }
}

async function importFrom<T>(url: URL): Promise<T> {
  return (await import(url.href)) as T
}
