/** Compares, event by event, what came through the relay with what came from the PDSes. */

import type { ClientName, ForeignClient, Sighting } from '../clients/client.ts'
import { CLIENT_NAMES } from '../clients/client.ts'
import type { StreamEvent } from '../streams/frame.ts'
import type { PdsName } from '../world/pds.ts'
import { PDS_NAMES } from '../world/pds.ts'
import type { Attribution, Delivery } from './attribution.ts'
import { attribute } from './attribution.ts'
import type { LedgerEntry } from './ledger.ts'

export type ObserverName = 'raw' | ClientName

export const OBSERVER_NAMES: readonly ObserverName[] = ['raw', ...CLIENT_NAMES]

/**
 * - `same`: as from the PDS, once, in order; for a client also nothing, where the PDS gives nothing
 * - `refused`: not delivered, as it has to be
 * - `apart`: not compared, because the client may not yet have been connected
 * - all others are failures; the detail says what was found
 */
export type Verdict =
  | 'same'
  | 'refused'
  | 'apart'
  | 'missing'
  | 'repeated'
  | 'altered'
  | 'disordered'
  | 'unexpected'

export interface Cell {
  readonly verdict: Verdict
  readonly detail: string
}

export interface Row {
  /** Null for something that the relay sent and no PDS did. */
  readonly entry: LedgerEntry | null
  readonly title: string
  readonly cells: Readonly<Record<ObserverName, Cell>>
  readonly equal: boolean
}

/** What was seen at one place. */
export interface Observations {
  readonly frames: readonly StreamEvent[]
  readonly clients: Readonly<Record<ClientName, ForeignClient>>
}

const GOOD: ReadonlySet<Verdict> = new Set(['same', 'refused', 'apart'])

/** One row for every entry, and one for everything that came from the relay and belongs to none. */
export function compare(
  entries: readonly LedgerEntry[],
  direct: Readonly<Record<PdsName, Observations>>,
  relayed: Observations,
): Row[] {
  const attribution = attribute(entries, relayed.frames)
  const disordered = {
    raw: findDisorder(relayed.frames.map((frame) => attribution.entryBySeq.get(frame.seq))),
  }
  const entryByPdsSeq = new Map(
    entries.map((entry) => [`${entry.pds} ${entry.event.seq}`, entry] as const),
  )
  const views = CLIENT_NAMES.map((name) => {
    const seen = directSightings(name, direct, entryByPdsSeq)
    return clientView(relayed.clients[name], seen, relayed.frames, attribution)
  })
  const rows = entries.map((entry): Row => {
    const deliveries = attribution.deliveries.get(entry) ?? []
    const raw = rawCell(entry, deliveries, disordered.raw)
    const cells: [ObserverName, Cell][] = views.map((view) => [view.name, clientCell(entry, view)])
    return makeRow(entry, titleOf(entry.event), [['raw', raw], ...cells])
  })
  for (const frame of attribution.strangers) {
    const cell: Cell = {
      verdict: 'unexpected',
      detail: `no PDS sent what came as seq ${frame.seq}`,
    }
    rows.push(makeRow(null, titleOf(frame), [['raw', cell]]))
  }
  for (const view of views) {
    for (const sighting of view.strangers) {
      const detail = `no frame was recorded for what came as seq ${sighting.seq}`
      rows.push(makeRow(null, sighting.did, [[view.name, { verdict: 'unexpected', detail }]]))
    }
  }
  return rows
}

function makeRow(
  entry: LedgerEntry | null,
  title: string,
  given: readonly [ObserverName, Cell][],
): Row {
  const apart: Cell = { verdict: 'apart', detail: '' }
  const cells = { raw: apart, '@atproto/sync': apart, skyware: apart, atcute: apart }
  for (const [name, cell] of given) cells[name] = cell
  const equal = Object.values(cells).every((cell) => GOOD.has(cell.verdict))
  return { entry, title, cells, equal }
}

/** `#commit did:plc:… 3k… create a/b` */
function titleOf(event: StreamEvent): string {
  return `${event.type} ${event.did} ${event.rev ?? event.time} ${event.what}`
}

function rawCell(
  entry: LedgerEntry,
  deliveries: readonly Delivery[],
  disordered: ReadonlySet<LedgerEntry>,
): Cell {
  const seqs = deliveries.map((delivery) => delivery.frame.seq).join(', ')
  if (entry.refusal !== null) {
    if (deliveries.length === 0) return { verdict: 'refused', detail: '' }
    return { verdict: 'unexpected', detail: `delivered as seq ${seqs}` }
  }
  if (deliveries.length === 0) return { verdict: 'missing', detail: 'never delivered' }
  if (deliveries.some((delivery) => delivery.bytes === 'altered')) {
    return { verdict: 'altered', detail: `other bytes than the seq differ in seq ${seqs}` }
  }
  if (deliveries.length > 1) return { verdict: 'repeated', detail: `delivered as seq ${seqs}` }
  if (disordered.has(entry))
    return { verdict: 'disordered', detail: 'after a later one of its DID' }
  return { verdict: 'same', detail: '' }
}

/** What one client saw, by entry. */
interface ClientView {
  readonly name: ClientName
  readonly direct: ReadonlyMap<LedgerEntry, readonly Sighting[]>
  readonly relayed: ReadonlyMap<LedgerEntry, readonly Sighting[]>
  readonly strangers: readonly Sighting[]
  readonly disordered: ReadonlySet<LedgerEntry>
  readonly delivery: ForeignClient['delivery']
}

function directSightings(
  name: ClientName,
  direct: Readonly<Record<PdsName, Observations>>,
  entryByPdsSeq: ReadonlyMap<string, LedgerEntry>,
): Map<LedgerEntry, Sighting[]> {
  const sightings = new Map<LedgerEntry, Sighting[]>()
  for (const pds of PDS_NAMES) {
    for (const sighting of direct[pds].clients[name].sightings) {
      const entry = entryByPdsSeq.get(`${pds} ${sighting.seq}`)
      if (entry !== undefined) push(sightings, entry, sighting)
    }
  }
  return sightings
}

function clientView(
  client: ForeignClient,
  direct: ClientView['direct'],
  frames: readonly StreamEvent[],
  attribution: Attribution,
): ClientView {
  const sightings = new Map<LedgerEntry, Sighting[]>()
  const strangers: Sighting[] = []
  const recorded = new Set(frames.map((frame) => frame.seq))
  const arrivals: (LedgerEntry | undefined)[] = []
  for (const sighting of client.sightings) {
    const entry = attribution.entryBySeq.get(sighting.seq)
    arrivals.push(entry)
    if (entry !== undefined) push(sightings, entry, sighting)
    else if (!recorded.has(sighting.seq)) strangers.push(sighting)
  }
  const firsts = client.delivery === 'once' ? arrivals : [...new Set(arrivals)]
  return {
    name: client.name,
    direct,
    relayed: sightings,
    strangers,
    disordered: client.order === 'arrival' ? findDisorder(firsts) : new Set(),
    delivery: client.delivery,
  }
}

function clientCell(entry: LedgerEntry, view: ClientView): Cell {
  if (entry.clients === 'connecting') return { verdict: 'apart', detail: '' }
  const relayed = view.relayed.get(entry) ?? []
  if (entry.refusal !== null) {
    if (relayed.length === 0) return { verdict: 'refused', detail: '' }
    return { verdict: 'unexpected', detail: `${relayed.length} delivered` }
  }
  const direct = view.direct.get(entry) ?? []
  const counts = `${relayed.length} by the relay, ${direct.length} from the PDS`
  if (relayed.length < direct.length) return { verdict: 'missing', detail: counts }
  for (const [i, { content }] of relayed.entries()) {
    const wanted = direct[i % Math.max(1, direct.length)]?.content ?? ''
    if (content !== wanted) return { verdict: 'altered', detail: difference(content, wanted) }
  }
  if (relayed.length > direct.length) {
    const ownDoing =
      view.delivery === 'at-least-once' &&
      relayed.length % direct.length === 0 &&
      new Set(relayed.map((sighting) => sighting.seq)).size === 1
    if (!ownDoing) return { verdict: 'repeated', detail: counts }
  }
  if (view.disordered.has(entry)) {
    return { verdict: 'disordered', detail: 'after a later one of its DID' }
  }
  return { verdict: 'same', detail: '' }
}

/** Characters shown of each side of a difference, and before it. */
const EXCERPT_LENGTH = 60
const EXCERPT_LEAD = 20

function difference(found: string, wanted: string): string {
  let at = 0
  while (at < wanted.length && found[at] === wanted[at]) at++
  const excerpt = (text: string): string =>
    text.slice(Math.max(0, at - EXCERPT_LEAD), at + EXCERPT_LENGTH)
  return `…${excerpt(found)}… and not …${excerpt(wanted)}…`
}

/** Entries that came after one that their PDS had sent later for the same DID. */
function findDisorder(arrivals: readonly (LedgerEntry | undefined)[]): Set<LedgerEntry> {
  const highest = new Map<string, number>()
  const disordered = new Set<LedgerEntry>()
  for (const entry of arrivals) {
    if (entry === undefined) continue
    const key = `${entry.pds} ${entry.event.did}`
    const before = highest.get(key) ?? 0
    if (entry.event.seq < before) disordered.add(entry)
    else highest.set(key, entry.event.seq)
  }
  return disordered
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
