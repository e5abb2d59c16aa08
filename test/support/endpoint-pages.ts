/**
 * The pages of docs/endpoints: what they say in tables, and their examples. An example is a request
 * in a block of its own, and in the next block the answer that the host of {@link exampleHost}
 * gives:
 *
 * - a body of JSON is indented;
 * - a CAR is told as its roots, then a line for each block;
 * - a stream is told as a line for each event.
 */
import { utf8, fromUtf8 } from '../../src/lib/bytes.ts'
import { cidToString } from '../../src/data/cid.ts'
import { decodeDrisl } from '../../src/data/drisl.ts'
import { readCarBlocks } from './read-car.ts'
import type { FakeAccount, FakeHost } from '../../src/http/testing/fake-host-view.ts'
import { decodeCommit } from '../../src/repo/commit.ts'
import type { ReceivedFrame } from './relay-client.ts'
import { readText, tableRows } from './repository.ts'

/** An example: the lines of a request and the text of its answer. */
export interface Example {
  readonly request: string
  readonly answer: string
}

/** A page as its test needs it. */
export interface EndpointPage {
  /** Title without backquotes: the NSID, or a path. */
  readonly title: string
  /** Rows of the table of parameters: name, type, whether it is required, meaning. */
  readonly parameters: readonly (readonly string[])[]
  /** `400 RepoNotFound`: status and name, in the order of the table. */
  readonly errors: readonly string[]
  readonly examples: readonly Example[]
}

/** Reads the page of this name. */
export function readEndpointPage(name: string): EndpointPage {
  const text = readText(`docs/endpoints/${name}.md`)
  const blocks = [...text.matchAll(/^```http\n([\s\S]*?)\n```$/gm)].map(([, block = '']) => block)
  const examples: Example[] = []
  for (let i = 0; i + 1 < blocks.length; i += 2) {
    examples.push({ request: blocks[i] ?? '', answer: blocks[i + 1] ?? '' })
  }
  const rows = (...head: readonly string[]): readonly string[][] =>
    text.includes(`\n| ${head[0]} `) ? tableRows(text, ...head) : []
  return {
    title: /^# `?([^`\n]+)`?$/m.exec(text)?.[1] ?? '',
    parameters: rows('parameter', 'type'),
    errors: rows('error', 'status').map(([error = '', status = '']) => `${status} ${error}`),
    examples,
  }
}

/** The accounts of the examples. */
export interface ExampleAccounts {
  /** Active, with three records and a blob. */
  readonly alice: FakeAccount
  /** Deactivated. */
  readonly bob: FakeAccount
}

/** Gives a host the repositories that the examples are about. Always the same, byte for byte. */
export function exampleHost(host: FakeHost): ExampleAccounts {
  const alice = host.add('docs: alice')
  alice.create('org.example.note/first')
  alice.upload(utf8('What a blob holds.\n'), 'text/plain')
  alice.create('org.example.note/second', 'org.example.note/third')
  const bob = host.add('docs: bob')
  bob.status = 'deactivated'
  return { alice, bob }
}

/** Headers that an example shows, those that are there. */
const SHOWN_HEADERS = [
  'content-type',
  'content-length',
  'content-range',
  'accept-ranges',
  'etag',
  'cache-control',
  'content-disposition',
  'content-security-policy',
  'x-content-type-options',
  'upgrade',
] as const

/** Asks as the request of an example says: a line with method and path, then headers. */
export async function askExample(address: string, request: string): Promise<Response> {
  const [first = '', ...lines] = request.split('\n')
  const [, method = '', path = ''] = /^([A-Z]+) (\/\S*) HTTP\/1\.1$/.exec(first) ?? []
  if (method === '') throw new Error(`not a request: ${first}`)
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return fetch(`http://${address}${path}`, { method, headers })
}

/** An answer as examples show it. */
export async function renderAnswer(answer: Response): Promise<string> {
  const headers = SHOWN_HEADERS.flatMap((name) => {
    const value = answer.headers.get(name)
    // How long JSON is tells nobody anything, and some of it carries the version.
    const shown = name !== 'content-length' || !isJson(answer)
    return value === null || !shown ? [] : [`${name}: ${value}`]
  })
  const bytes = new Uint8Array(await answer.arrayBuffer())
  const head = [`HTTP/1.1 ${answer.status} ${answer.statusText}`, ...headers].join('\n')
  const body = renderBody(answer, bytes).trimEnd()
  return body === '' ? head : `${head}\n\n${body}`
}

function isJson(answer: Response): boolean {
  return answer.headers.get('content-type')?.startsWith('application/json') ?? false
}

function renderBody(answer: Response, bytes: Uint8Array): string {
  if (answer.headers.get('content-type') === 'application/vnd.ipld.car') return renderCar(bytes)
  const text = fromUtf8(bytes) ?? ''
  return isJson(answer) ? JSON.stringify(JSON.parse(text), null, 2) : text
}

function renderCar(car: Uint8Array): string {
  const { roots, blocks } = readCarBlocks(car)
  const lines = blocks.map(({ cid, block }) => `${cidToString(cid)}  ${describeBlock(block)}`)
  return [`roots: [${roots.map(cidToString).join(', ')}]`, ...lines].join('\n')
}

function describeBlock(block: Uint8Array): string {
  const commit = decodeCommit(block)
  if (commit.ok) return `commit, rev ${commit.value.rev}`
  const decoded = decodeDrisl(block)
  const value = decoded.ok ? (decoded.value as Readonly<Record<string, unknown>>) : {}
  return Array.isArray(value['e'])
    ? `tree node, entries: ${value['e'].length}`
    : `record ${JSON.stringify(value)}`
}

/** An event as examples show it. */
export function renderEvent({ seq, type, body }: ReceivedFrame): string {
  const ops = (body['ops'] ?? []) as readonly { readonly action: string; readonly path: string }[]
  const shown = ops.map(({ action, path }) => `${action} ${path}`).join(', ')
  const { repo, rev, since } = body
  return `${type} seq ${seq} ${String(repo)} rev ${String(rev)} since ${String(since)} [${shown}]`
}
