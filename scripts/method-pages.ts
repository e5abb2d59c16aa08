/**
 * The generated parts of docs/client/methods and docs/client/errors.md. They stand between two
 * comments in pages that are otherwise written by hand.
 */
import {
  CALL_ERRORS,
  CallError,
  type CallErrorCode,
  LEXICON_ERRORS,
} from '../src/client/calls/call-error.ts'
import { CALL_FACTS, type CallFacts, type FieldFacts } from './lexicon-facts.ts'

const BEGIN = '<!-- begin generated: npm run docs -->'
const END = '<!-- end generated -->'

/** What to do about each code. */
export const ADVICE: Readonly<Record<CallErrorCode, string>> = {
  Aborted: 'Nothing: it was you.',
  AuthenticationRequired: 'Use another service: these calls are public.',
  BlobNotFound: "Ask the account's current host; the record that names it may be newer or wrong.",
  Blocked: 'Do not follow; on a closed network set `allowPrivateNetwork`.',
  BlockNotFound: 'Fetch the repository anew: the blocks are of a commit that is gone.',
  ConsumerTooSlow: 'Connect again at your cursor, and do less between two events.',
  Forbidden: 'Use another service.',
  FutureCursor: 'Drop the cursor: it is of another service, or that one began anew.',
  HeadNotFound: 'As RepoNotFound.',
  HostBanned: 'Ask the operator of the relay.',
  HostNotFound: 'Ask the relay to read the host: `requestCrawl`.',
  InvalidRequest: 'Correct the parameters.',
  InvalidResponse: 'Tell the operator; use another service.',
  MethodNotImplemented: 'Ask a service of another role.',
  NotFound: 'Look at the address: it is no atproto service.',
  OtherError: 'Look at `error` and `status`.',
  RateLimited: 'Wait for `retryAfterMs`. The client has done so a few times already.',
  RecordNotFound: 'Believe it only as far as the service: `verified.getRecord` gives a proof.',
  RepoDeactivated: 'Hide the account; wait for its `#account` event.',
  RepoNotFound: 'Resolve the DID again: the account has moved or is gone.',
  RepoSuspended: 'Hide the account; wait for its `#account` event.',
  RepoTakendown: 'Hide the account; wait for its `#account` event.',
  ServerError: 'Later; the client has tried again already.',
  Timeout: 'Later; raise the limits of the client for a slow network.',
  TooLarge: 'Raise the limit of the client that the message names, if you trust it so far.',
  Truncated: 'Ask again from the beginning.',
  Unreachable: 'Look at the address; later.',
  Unverified: 'Do not use it. Ask another service; see `reason`.',
}

/** What parameters and fields mean; `call.name` goes before `name`. */
const MEANINGS: Readonly<Record<string, string>> = {
  did: 'the account',
  cid: 'CID of the blob',
  cids: 'CIDs of blocks',
  collection: 'the collection',
  rkey: 'the record within it',
  since: 'only what is newer than this rev',
  cursor: 'where to go on; iterating does this for you',
  limit: 'entries of one page',
  hostname: 'a host name, not a URL',
  rev: 'the rev it is at',
  root: 'CID of the commit',
  active: 'whether it is served',
  status: 'why it is not',
  seq: "the relay's place in the host's stream",
  accountCount: 'accounts that the relay counts',
  repos: 'the entries',
  hosts: 'the entries',
  head: 'CID of the commit',
  'getLatestCommit.cid': 'CID of the commit',
  'getHostStatus.status': 'what the relay makes of it',
  'listHosts.status': 'what the relay makes of it',
  'listBlobs.cids': 'CIDs of blobs',
  'listBlobs.since': 'only blobs that came after this rev',
  'subscribeRepos.cursor': 'the seq to go on after; none: the next event',
}

/** The pages with generated parts: paths from the root, and what the part has to say. */
export function generatedParts(signatures: ReadonlyMap<string, string>): Map<string, string> {
  const parts = CALL_FACTS.map((facts): [string, string] => [
    `docs/client/methods/${facts.name}.md`,
    methodPart(facts, signatures.get(facts.name) ?? ''),
  ])
  return new Map([...parts, ['docs/client/errors.md', errorsPart()]])
}

/** The page with its generated part in place. */
export function withPart(page: string, part: string): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin === -1 || end < begin) throw new Error('a page has no place for its generated part')
  return `${page.slice(0, begin + BEGIN.length)}\n\n${part}\n\n${page.slice(end)}`
}

/** Methods of a class by name, each on one line, out of its declaration. */
export function methodSignatures(declaration: string): ReadonlyMap<string, string> {
  const found = declaration.matchAll(/^ {2}(\w+)\((?:[^;]|;(?!\n))*;$/gm)
  return new Map(
    [...found].map(({ 0: text, 1: name = '' }) => [
      name,
      text.trim().slice(0, -1).replaceAll(/\s+/g, ' ').replaceAll('sync.', ''),
    ]),
  )
}

function methodPart({ name, params, result, errors }: CallFacts, signature: string): string {
  if (signature === '') throw new Error(`SyncClient has no method ${name}`)
  return [
    `\`client.${signature}\``,
    '## Parameters',
    params.length === 0 ? 'None.' : fieldTable('parameter', name, params),
    '## Result',
    resultText(name, result),
    '## Errors',
    errors.length === 0
      ? 'The lexicon declares none. Any call may end with one of [these](../errors.md).'
      : `${errorTable(errors)}\n\nThese are declared by the lexicon. Any call may also end with one of\n[these](../errors.md).`,
  ].join('\n\n')
}

function resultText(name: string, result: CallFacts['result']): string {
  switch (result.kind) {
    case 'json':
      return fieldTable('field', name, result.fields)
    case 'bytes':
      return `Bytes of type \`${result.encoding}\`, as a stream.`
    case 'messages':
      return 'Messages; see [events](../events.md).'
    case 'nothing':
      break
  }
  return 'Nothing: that it resolves is the answer.'
}

function fieldTable(head: string, call: string, fields: readonly FieldFacts[]): string {
  const rows = fields.map(({ name, type, isRequired }) => {
    const last = name.slice(name.lastIndexOf('.') + 1)
    const meaning = MEANINGS[`${call}.${last}`] ?? MEANINGS[last]
    if (meaning === undefined) throw new Error(`${call}: ${name} has no meaning`)
    return [`\`${name}\``, type, isRequired ? 'yes' : 'no', meaning]
  })
  return table([head, 'type', head === 'field' ? 'always' : 'required', 'meaning'], rows)
}

function errorsPart(): string {
  return errorTable(Object.keys({ ...CALL_ERRORS, ...LEXICON_ERRORS }).toSorted())
}

function errorTable(codes: readonly string[]): string {
  const texts: Readonly<Record<string, string>> = { ...CALL_ERRORS, ...LEXICON_ERRORS }
  const rows = codes.map((name) => {
    const code = name as CallErrorCode
    const { kind } = new CallError(code, { nsid: '', service: '' }, '')
    return [`\`${code}\``, kind, texts[code] ?? '', ADVICE[code]]
  })
  return table(['code', 'kind', 'what it says', 'what to do'], rows)
}

/** A table as the formatter of this repository writes it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) =>
    Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  const line = (cells: readonly string[], fill = ' '): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0, fill)).join(' | ')} |`
  const rule = line(
    head.map(() => ''),
    '-',
  )
  return [line(head), rule, ...rows.map((row) => line(row))].join('\n')
}
