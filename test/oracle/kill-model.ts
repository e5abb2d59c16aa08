/**
 * What has come out of a relay that is killed, held against what was sent in. It knows what any
 * subscriber was ever sent, by seq, and the honest events of the network; nothing of the relay.
 */
import { createHash } from 'node:crypto'
import { must } from '../../src/lib/assert.ts'
import type { World, WorldEvent } from '../../src/sim/world.ts'
import { didOf, type ReceivedFrame } from '../support/relay-client.ts'
import { contentHashOf, eventIdOf } from './compare.ts'

/** Violations that are kept: more say nothing new. */
const KEPT_MAX = 20

/** What stands under a seq. */
interface Seen {
  readonly hash: string
  readonly did: string
  readonly type: string
}

/** The honest events of an account, by id, as far as they have been looked at. */
interface Sent {
  readonly byId: Map<string, { readonly event: WorldEvent; readonly place: number }>
  /** Place of the last one that has come out. */
  lastOut: number
}

/** A connection of the relay to a host: what it asked for, and what its log held at its start. */
interface Asked {
  readonly life: number
  readonly host: number
  readonly cursor: number
  readonly durableSeq: number
}

/** One relay over all of its lives. */
export class KillModel {
  readonly violations: string[] = []
  readonly #world: World
  /** By seq, from 1 on. */
  readonly #seen: Seen[] = []
  readonly #seqOf = new Map<string, number>()
  readonly #sent = new Map<string, Sent>()
  /** Events of each host that no cursor has been held against. */
  readonly #ahead = new Map<number, WorldEvent[]>()
  #asked: Asked[] = []
  /** Accounts that were ever not active: of these, replay leaves things out. */
  readonly #ended = new Set<string>()
  #honest = 0
  #replayed = 0
  #cursors = 0

  constructor(world: World) {
    this.#world = world
  }

  /** The greatest seq that anybody was sent. */
  get frontier(): number {
    return this.#seen.length
  }

  /** Honest events that have come out. */
  get honest(): number {
    return this.#honest
  }

  /** Frames that came again, and cursors that were held against what had come out. */
  get looked(): { readonly replayed: number; readonly cursors: number } {
    return { replayed: this.#replayed, cursors: this.#cursors }
  }

  violate(text: string): void {
    if (this.violations.length < KEPT_MAX) this.violations.push(text)
  }

  /** Takes note of who is not active; to be called after each change of an account. */
  noteEnds(): void {
    for (const did of this.#world.dids) {
      if (this.#world.account(did)?.status !== 'active') this.#ended.add(did)
    }
  }

  /**
   * A subscriber was sent a frame, and before it nothing since `afterSeq`, where it stood.
   *
   * @param reader Its name, for what is wrong.
   */
  see(reader: string, afterSeq: number, frame: ReceivedFrame): void {
    const { seq } = frame
    if (seq <= afterSeq) {
      this.violate(`I2: ${reader} was sent seq ${seq} after ${afterSeq}`)
      return
    }
    for (let missing = afterSeq + 1; missing < seq; missing++) this.#checkAbsent(reader, missing)
    const hash = createHash('sha256').update(frame.bytes).digest('base64')
    const known = this.#seen[seq - 1]
    if (known === undefined) this.#seeNew(reader, frame, hash)
    else {
      this.#replayed++
      if (known.hash !== hash) {
        this.violate(`I2: seq ${seq} was ${known.type} of ${known.did}, and is another event now`)
      }
    }
  }

  /** Nothing stands between two frames where something was. */
  #checkAbsent(reader: string, seq: number): void {
    const known = this.#seen[seq - 1]
    if (known === undefined) this.violate(`${reader} was never sent seq ${seq}`)
    else if (known.type === '#account' || !this.#ended.has(known.did)) {
      this.violate(`I1: seq ${seq} (${known.type} of ${known.did}) was seen and is gone`)
    }
  }

  #seeNew(reader: string, frame: ReceivedFrame, hash: string): void {
    const { seq, type } = frame
    const did = didOf(frame)
    if (seq !== this.frontier + 1) {
      this.violate(`${reader} was sent seq ${seq} first, after ${this.frontier} had been sent`)
      return
    }
    this.#seen.push({ hash, did, type })
    const sent = this.#sentBy(did)
    const id = eventIdOf(frame)
    const found = sent?.byId.get(id) ?? null
    if (sent === null || found === null) {
      // A relay tells itself that an account is active again, when its host has said so.
      if (sent !== null && type === '#account' && frame.body['active'] === true) return
      this.violate(`I3: seq ${seq} (${id} of ${did}) was never sent by a host`)
      return
    }
    const key = `${did} ${id}`
    if (this.#seqOf.has(key))
      this.violate(`${key} came twice, as ${this.#seqOf.get(key)} and ${seq}`)
    this.#seqOf.set(key, seq)
    this.#honest++
    if (found.event.fingerprint !== contentHashOf(frame)) {
      this.violate(`I10: ${key} (seq ${seq}) was changed on its way`)
    }
    if (found.place !== sent.lastOut + 1) {
      this.violate(`I6: ${key} (seq ${seq}) is number ${found.place}, after ${sent.lastOut}`)
    }
    sent.lastOut = found.place
  }

  /** Looks up what an account has sent since the last time; null for one that is not known. */
  #sentBy(did: string): Sent | null {
    if (this.#world.account(did) === null) return null
    let sent = this.#sent.get(did)
    if (sent === undefined) {
      sent = { byId: new Map(), lastOut: -1 }
      this.#sent.set(did, sent)
    }
    const events = this.#world.events(did)
    for (let place = sent.byId.size; place < events.length; place++) {
      const event = must(events[place], 'event')
      sent.byId.set(event.id, { event, place })
      const ahead = this.#ahead.get(event.host) ?? []
      this.#ahead.set(event.host, ahead)
      ahead.push(event)
    }
    return sent
  }

  /** The relay has asked a host for what is after `cursor`; its log held `durableSeq` then. */
  asked(asked: Asked): void {
    this.#asked.push(asked)
  }

  /**
   * Holds what hosts were asked for against what has come out (I7): whatever a host had sent up to
   * that cursor had its place in the log. Waits for subscribers that have not read so far.
   */
  checkCursors(): void {
    for (const did of this.#world.dids) this.#sentBy(did)
    const [now, later] = [[] as Asked[], [] as Asked[]]
    for (const asked of this.#asked) {
      ;(asked.durableSeq <= this.frontier ? now : later).push(asked)
    }
    this.#asked = later
    for (const { life, host, cursor, durableSeq } of now) {
      this.#cursors++
      const ahead: WorldEvent[] = []
      for (const event of this.#ahead.get(host) ?? []) {
        if (event.hostSeq > cursor) {
          ahead.push(event)
          continue
        }
        const seq = this.#seqOf.get(`${event.did} ${event.id}`) ?? Infinity
        if (seq <= durableSeq) continue
        this.violate(
          `I7: life ${life} asked host ${host} for what is after ${cursor}, and event ` +
            `${event.hostSeq} (${event.id} of ${event.did}) was not in the log`,
        )
      }
      this.#ahead.set(host, ahead)
    }
  }

  /** Names honest events that have not come out. */
  missing(): string[] {
    const missing: string[] = []
    for (const did of this.#world.dids) {
      for (const { id } of this.#world.events(did)) {
        if (!this.#seqOf.has(`${did} ${id}`)) missing.push(`${id} of ${did}`)
      }
    }
    return missing
  }
}
