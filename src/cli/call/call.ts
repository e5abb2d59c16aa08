/** `skein call`: any call of com.atproto.sync. */

import type { SyncClient } from '../../client/calls/sync-client.ts'
import type { ByteStream } from '../../client/calls/byte-stream.ts'
import { toJSON } from '../../client/events/event-json.ts'
import type { SyncEvent } from '../../client/events/events.ts'
import type { JsonMap } from '../../data/data-json.ts'
import { SkeinError } from '../../lib/errors.ts'
import { nearest } from '../../ops/options.ts'
import type { CALL_OPTIONS } from './call-command.ts'
import { type CallAnswer, type CallEntry, type CallParams, CALLS } from './call-table.ts'
import type { CommandCall } from '../shared/command.ts'
import { DEFAULT_RELAY, given } from '../shared/common-options.ts'
import { PartFile } from '../shared/files.ts'
import { EXIT } from '../io.ts'
import { formatBytes } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import { didOf, findAccount, openSource, parseAccount } from '../shared/targets.ts'

const PREFIX = 'com.atproto.sync.'
/** Words on the command line, and values of one parameter. */
const VALUES_MAX = 1_000

type Call = CommandCall<typeof CALL_OPTIONS>

/** See docs/cli.md. */
export async function runCall(call: Call): Promise<number> {
  const [nsid = '', ...pairs] = call.words
  const name = nsid.startsWith(PREFIX) ? nsid.slice(PREFIX.length) : nsid
  const entry = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined
  if (entry === undefined) throw unknown('no call is named so', nsid, Object.keys(CALLS), PREFIX)
  const values = readPairs(entry, pairs)
  const client = await clientOf(call, entry, values)
  return print(call, entry.make(client, paramsOf(values)), name)
}

function unknown(what: string, text: string, known: readonly string[], prefix: string): SkeinError {
  const near = nearest(text.startsWith(prefix) ? text.slice(prefix.length) : text, known)
  return new SkeinError('OPTION_INVALID', `call: ${what}`, {
    given: JSON.stringify(text.slice(0, 80)),
    ...(near === null ? { known: known.join(' ') } : { nearest: near }),
  })
}

function readPairs(entry: CallEntry, pairs: readonly string[]): Map<string, string[]> {
  if (pairs.length > VALUES_MAX) {
    throw new SkeinError('OPTION_INVALID', `call: over ${VALUES_MAX} parameters`)
  }
  const values = new Map<string, string[]>()
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) {
      throw new SkeinError('OPTION_INVALID', 'call: a parameter is written key=value', {
        given: JSON.stringify(pair.slice(0, 80)),
      })
    }
    const key = pair.slice(0, at)
    const kind = Object.hasOwn(entry.params, key) ? entry.params[key] : undefined
    if (kind === undefined) {
      throw unknown('it has no such parameter', key, Object.keys(entry.params), '')
    }
    const value = pair.slice(at + 1)
    const before = values.get(key) ?? []
    if (before.length > 0 && kind !== 'texts') {
      throw new SkeinError('OPTION_INVALID', `call: ${key} is given twice`)
    }
    if (kind === 'integer' && !/^-?\d{1,15}$/.test(value)) {
      throw new SkeinError('OPTION_INVALID', `call: ${key} is an integer`, {
        given: JSON.stringify(value.slice(0, 80)),
      })
    }
    values.set(key, [...before, ...(kind === 'texts' ? value.split(',') : [value])])
  }
  return values
}

/** The service, and a handle in `did` as the DID that it leads to. */
async function clientOf(
  { options, session }: Call,
  entry: CallEntry,
  values: Map<string, string[]>,
): Promise<SyncClient> {
  const service = given(options.service)
  const account = 'did' in entry.params ? values.get('did')?.[0] : undefined
  if (account === undefined) return session.client(service ?? DEFAULT_RELAY, 'user')
  const name = parseAccount(account)
  if (service === null) {
    const source = await openSource(session, name, null)
    values.set('did', [source.account.did])
    return source.client
  }
  // The DID document is not needed, unless the name is a handle that it has to claim.
  const { did, outcome } = await didOf(session, name)
  if (outcome !== null) await findAccount(session, name)
  values.set('did', [did])
  return session.client(service, 'user')
}

function paramsOf(values: ReadonlyMap<string, readonly string[]>): CallParams {
  return {
    text: (name) => values.get(name)?.[0] ?? '',
    pick: (...names) =>
      Object.fromEntries(
        names.flatMap((name) => {
          const value = values.get(name)?.[0]
          return value === undefined ? [] : [[name, value]]
        }),
      ),
    number: (name) => {
      const value = values.get(name)?.[0]
      return value === undefined ? undefined : Number(value)
    },
    texts: (name) => values.get(name) ?? [],
  }
}

async function print(call: Call, answer: CallAnswer, name: string): Promise<number> {
  const { output, options } = call
  switch (answer.kind) {
    case 'json':
      await output.json(await answer.value)
      return EXIT.ok
    case 'listing':
      if (options.all) return printEach(call, answer.all)
      await output.json(await answer.page())
      return EXIT.ok
    case 'done':
      await answer.done
      if (output.isJson) await output.json({ ok: true })
      else await output.line(`${name}: done`)
      return EXIT.ok
    case 'events':
      return printEach(call, mapped(answer.events))
    case 'bytes':
      return printBytes(call, answer.stream)
    default:
      return answer satisfies never
  }
}

async function* mapped(events: AsyncIterable<SyncEvent>): AsyncGenerator<JsonMap> {
  for await (const event of events) yield toJSON(event)
}

async function printEach(
  { output, options }: Call,
  items: AsyncIterable<unknown>,
): Promise<number> {
  let count = 0
  for await (const item of items) {
    await output.jsonLine(item)
    count++
    if (count === options.count) break
  }
  return EXIT.ok
}

async function printBytes(
  { io, output, options, words }: Call,
  answer: Promise<ByteStream>,
): Promise<number> {
  const out = given(options.out) ?? '-'
  if (out === '-' && io.stdoutIsTerminal) {
    // Whatever comes of it is not wanted.
    answer.then((stream) => stream.cancel()).catch(() => {})
    throw new SkeinError('OPTION_INVALID', 'call: bytes do not go to a terminal; use --out <file>')
  }
  const stream = await answer
  using progress = new Progress(io, { label: words[0] ?? '', unit: 'bytes' })
  progress.expect(stream.contentLength)
  if (out === '-') {
    for await (const piece of stream) {
      await output.bytes(piece)
      progress.add(piece.length)
    }
    return EXIT.ok
  }
  await using part = await PartFile.create(out)
  for await (const piece of stream) {
    await part.write(piece)
    progress.add(piece.length)
  }
  await part.commit()
  progress.end()
  const { contentType, url } = stream
  if (output.isJson) await output.json({ file: out, bytes: part.bytes, contentType, url })
  else await output.line(`${out}: ${formatBytes(part.bytes)}`)
  return EXIT.ok
}
