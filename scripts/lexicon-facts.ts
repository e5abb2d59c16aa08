/** What the lexicons of com.atproto.sync say of each call: parameters, results, errors. */
import { mainSchema as getBlob } from '@atcute/atproto/types/sync/getBlob'
import { mainSchema as getBlocks } from '@atcute/atproto/types/sync/getBlocks'
import { mainSchema as getCheckout } from '@atcute/atproto/types/sync/getCheckout'
import { mainSchema as getHead } from '@atcute/atproto/types/sync/getHead'
import { mainSchema as getHostStatus } from '@atcute/atproto/types/sync/getHostStatus'
import { mainSchema as getLatestCommit } from '@atcute/atproto/types/sync/getLatestCommit'
import { mainSchema as getRecord } from '@atcute/atproto/types/sync/getRecord'
import { mainSchema as getRepo } from '@atcute/atproto/types/sync/getRepo'
import { mainSchema as getRepoStatus } from '@atcute/atproto/types/sync/getRepoStatus'
import { mainSchema as listBlobs } from '@atcute/atproto/types/sync/listBlobs'
import { mainSchema as listHosts } from '@atcute/atproto/types/sync/listHosts'
import { mainSchema as listRepos } from '@atcute/atproto/types/sync/listRepos'
import { mainSchema as listReposByCollection } from '@atcute/atproto/types/sync/listReposByCollection'
import { mainSchema as notifyOfUpdate } from '@atcute/atproto/types/sync/notifyOfUpdate'
import { mainSchema as requestCrawl } from '@atcute/atproto/types/sync/requestCrawl'
import { mainSchema as subscribeRepos } from '@atcute/atproto/types/sync/subscribeRepos'

import type { LexiconErrorName } from '../src/client/calls/call-error.ts'

const SCHEMAS: readonly object[] = [
  getBlob,
  getBlocks,
  getCheckout,
  getHead,
  getHostStatus,
  getLatestCommit,
  getRecord,
  getRepo,
  getRepoStatus,
  listBlobs,
  listHosts,
  listRepos,
  listReposByCollection,
  notifyOfUpdate,
  requestCrawl,
  subscribeRepos,
]

const OF_A_REPO: readonly LexiconErrorName[] = [
  'RepoNotFound',
  'RepoTakendown',
  'RepoSuspended',
  'RepoDeactivated',
]

/** Errors that the lexicons declare, by call; the schemas of `@atcute/atproto` leave them out. */
export const DECLARED_ERRORS: Readonly<Record<string, readonly LexiconErrorName[]>> = {
  getBlob: ['BlobNotFound', ...OF_A_REPO],
  getBlocks: ['BlockNotFound', ...OF_A_REPO],
  getCheckout: [],
  getHead: ['HeadNotFound'],
  getHostStatus: ['HostNotFound'],
  getLatestCommit: OF_A_REPO,
  getRecord: ['RecordNotFound', ...OF_A_REPO],
  getRepo: OF_A_REPO,
  getRepoStatus: ['RepoNotFound'],
  listBlobs: OF_A_REPO,
  listHosts: [],
  listRepos: [],
  listReposByCollection: [],
  notifyOfUpdate: [],
  requestCrawl: ['HostBanned'],
  subscribeRepos: ['FutureCursor', 'ConsumerTooSlow'],
}

/** A parameter, or a field of a result. */
export interface FieldFacts {
  readonly name: string
  readonly type: string
  readonly isRequired: boolean
}

export interface CallFacts {
  /** `getRepo`. */
  readonly name: string
  readonly nsid: string
  readonly kind: 'query' | 'procedure' | 'subscription'
  readonly params: readonly FieldFacts[]
  /** What comes back: fields of JSON, or bytes of a type, or nothing, or messages. */
  readonly result:
    | { readonly kind: 'json'; readonly fields: readonly FieldFacts[] }
    | { readonly kind: 'bytes'; readonly encoding: string }
    | { readonly kind: 'nothing' | 'messages' }
  readonly errors: readonly LexiconErrorName[]
}

/** The part of a schema that is read. */
interface Shape {
  readonly type?: string
  readonly kind?: string
  readonly nsid?: string
  readonly format?: string | null
  readonly wrapped?: Shape
  readonly item?: Shape
  readonly default?: unknown
  readonly shape?: Readonly<Record<string, Shape>>
  readonly schema?: Shape
  readonly encoding?: readonly string[]
  readonly params?: Shape | null
  readonly input?: Shape | null
  readonly output?: Shape | null
  readonly constraints?: readonly { readonly type: string; readonly [bound: string]: unknown }[]
}

/** What formats of text are called. */
const FORMATS: Readonly<Record<string, string>> = {
  did: 'DID',
  cid: 'CID',
  nsid: 'NSID',
  tid: 'TID',
  'record-key': 'record key',
}

/** The facts of all calls. */
export const CALL_FACTS: readonly CallFacts[] = SCHEMAS.map((schema) => factsOf(schema))

function factsOf(schema: Shape): CallFacts {
  const nsid = schema.nsid ?? ''
  const name = nsid.slice(nsid.lastIndexOf('.') + 1)
  const kind = (schema.type ?? '').replace('xrpc_', '') as CallFacts['kind']
  const params = kind === 'procedure' ? schema.input?.schema : schema.params
  return {
    name,
    nsid,
    kind,
    params: fieldsOf(params).toSorted((a, b) => Number(b.isRequired) - Number(a.isRequired)),
    result: resultOf(schema, kind),
    errors: DECLARED_ERRORS[name] ?? [],
  }
}

function resultOf(schema: Shape, kind: CallFacts['kind']): CallFacts['result'] {
  if (kind === 'subscription') return { kind: 'messages' }
  const { output } = schema
  if (output === null || output === undefined) return { kind: 'nothing' }
  if (output.type === 'lex') return { kind: 'json', fields: fieldsOf(output.schema) }
  return { kind: 'bytes', encoding: (output.encoding ?? ['*/*']).join(', ') }
}

function fieldsOf(schema: Shape | null | undefined, prefix = ''): FieldFacts[] {
  const fields: FieldFacts[] = []
  for (const [key, given] of Object.entries(schema?.shape ?? {})) {
    if (key === '$type') continue
    const isOptional = given.type === 'optional'
    const inner = isOptional ? (given.wrapped ?? given) : given
    const name = prefix + key
    fields.push({ name, type: typeText(inner, given.default), isRequired: !isOptional })
    const isList = inner.type === 'array' && inner.item?.type === 'object'
    if (isList) fields.push(...fieldsOf(inner.item, `${name}[].`))
  }
  return fields
}

function typeText(schema: Shape, fallback: unknown): string {
  const { type = '', format, item } = schema
  const bounds = (schema.constraints ?? []).map((bound) =>
    bound.type === 'integer_range' ? `, ${String(bound['min'])} to ${String(bound['max'])}` : '',
  )
  const base =
    type === 'array'
      ? `list of ${item?.type === 'object' ? 'objects' : typeText(item ?? {}, undefined)}`
      : (FORMATS[format ?? ''] ?? (type === 'string' ? 'text' : type))
  return `${base}${bounds.join('')}${fallback === undefined ? '' : `, default ${JSON.stringify(fallback)}`}`
}
