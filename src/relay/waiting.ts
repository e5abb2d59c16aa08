/** An event between its arrival and its decision, and the line of those that wait for one DID. */
import type { PublicKey } from '../crypto/public-key.ts'
import { assert } from '../lib/assert.ts'
import type { Timer } from '../lib/clock.ts'
import { fail } from '../lib/result.ts'
import { parseFrame } from '../stream/frame.ts'
import type { Arrival } from './host-link.ts'
import type { KeyedVerdict } from './judge.ts'
import type { VerifyOutcome } from './verifiers/frame-verifier.ts'

/** The DID that an event is about. */
export function didOf({ frame }: Arrival): string {
  return frame.kind === 'peeked' ? frame.did : frame.body.did
}

/**
 * An event that waits for its verification, its identity, or those before it. For longer waits it
 * is kept as a copy of its bytes: what came in may be a small part of a large read, decoded it can
 * take many times its size, and bounds count bytes.
 */
export class Waiting {
  readonly link: Arrival['link']
  readonly did: string
  /** When it is given up, monotonic ms. */
  readonly deadlineMs: number
  /** Bytes of its frame. */
  readonly length: number
  verified: KeyedVerdict | null = null
  /** The key that it is being verified with; null while it is not. */
  verifyingKey: PublicKey | null = null
  /** Who waits for the verification besides the line. */
  onVerified: (() => void) | null = null
  /** Counted as deferred: it waits for more than its verification. */
  isDeferred = false
  /** What it needs has been asked for, and has not been had. */
  askedInVain = false
  #arrival: Arrival | null
  #origin: Omit<Arrival, 'frame'>
  #bytes: Uint8Array

  constructor(arrival: Arrival, did: string, deadlineMs: number) {
    this.#arrival = arrival
    this.#origin = arrival
    this.#bytes = arrival.frame.bytes
    this.link = arrival.link
    this.did = did
    this.deadlineMs = deadlineMs
    this.length = this.#bytes.length
  }

  get arrival(): Arrival {
    return this.#arrival ?? this.#parse()
  }

  /** Keeps nothing but a copy of the bytes from now on. */
  defer(): void {
    if (this.isDeferred) return
    this.isDeferred = true
    const { link, hostSeq, hostEpoch, receivedAtMs } = this.arrival
    const { frame } = this.arrival
    this.#origin = { link, hostSeq, hostEpoch, receivedAtMs }
    this.#bytes = new Uint8Array(this.#bytes)
    const isPeeked = frame.kind === 'peeked'
    this.#arrival = isPeeked ? { ...this.#origin, frame: { ...frame, bytes: this.#bytes } } : null
  }

  /** Takes over what verifying it with `verifyingKey` has shown. */
  take({ verdict }: VerifyOutcome): void {
    const key = this.verifyingKey
    assert(key !== null, 'an outcome comes to who is being verified')
    this.verifyingKey = null
    const unfinished = fail('frame-malformed', 'verification failed to finish')
    this.verified = { key, verdict: verdict ?? unfinished }
  }

  #parse(): Arrival {
    const parsed = parseFrame(this.#bytes)
    assert(parsed.ok && parsed.value.kind === 'message', 'what waits has been parsed before')
    const frame = parsed.value
    assert(frame.type === '#identity' || frame.type === '#account', 'others are peeked at')
    return { ...this.#origin, frame }
  }
}

/** The events of one DID from one host that are decided one after another. */
export class Line {
  readonly key: string
  /** The first of them is being settled: what it needs is being asked for. */
  isSettling = false
  /** Runs while the host is held back for this line. */
  crowded: Timer | null = null
  /** The host has been held back for as long as one DID is worth. */
  isOverdue = false
  /** It is, and in vain: the host goes on, and what finds the line full is dropped. */
  isSlow = false
  #waiting: Waiting[] = []
  #head = 0

  constructor(key: string) {
    this.key = key
  }

  get length(): number {
    return this.#waiting.length - this.#head
  }

  get first(): Waiting | undefined {
    return this.#waiting[this.#head]
  }

  push(waiting: Waiting): void {
    this.#waiting.push(waiting)
  }

  shift(): void {
    this.#head++
    if (this.#head * 2 < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
  }

  /** All of them, in order. */
  all(): readonly Waiting[] {
    return this.#waiting.slice(this.#head)
  }
}
