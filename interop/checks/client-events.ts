/**
 * Events as Skein decodes them, beside the reference's frames (`@atproto/xrpc-server`), CARs
 * (`@atproto/repo`) and JSON (`@atproto/lex-json`): every frame of a run.
 */

import type { LexMap } from '@atproto/lex-data'
import { isCid } from '@atproto/lex-data'
import { encode } from '@atproto/lex-cbor'
import { jsonToLex, lexStringify } from '@atproto/lex-json'
import { readCar } from '@atproto/repo'
import { Frame, MessageFrame } from '@atproto/xrpc-server'

import { decodeEvent } from '../../src/client/events/decode-event.ts'
import { fromJSON, toJSON } from '../../src/client/events/event-json.ts'
import type { CommitEvent, RepoOperation, SyncEvent } from '../../src/client/events/events.ts'
import { canonicalText } from '../clients/canonical.ts'
import type { StreamEvent } from '../streams/frame.ts'
import { EVENT_TYPES } from '../streams/frame.ts'
import type { Watcher } from '../streams/observers.ts'
import type { PdsName } from '../world/pds.ts'
import { PDS_NAMES } from '../world/pds.ts'
import type { Check } from './check.ts'
import { checkOf, runCheck } from './check.ts'

const STREAM_NSID = 'com.atproto.sync.subscribeRepos'
/** Differences quoted in a report. */
const FAULTS_MAX = 5

/** A frame as both have read it. */
interface Reading {
  readonly name: string
  readonly bytes: Uint8Array
  readonly event: SyncEvent
  readonly body: LexMap
  readonly type: string
}

/** All checks of events: frames that came from the PDSes and through the relay. */
export async function checkClientEvents(
  direct: Readonly<Record<PdsName, Watcher>>,
  relayed: Watcher,
): Promise<Check[]> {
  const frames = PDS_NAMES.flatMap((name) => framesOf(direct[name], name))
  const readings: Reading[] = []
  const unread: string[] = []
  for (const frame of [...frames, ...framesOf(relayed, 'the relay')]) {
    const reading = readingOf(frame)
    if (typeof reading === 'string') unread.push(reading)
    else readings.push(reading)
  }
  for (const name of ['A', 'B'] as const) {
    for (const type of EVENT_TYPES) {
      const count = direct[name].raw.events.filter((event) => event.type === type).length
      if (count === 0) unread.push(`PDS ${name} has sent no ${type}`)
    }
  }
  const row = (name: string, look: (reading: Reading) => Promise<string[]> | string[]) =>
    runCheck(`client: ${name}`, () => each(readings, look))
  return [
    checkOf(
      'client: decodeEvent reads every frame of all four types that A, B, S and the relay send',
      unread.slice(0, FAULTS_MAX),
    ),
    await row('events have the fields that @atproto/xrpc-server decodes', fieldDifferences),
    await row('the records of operations are those in the CAR by @atproto/repo', records),
    await row('toJSON gives the JSON of @atproto/lex-json', jsonDifferences),
    await row('fromJSON gives the same bytes again', roundTrip),
  ]
}

interface NamedFrame {
  readonly name: string
  readonly bytes: Uint8Array
}

function framesOf({ raw }: Watcher, place: string): NamedFrame[] {
  return raw.events.map((event: StreamEvent) => {
    const name = `${event.type} ${event.seq} of ${place} (${event.what})`
    return { name, bytes: event.bytes }
  })
}

function readingOf({ name, bytes }: NamedFrame): Reading | string {
  const frame = Frame.fromBytes(bytes)
  if (!(frame instanceof MessageFrame)) return `${name} is no message by @atproto/xrpc-server`
  const decoded = decodeEvent(bytes)
  if (!decoded.ok) return `${name}: ${decoded.reason}: ${decoded.detail}`
  if (decoded.value.type === 'error') return `${name} is taken for an error`
  return { name, bytes, event: decoded.value, body: frame.body as LexMap, type: frame.type ?? '' }
}

async function each(
  readings: readonly Reading[],
  look: (reading: Reading) => Promise<string[]> | string[],
): Promise<string[]> {
  const faults: string[] = readings.length === 0 ? ['no frames'] : []
  for (const reading of readings) {
    const found = await look(reading)
    faults.push(...found.map((fault) => `${reading.name}: ${fault}`))
    if (faults.length >= FAULTS_MAX) break
  }
  return faults
}

function fieldDifferences({ event, body, type, bytes }: Reading): string[] {
  const faults: string[] = []
  const expect = (field: string, found: unknown, wanted: unknown): void => {
    const [a, b] = [canonicalText(plain(found)), canonicalText(plain(wanted))]
    if (a !== b) faults.push(`${field} is ${a.slice(0, 100)}, not ${b.slice(0, 100)}`)
  }
  expect('type', event.type, type)
  expect('seq', event.seq, body['seq'])
  expect('bytes', event.bytes, bytes)
  if (event.type === '#info' || event.type === 'unknown') return ['it is not known']
  expect('did', event.did, body['repo'] ?? body['did'])
  expect('time', event.time, body['time'])
  if (event.type === '#commit') {
    expect('rev', event.rev, body['rev'])
    expect('since', event.since, body['since'])
    expect('commit', event.commit, body['commit'])
    expect('prevData', event.prevData, body['prevData'] ?? null)
    expect('blocks', event.body.blocks.buf, body['blocks'])
    expect('ops', event.ops.map(operationOf), body['ops'])
  } else if (event.type === '#sync') {
    expect('rev', event.rev, body['rev'])
    expect('blocks', event.body.blocks.buf, body['blocks'])
  } else if (event.type === '#identity') expect('handle', event.handle, body['handle'] ?? null)
  else if (event.type === '#account') {
    expect('active', event.active, body['active'])
    expect('status', event.status, body['status'] ?? null)
  }
  return faults
}

/** `prev` is absent where there is none, `cid` is null. */
function operationOf({ action, path, cid, prev }: RepoOperation): object {
  return { action, path, cid, ...(prev === null ? {} : { prev }) }
}

/** The same with CIDs as text. */
function plain(value: unknown): unknown {
  if (isCid(value)) return value.toString()
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

async function records({ event, body }: Reading): Promise<string[]> {
  if (event.type !== '#commit') return []
  const { blocks } = await readCar(body['blocks'] as Uint8Array)
  const held = new Map(blocks.entries().map(({ cid, bytes }) => [cid.toString(), bytes]))
  return event.ops.flatMap((op) => recordDifference(op, held))
}

function recordDifference(
  { path, cid, record, recordBytes }: CommitEvent['ops'][number],
  held: ReadonlyMap<string, Uint8Array>,
): string[] {
  const block = cid === null ? undefined : held.get(cid)
  if (block === undefined) {
    const isThere = recordBytes !== null || record?.valid === true
    return isThere ? [`${path} has a record that is not in the CAR`] : []
  }
  if (recordBytes === null || Buffer.compare(recordBytes, block) !== 0) return [`bytes of ${path}`]
  if (record?.valid !== true) return [`${path} is said to be no record`]
  // The JSON form of its value, read by the reference, must encode to the same block.
  const again = encode(jsonToLex(JSON.parse(JSON.stringify(record.value))))
  return Buffer.compare(again, block) === 0 ? [] : [`the value of ${path}`]
}

function jsonDifferences({ event, body, type }: Reading): string[] {
  const wanted = { $type: `${STREAM_NSID}${type}`, ...JSON.parse(lexStringify(body)) }
  const [a, b] = [canonicalText(toJSON(event)), canonicalText(wanted)]
  return a === b ? [] : [`${a.slice(0, 200)}, not ${b.slice(0, 200)}`]
}

/** By way of text, as applications store it. */
function roundTrip({ event, bytes }: Reading): string[] {
  const again = fromJSON(JSON.parse(JSON.stringify(toJSON(event))))
  if (!again.ok) return [`${again.reason}: ${again.detail}`]
  return Buffer.compare(again.value.bytes, bytes) === 0 ? [] : ['other bytes']
}
