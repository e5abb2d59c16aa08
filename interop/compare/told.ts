/**
 * What a repository host was asked to do and said is done, in the words of what `@atproto/sync` has
 * to hand over for it. It is written down from the calls and their answers, never from the stream.
 */

import type { Sighting } from '../clients/client.ts'

/** Things of one event; a commit has one for each operation, in an order that says nothing. */
export type ToldEvent = readonly string[]

/** One thing that a client handed over, as `canonicalText` shows it. */
interface SeenThing {
  readonly event: string
  readonly collection?: string
  readonly rkey?: string
  readonly cid?: string
  readonly record?: unknown
  readonly commit?: string
  readonly rev?: string
  readonly active?: boolean
  readonly status?: string
}

export const IDENTITY = 'identity'

/** What an event is part of, where its things do not say it: a call, and the first write after. */
export type Occasion =
  | 'write'
  | 'handle'
  | 'status'
  | 'account creation'
  | 'key rotation'
  | 'import'
  | 'reactivation'

/** One event, with the account it is of and what it is part of. */
export interface ToldEntry {
  readonly did: string
  readonly occasion: Occasion
  readonly things: ToldEvent
}

export class Told {
  readonly #entries: ToldEntry[] = []

  /** Adds an event of an account after all that it had before. */
  add(did: string, occasion: Occasion, things: ToldEvent): void {
    this.#entries.push({ did, occasion, things })
  }

  get entries(): readonly ToldEntry[] {
    return this.#entries
  }

  get dids(): string[] {
    return [...new Set(this.#entries.map((entry) => entry.did))]
  }

  of(did: string): readonly ToldEvent[] {
    return this.#entries.filter((entry) => entry.did === did).map((entry) => entry.things)
  }
}

/** `status` as the stream has it; `active` for accounts that are. */
export function accountThing(status: string): string {
  return `account ${status}`
}

export function syncThing(head: { readonly rev: string; readonly cid: string }): string {
  return `sync ${head.rev} ${head.cid}`
}

/** An operation without its commit. `record` is the record as `canonicalText` shows it. */
export function operationThing(
  action: string,
  path: string,
  record: { readonly cid: string; readonly text: string } | null,
): string {
  return record === null ? `${action} ${path}` : `${action} ${path} ${record.cid} ${record.text}`
}

/** The same words for what a client handed over. */
export function thingSeen(content: string): string {
  const seen: SeenThing = JSON.parse(content)
  const { event, rev = '', cid = '' } = seen
  if (event === 'identity') return IDENTITY
  if (event === 'account') return accountThing(seen.active === true ? 'active' : `${seen.status}`)
  if (event === 'sync') return syncThing({ rev, cid })
  const path = `${seen.collection}/${seen.rkey}`
  const record = event === 'delete' ? null : { cid, text: JSON.stringify(seen.record) }
  return `${operationThing(event, path, record)} in ${rev} ${seen.commit}`
}

/** An operation with its commit. */
export function inCommit(
  thing: string,
  head: { readonly rev: string; readonly cid: string },
): string {
  return `${thing} in ${head.rev} ${head.cid}`
}

/** Things by the frame that they came in. */
export function eventsSeen(sightings: readonly Sighting[]): ToldEvent[] {
  const bySeq = new Map<number, string[]>()
  for (const { seq, content } of sightings) {
    const things = bySeq.get(seq)
    if (things === undefined) bySeq.set(seq, [thingSeen(content)])
    else things.push(thingSeen(content))
  }
  return [...bySeq].sort(([a], [b]) => a - b).map(([, things]) => things)
}

/** Events by account, in order of arrival. */
export type SeenEvents = ReadonlyMap<string, readonly ToldEvent[]>

/** What is wrong with some of the events told: each must have been seen as often as told. */
export function missingOf(
  some: readonly ToldEntry[],
  told: readonly ToldEntry[],
  seen: SeenEvents,
): string[] {
  if (some.length === 0) return ['it was never done']
  const wanted = countsOf(told)
  const found = countsOf(
    [...seen].flatMap(([did, events]) => events.map((things) => ({ did, things }))),
  )
  return [...new Set(some.map(nameOf))]
    .filter((name) => wanted.get(name) !== found.get(name))
    .map(
      (name) => `${name.slice(0, 200)} came ${found.get(name) ?? 0}, not ${wanted.get(name)} times`,
    )
}

type Named = Pick<ToldEntry, 'did' | 'things'>

function nameOf({ did, things }: Named): string {
  return `${did} ${textOf(things)}`
}

/** How often each event occurs. */
function countsOf(events: readonly Named[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const event of events) counts.set(nameOf(event), (counts.get(nameOf(event)) ?? 0) + 1)
  return counts
}

/** An event as one text; the order of its things says nothing. */
function textOf(event: ToldEvent): string {
  return event.toSorted().join('\n')
}

/**
 * What is not as it was told, for people.
 *
 * Handles change while records are written, so identities are counted and not put in order.
 */
export function eventDifferences(
  found: readonly ToldEvent[],
  wanted: readonly ToldEvent[],
): string[] {
  const isIdentity = (event: ToldEvent): boolean => event[0] === IDENTITY
  const faults: string[] = []
  const [seen, told] = [found, wanted].map((events) => events.filter(isIdentity).length)
  if (seen !== told) faults.push(`${seen} identities, not ${told}`)
  const left = found.filter((event) => !isIdentity(event)).map(textOf)
  const right = wanted.filter((event) => !isIdentity(event)).map(textOf)
  if (left.length !== right.length) faults.push(`${left.length} events, not ${right.length}`)
  const at = right.findIndex((text, i) => left[i] !== text)
  if (at >= 0) {
    faults.push(`${(left[at] ?? 'nothing').slice(0, 200)} and not ${right[at]?.slice(0, 200)}`)
  }
  return faults
}
